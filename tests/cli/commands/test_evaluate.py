from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from rsmoe_core.checkpoint import save_model
from rsmoe_core.types import EXPERTS
from tests.tiny import make_tiny

Cli = Callable[..., Result]
pytestmark = pytest.mark.usefixtures("no_java")


@pytest.fixture
def evaluate(rsmoe: Cli, karpathy_folder: Path) -> Cli:
    save_model(make_tiny(), Path("model"))
    return lambda *arguments: rsmoe("evaluate", "--model", "model", "--data", karpathy_folder, *arguments)


def test_json_is_the_only_thing_on_stdout(evaluate: Cli, karpathy_folder: Path) -> None:
    result = evaluate("--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["model"], found["data"], found["split"]) == ("model", str(karpathy_folder), "test")
    assert (found["pictures"], found["tokenizer"]) == (4, "simple")
    assert set(found["scores"]) == set(found["baseline"]) == {f"BLEU-{n}" for n in range(1, 5)} | {"ROUGE-L", "CIDEr"}
    assert set(found["interval_95"]) == {"ROUGE-L", "CIDEr"}
    assert len(found["revision"]) == 12


def test_the_table_is_for_people(evaluate: Cli) -> None:
    result = evaluate("--limit", "3")
    assert result.exit_code == 0, result.stderr
    assert "test: 3 pictures" in result.stdout
    assert "CIDEr" in result.stdout
    assert "is near a road .' said of every picture" in result.stderr


def test_predictions_hold_what_everyone_said(evaluate: Cli) -> None:
    result = evaluate("--json", "--predictions", "said.jsonl", "--batch-size", "3")
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in Path("said.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["image"] for row in rows] == [f"{scene}_91.jpg" for scene in ("pond", "airport", "river", "forest")]
    for row in rows:
        assert set(row["prompts"]) == {"theme", "objects", "relations"}
        assert {"caption", "theme", "objects", "relations", "confidence"} <= set(row)
        assert len(row["references"]) == 5


def test_the_contact_sheet_is_a_picture(evaluate: Cli) -> None:
    assert evaluate("--json", "--sheet", "sheet.png").exit_code == 0
    with Image.open("sheet.png") as sheet:
        assert sheet.width > 1000
    assert evaluate("--json", "--sheet", "sheet.txt").exit_code == 2


def test_ablation_is_one_table_of_the_model_without_each_part(evaluate: Cli) -> None:
    names = ["whole", "no router", *(f"no {e}" for e in EXPERTS), *(f"{e} alone" for e in EXPERTS)]
    names += ["join instead of fusion", "stage 1 only"]
    found = json.loads(evaluate("--json", "--ablate").stdout)
    assert list(found["ablation"]) == names
    assert found["ablation"]["whole"] == {"scores": found["scores"], "interval_95": found["interval_95"]}
    table = [line for line in evaluate("--ablate").stdout.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0].strip("| ") for line in table[1:]] == names


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--split", "dev"), 1, "no picture in split 'dev'; it has: test, train"),
        (("--tokenizer", "moses"), 2, "simple, ptb"),
        (("--tokenizer", "ptb"), 2, "need Java"),
        (("--model", "nowhere"), 2, "no model 'nowhere'"),
        (("--data", "nowhere"), 1, "no such folder"),
        (("--predictions", "nowhere/said.jsonl"), 2, "no folder nowhere"),
        (("--device", "toaster"), 2, "--device cpu"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(
    evaluate: Cli, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = evaluate("--json", *arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_pictures_that_were_left_out_are_named(evaluate: Cli, karpathy_folder: Path) -> None:
    (karpathy_folder / "test" / "pond_91.jpg").unlink()
    result = evaluate("--json")
    assert json.loads(result.stdout)["pictures"] == 3
    assert "left out: " in result.stderr
    assert "pond_91.jpg is missing" in result.stderr


def test_a_stage_1_model_is_refused(rsmoe: Cli, karpathy_folder: Path) -> None:
    save_model(make_tiny(experts=False), Path("model"))
    result = rsmoe("evaluate", "--model", "model", "--data", karpathy_folder)
    assert result.exit_code == 1
    assert "train stage 2" in result.stderr


def test_predictions_cannot_be_a_folder(evaluate: Cli) -> None:
    assert evaluate("--predictions", "model").exit_code == 2
