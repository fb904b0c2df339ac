from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from rsmoe_core.checkpoint.load import save_model
from rsmoe_core.types import EXPERTS
from tests.tiny import make_tiny

Cli = Callable[..., Result]
pytestmark = pytest.mark.usefixtures("no_java")


@pytest.fixture
def evaluate(rsmoe: Cli, karpathy_folder: Path) -> Cli:
    save_model(make_tiny(), Path("model"))
    return lambda *arguments: rsmoe("evaluate", "--model", "model", "--data", karpathy_folder, *arguments)


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Two pictures with questions, and answers to three of the four in `answers.jsonl`."""
    folder = tmp_path / "asked"
    folder.mkdir()
    rows, answers = [], []
    for name, trees, ships in (("a", "yes", "two"), ("b", "no", "5")):
        (folder / f"{name}.png").touch()
        questions = [
            {"text": "are there trees?", "answer": trees, "kind": "presence"},
            {"text": "how many ships are there?", "answer": ships, "kind": "count"},
        ]
        rows.append({"image": f"{name}.png", "split": "test", "questions": questions})
        answers.append({"image": f"{name}.png", "question": questions[0]["text"], "answer": "Yes.", "confidence": 0.9})
    answers.append({"image": "a.png", "question": "how many ships are there?", "answer": "3 ships"})
    for path, lines in ((folder / "annotations.jsonl", rows), (tmp_path / "answers.jsonl", answers)):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


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
    assert "is near a road .' said of every picture" in result.stdout


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
    _, table = evaluate("--ablate").stdout.split("Without each part")
    rows = [line.split(" | ")[0].strip("| ") for line in table.splitlines() if line.startswith("| ")]
    assert rows[1:] == names


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
        (("--markdown", "nowhere/results.md"), 2, "no folder nowhere"),
        (("--captions", "said.jsonl"), 2, "--model has no meaning with --captions; leave out one of them"),
        (("--scenes", "--ablate"), 2, "--ablate has no meaning with --scenes"),
        (("--scenes", "--spice"), 2, "--spice has no meaning with --scenes"),
        (("--spice",), 2, "SPICE needs Java"),
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


def test_answers_of_any_program_are_scored(rsmoe: Cli, asked: Path) -> None:
    result = rsmoe("evaluate", "--data", asked, "--answers", "answers.jsonl", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["answers"], found["pictures"], found["left_out"]) == ("answers.jsonl", 2, 0)
    assert found["scores"]["overall_accuracy"] == 1 / 4
    assert found["scores"]["unanswered"] == 1
    assert found["scores"]["counts"]["mae"] == 1
    assert found["baseline"]["kinds"]["presence"] == {"questions": 2, "accuracy": 0.5}


def test_lines_of_answers_that_cannot_be_used_are_told_and_counted(rsmoe: Cli, asked: Path) -> None:
    with Path("answers.jsonl").open("a") as file:
        file.write('{"image": "c.png", "question": "why?", "answer": "yes"}\n')
    result = rsmoe("evaluate", "--data", asked, "--answers", "answers.jsonl")
    assert result.exit_code == 0, result.stderr
    assert "left out: answers.jsonl:4: no picture 'c.png' in split 'test'" in result.stderr
    assert "unanswered: 1; lines left out: 1" in result.stdout
    assert "4 questions about 2 pictures" in result.stdout
    assert "Counts: 2 questions, 1 unreadable" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--answers", "nowhere.jsonl"), 2, "no file nowhere.jsonl"),
        (("--answers", "answers.jsonl", "--captions", "answers.jsonl"), 2, "--captions has no meaning with --answers"),
        (("--answers", "answers.jsonl", "--model", "nano"), 2, "--model has no meaning with --answers"),
        (("--captions", "answers.jsonl"), 1, "no sentences"),
        (("--scenes",), 1, "no picture in split 'test' has a scene"),
    ],
)
def test_what_questions_cannot_be_scored_by_is_refused(
    rsmoe: Cli, asked: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = rsmoe("evaluate", "--data", asked, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_captions_from_a_file_score_as_those_of_the_model(evaluate: Cli, rsmoe: Cli, karpathy_folder: Path) -> None:
    spoken = json.loads(evaluate("--json", "--predictions", "said.jsonl").stdout)
    read = json.loads(rsmoe("evaluate", "--data", karpathy_folder, "--captions", "said.jsonl", "--json").stdout)
    sources = {name: spoken.pop(name) for name in ("model", "revision")}
    assert (sources["model"], read.pop("captions")) == ("model", "said.jsonl")
    assert read == spoken
    lines = Path("said.jsonl").read_text().splitlines()
    Path("said.jsonl").write_text("\n".join(lines[1:]))
    incomplete = rsmoe("evaluate", "--data", karpathy_folder, "--captions", "said.jsonl")
    assert incomplete.exit_code == 1
    assert "no caption for 1 of 4 pictures, such as pond_91.jpg" in incomplete.stderr


def test_kinds_of_places_are_scored(evaluate: Cli) -> None:
    found = json.loads(evaluate("--scenes", "--json").stdout)
    assert set(found["classes"]) == {"pond", "airport", "river", "forest"}
    assert (found["overall"]["pictures"], found["baseline"]) == (4, 1 / 4)
    result = evaluate("--scenes")
    assert result.exit_code == 0, result.stderr
    assert "named by the theme" in result.stdout
    assert "Commonest mistakes" in result.stdout


def test_the_markdown_says_how_it_was_made(evaluate: Cli, karpathy_folder: Path) -> None:
    result = evaluate("--limit", "3", "--ablate", "--markdown", "results.md")
    assert result.exit_code == 0, result.stderr
    text = Path("results.md").read_text(encoding="utf-8")
    assert text.startswith("# model on pictures, test: 3 pictures\n")
    command = f"--data {karpathy_folder} --model model --limit 3 --ablate --markdown results.md"
    assert f"```console\nrsmoe evaluate {command}\n```" in text
    revision = json.loads(evaluate("--json").stdout)["revision"]
    assert f"model model; revision {revision}; rsmoe " in text
    for title in ("## Captions", "## Without each part", "## Kinds of place"):
        assert title in text


def test_files_are_scored_without_torch(
    asked: Path, karpathy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    captions = [{"image": f"{scene}_91.jpg", "caption": scene} for scene in ("pond", "airport", "river", "forest")]
    Path("captions.jsonl").write_text("\n".join(map(json.dumps, captions)))
    runs = (
        ["--data", str(asked), "--answers", "answers.jsonl"],
        ["--data", str(karpathy_folder), "--captions", "captions.jsonl", "--scenes", "--markdown", "results.md"],
        ["--data", str(karpathy_folder), "--captions", "captions.jsonl"],
    )
    code = f"""
import shutil, sys
from rsmoe_cli.main import app
shutil.which = lambda program: None
for run in {runs}:
    try:
        app(["evaluate", *run])
    except SystemExit as end:
        assert end.code == 0
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
