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
from rsmoe_core.roles import DEFAULT_EXPERTS
from tests.tiny import make_tiny

Cli = Callable[..., Result]
pytestmark = pytest.mark.usefixtures("no_java")


@pytest.fixture
def evaluate(rsmoe: Cli, karpathy_folder: Path) -> Cli:
    """`rsmoe evaluate captions` of a tiny model, or another command where its name is given first."""
    save_model(make_tiny(), Path("model"))

    def run(*arguments: object) -> Result:
        command, *rest = arguments if arguments and arguments[0] in ("answers", "scenes") else ("captions", *arguments)
        return rsmoe("evaluate", command, "--model", "model", "--data", karpathy_folder, *rest)

    return run


@pytest.fixture
def questions_folder(tmp_path: Path) -> Path:
    """Two images with questions, and answers to three of the four in `answers.jsonl`."""
    folder = tmp_path / "questions"
    folder.mkdir()
    rows, answers = [], []
    for name, trees, ships in (("a", "yes", "two"), ("b", "no", "5")):
        (folder / f"{name}.png").touch()
        questions = [
            {"text": "are there trees?", "answer": trees, "type": "presence"},
            {"text": "how many ships are there?", "answer": ships, "type": "count"},
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
    assert (found["images"], found["tokenizer"]) == (4, "simple")
    assert set(found["scores"]) == set(found["baseline"]) == {f"BLEU-{n}" for n in range(1, 5)} | {"ROUGE-L", "CIDEr"}
    assert set(found["interval_95"]) == {"ROUGE-L", "CIDEr"}
    assert len(found["revision"]) == 12


def test_the_table_is_for_people(evaluate: Cli) -> None:
    result = evaluate("--limit", "3")
    assert result.exit_code == 0, result.stderr
    assert "test: 3 images" in result.stdout
    assert "CIDEr" in result.stdout
    assert "is near a road .' for every image" in result.stdout


def test_saved_predictions_hold_all_that_was_generated(evaluate: Cli) -> None:
    result = evaluate("--json", "--save-predictions", "predictions.jsonl", "--batch-size", "3")
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in Path("predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["image"] for row in rows] == [f"{scene}_91.jpg" for scene in ("pond", "airport", "river", "forest")]
    for row in rows:
        assert set(row) == {"image", "caption", "confidence", "drafts", "prompts", "references"}
        assert set(row["drafts"]) == set(row["prompts"]) == set(DEFAULT_EXPERTS)
        assert len(row["references"]) == 5


def test_the_contact_sheet_is_an_image(evaluate: Cli) -> None:
    assert evaluate("--json", "--sheet", "sheet.png").exit_code == 0
    with Image.open("sheet.png") as sheet:
        assert sheet.width > 1000
    assert evaluate("--json", "--sheet", "sheet.txt").exit_code == 2


def test_ablation_is_one_table_of_the_model_without_each_part(evaluate: Cli) -> None:
    names = ["full model", "no router", *(f"no {e}" for e in DEFAULT_EXPERTS), *(f"{e} alone" for e in DEFAULT_EXPERTS)]
    names += ["join instead of fusion", "stage 1 only"]
    found = json.loads(evaluate("--json", "--ablate").stdout)
    assert list(found["ablations"]) == names
    assert found["ablations"]["full model"] == {"scores": found["scores"], "interval_95": found["interval_95"]}
    _, table = evaluate("--ablate").stdout.split("Ablations")
    rows = [line.split(" | ")[0].strip("| ") for line in table.splitlines() if line.startswith("| ")]
    assert rows[1:] == names


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--split", "dev"), 1, "no image in split 'dev'; it has: test, train"),
        (("--tokenizer", "moses"), 2, "simple, ptb"),
        (("--tokenizer", "ptb"), 2, "need Java"),
        (("--model", "nowhere"), 2, "no model 'nowhere'"),
        (("--data", "nowhere"), 1, "no such folder"),
        (("--save-predictions", "nowhere/predictions.jsonl"), 2, "no folder nowhere"),
        (("--device", "toaster"), 2, "--device cpu"),
        (("--markdown", "nowhere/results.md"), 2, "no folder nowhere"),
        (("--predictions", "some.jsonl"), 2, "--model has no meaning with --predictions; leave out one of them"),
        (("scenes", "--save-predictions", "nowhere/some.jsonl"), 2, "give another --save-predictions"),
        (("--spice",), 2, "SPICE needs Java"),
    ],
)
def test_errors_are_one_line(evaluate: Cli, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = evaluate(*arguments, "--json")
    assert result.exit_code == code
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_images_that_were_left_out_are_named(evaluate: Cli, karpathy_folder: Path) -> None:
    (karpathy_folder / "test" / "pond_91.jpg").unlink()
    result = evaluate("--json")
    assert json.loads(result.stdout)["images"] == 3
    assert "left out: " in result.stderr
    assert "pond_91.jpg is missing" in result.stderr


def test_a_stage_1_model_is_an_error(rsmoe: Cli, karpathy_folder: Path) -> None:
    save_model(make_tiny(experts=False), Path("model"))
    result = rsmoe("evaluate", "captions", "--model", "model", "--data", karpathy_folder)
    assert result.exit_code == 1
    assert "train stage 2" in result.stderr


def test_predictions_cannot_be_saved_to_a_folder(evaluate: Cli) -> None:
    assert evaluate("--save-predictions", "model").exit_code == 2


def test_options_of_captions_belong_to_no_other_command(evaluate: Cli) -> None:
    for option in ("--ablate", "--spice", "--sheet", "--tokenizer"):
        for command in ("answers", "scenes"):
            result = evaluate(command, option)
            assert result.exit_code == 2
            assert option in result.stderr


def test_answers_of_any_program_are_scored(rsmoe: Cli, questions_folder: Path) -> None:
    result = rsmoe("evaluate", "answers", "--data", questions_folder, "--predictions", "answers.jsonl", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["predictions"], found["images"], found["left_out"]) == ("answers.jsonl", 2, 0)
    assert found["scores"]["overall_accuracy"] == 1 / 4
    assert found["scores"]["unanswered"] == 1
    assert found["scores"]["counts"]["mae"] == 1
    assert found["baseline"]["types"]["presence"] == {"questions": 2, "accuracy": 0.5}


def test_lines_of_answers_that_cannot_be_used_are_reported_and_counted(rsmoe: Cli, questions_folder: Path) -> None:
    with Path("answers.jsonl").open("a") as file:
        file.write('{"image": "c.png", "question": "why?", "answer": "yes"}\n')
    result = rsmoe("evaluate", "answers", "--data", questions_folder, "--predictions", "answers.jsonl")
    assert result.exit_code == 0, result.stderr
    assert "left out: answers.jsonl:4: no image 'c.png' in split 'test'" in result.stderr
    assert "unanswered: 1; lines left out: 1" in result.stdout
    assert "4 questions about 2 images" in result.stdout
    assert "Counts: 2 questions, 1 unreadable" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("answers", "--predictions", "nowhere.jsonl"), 2, "no file nowhere.jsonl"),
        (("answers", "--predictions", "answers.jsonl", "--model", "nano"), 2, "--model has no meaning with --pred"),
        (("scenes", "--predictions", "answers.jsonl", "--precision", "bf16"), 2, "--precision has no meaning with"),
        (("captions", "--predictions", "answers.jsonl", "--ablate"), 2, "--ablate has no meaning with --predictions"),
        (
            ("captions", "--predictions", "answers.jsonl", "--save-predictions", "other.jsonl"),
            2,
            "--save-predictions has no meaning with --predictions",
        ),
        (("captions", "--predictions", "answers.jsonl"), 1, "no captions"),
        (("scenes",), 1, "no image in split 'test' has a scene class"),
    ],
)
def test_errors_with_predictions_are_one_line(
    rsmoe: Cli, questions_folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    command, *rest = arguments
    result = rsmoe("evaluate", command, "--data", questions_folder, *rest)
    assert (result.exit_code, result.stdout) == (code, "")
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_the_answers_of_a_model_are_scored(evaluate: Cli, questions_folder: Path) -> None:
    for name, brightness in (("a", 50), ("b", 200)):
        Image.new("RGB", (64, 64), (brightness, brightness, brightness)).save(questions_folder / f"{name}.png")
    result = evaluate("answers", "--data", questions_folder, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["model"], found["images"], found["left_out"]) == ("model", 2, 0)
    assert (found["scores"]["questions"], found["scores"]["unanswered"]) == (4, 0)
    assert found["majority_baseline"] == {"answers": {"presence": "yes", "count": "2"}, "median_count": 2}


def test_captions_from_a_file_score_as_those_of_the_model(evaluate: Cli, rsmoe: Cli, karpathy_folder: Path) -> None:
    by_model = json.loads(evaluate("--json", "--save-predictions", "saved.jsonl").stdout)
    command = ("evaluate", "captions", "--data", karpathy_folder, "--predictions", "saved.jsonl")
    read = json.loads(rsmoe(*command, "--json").stdout)
    source = {name: by_model.pop(name) for name in ("model", "revision")}
    assert (source["model"], read.pop("predictions")) == ("model", "saved.jsonl")
    assert read == by_model
    lines = Path("saved.jsonl").read_text().splitlines()
    Path("saved.jsonl").write_text("\n".join(lines[1:]))
    incomplete = rsmoe(*command)
    assert incomplete.exit_code == 1
    assert "no caption for 1 of 4 images, such as pond_91.jpg" in incomplete.stderr


def test_scene_classes_are_scored(evaluate: Cli) -> None:
    found = json.loads(evaluate("scenes", "--json").stdout)
    assert set(found["classes"]) == {"pond", "airport", "river", "forest"}
    assert (found["overall"]["images"], found["baseline"]) == (4, 1 / 4)
    result = evaluate("scenes")
    assert result.exit_code == 0, result.stderr
    assert "named by the theme" in result.stdout
    assert "Most frequent mistakes" in result.stdout


def test_the_markdown_has_its_provenance(evaluate: Cli, karpathy_folder: Path) -> None:
    result = evaluate("--limit", "3", "--ablate", "--markdown", "results.md")
    assert result.exit_code == 0, result.stderr
    text = Path("results.md").read_text(encoding="utf-8")
    assert text.startswith("# model on images, test: 3 images\n")
    command = f"--data {karpathy_folder} --limit 3 --markdown results.md --model model --ablate"
    assert f"```console\nrsmoe evaluate captions {command}\n```" in text
    revision = json.loads(evaluate("--json").stdout)["revision"]
    assert f"model model; revision {revision}; rsmoe " in text
    for title in ("## Captions", "## Ablations", "## Scene classes"):
        assert title in text


def test_predictions_are_scored_without_torch(
    questions_folder: Path, karpathy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    captions = [{"image": f"{scene}_91.jpg", "caption": scene} for scene in ("pond", "airport", "river", "forest")]
    Path("captions.jsonl").write_text("\n".join(map(json.dumps, captions)))
    runs = (
        ["answers", "--data", str(questions_folder), "--predictions", "answers.jsonl"],
        ["scenes", "--data", str(karpathy_folder), "--predictions", "captions.jsonl", "--markdown", "results.md"],
        ["captions", "--data", str(karpathy_folder), "--predictions", "captions.jsonl"],
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
