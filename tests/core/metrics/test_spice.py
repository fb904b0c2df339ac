from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rsmoe_core.errors import UsageError
from rsmoe_core.metrics import spice
from rsmoe_core.metrics.captions import check_metrics, score_captions

# Called as SPICE's program is: a caption is as good as its words are in the first reference.
JAVA = f"""#!{sys.executable}
import json, sys
inputs, outputs = sys.argv[4], sys.argv[sys.argv.index("-out") + 1]
share = lambda row: sum(word in row["refs"][0].split() for word in row["test"].split()) / len(row["test"].split())
rows = [{{"image_id": row["image_id"], "scores": {{"All": {{"f": share(row)}}}}}} for row in json.load(open(inputs))]
print("chatter")
json.dump(rows[::-1], open(outputs, "w"))
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for CoreNLP beside a program that stands in for Java."""
    monkeypatch.setattr(spice, "_folder", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    java(tmp_path, JAVA)
    (tmp_path / "lib").mkdir()
    return tmp_path / "lib"


def java(folder: Path, program: str) -> None:
    (folder / "java").write_text(program)
    (folder / "java").chmod(0o755)


def test_a_missing_parser_is_an_error(library: Path) -> None:
    with pytest.raises(UsageError, match=r"SPICE needs stanford-corenlp-3\.6\.0\.jar; put it into .*--spice"):
        check_metrics("simple", spice=True)
    (library / "stanford-corenlp-3.6.0.jar").touch()
    with pytest.raises(UsageError, match=r"needs stanford-corenlp-3\.6\.0-models\.jar"):
        spice.check_spice()


def test_scores_are_in_the_order_of_the_captions(library: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar"):
        (library / name).touch()
    spice.check_spice()
    scores = score_captions(["a pond", "a road"], [["a pond ."], ["many trees", "a road"]], meteor=False, spice=True)
    assert scores.per_image["SPICE"].tolist() == [1, 0]
    assert scores.corpus["SPICE"] == 0.5
    assert capfd.readouterr().out == "", "the output of the program is not printed"
    assert "SPICE" not in score_captions(["a pond", "a road"], [["a pond ."], ["trees"]], meteor=False).corpus


def test_a_failing_program_is_an_error_of_one_line(library: Path) -> None:
    java(library.parent, f"#!{sys.executable}\nraise SystemExit('Could not reserve enough space\\nError: no VM')")
    with pytest.raises(UsageError, match=r"\(Could not reserve enough space\); leave out --spice"):
        spice.spice_of_each([["a pond"]], ["a pond"])


@pytest.mark.usefixtures("no_java")
def test_it_needs_java() -> None:
    with pytest.raises(UsageError, match="SPICE needs Java"):
        spice.check_spice()
