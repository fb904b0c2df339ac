from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Cli = Callable[..., Result]

QUICK = ("--max-steps", "2", "--validation-split", "0.2", "--precision", "fp32")


@pytest.mark.usefixtures("no_java")
def test_two_stages_and_an_evaluation(rsmoe: Cli, karpathy_folder: Path) -> None:
    result = rsmoe("train", "--stage", "1", "--preset", "tiny", "--data", karpathy_folder, "-o", "run", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "phase align: trains qformer, language: " in result.stderr
    assert result.stderr.splitlines()[-1] == "stage 1 is in run/stage1"

    result = rsmoe("train", "--stage", "2", "--from", "run/stage1", "--data", karpathy_folder, "-o", "run", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert "phase experts: trains router, theme, objects, relations: " in result.stderr
    assert "phase fusion: trains fusion: " in result.stderr
    for line in Path("run/stage2-work/experts/log.jsonl").read_text().splitlines():
        assert {"phase", "seconds", "step", "epoch"} <= set(json.loads(line))

    result = rsmoe(
        "evaluate", "captions", "--model", "run/stage2", "--data", karpathy_folder, "--split", "test", "--json"
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["images"] == 4


def test_options_may_come_from_a_file_and_the_command_line_takes_precedence(rsmoe: Cli, karpathy_folder: Path) -> None:
    Path("train.toml").write_text(
        f'stage = "1"\npreset = "tiny"\ndata = ["{karpathy_folder}"]\nout = "run"\nmax-steps = 1\n'
        "validation-split = 0.2\naccumulate = 2\npatience = 3\n"
    )
    assert rsmoe("train", "--config", "train.toml", "--max-steps", "2").exit_code == 0
    rows = [json.loads(line) for line in Path("run/stage1-work/align/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2]
    settings = json.loads(Path("run/stage1-work/settings.json").read_text())
    assert settings["processes x accumulate"] == 2
    assert [phase["patience"] for phase in settings["phases"]] == [3, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [("epoch = 3", "no option 'epoch'; choose from: accumulate, backbone"), ("epochs 3", "as TOML")],
)
def test_a_file_with_unknown_options_or_of_another_format_is_refused(rsmoe: Cli, text: str, message: str) -> None:
    Path("train.toml").write_text(text)
    result = rsmoe("train", "--config", "train.toml")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--stage", "3"), 2, "no stage '3'; choose one of: 1, 2"),
        (("--stage", "2"), 1, "run 'rsmoe train --stage 1' first"),
        (("--stage", "1", "--preset", "huge"), 2, "no preset 'huge'"),
        (("--stage", "1", "--preset", "tiny", "--from", "run/stage1"), 1, "starts from a preset"),
        (("--stage", "2", "--from", "nowhere"), 1, "nowhere: not a model folder"),
        (("--stage", "1", "--preset", "tiny", "--precision", "fp8"), 2, "no precision 'fp8'"),
        (("--stage", "1", "--preset", "tiny", "--validation-split", "0"), 1, "another --validation-split"),
        (("--stage", "1", "--preset", "tiny", "--backbone", "none.pth"), 1, "none.pth"),
    ],
)
def test_a_stage_that_cannot_start_is_refused_in_one_line(
    rsmoe: Cli, karpathy_folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = rsmoe("train", "--data", karpathy_folder, "-o", "run", *arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert not Path("run").exists()


def test_a_folder_that_is_missing_or_has_no_annotations_is_refused(rsmoe: Cli, tmp_path: Path) -> None:
    for name, message in (("nowhere", "no such folder"), (".", "dataset*.json")):
        result = rsmoe("train", "--stage", "1", "--preset", "tiny", "--data", name, "-o", "run")
        assert result.exit_code == 1
        assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_numbers_out_of_range_are_usage_errors(rsmoe: Cli, karpathy_folder: Path) -> None:
    outside = {"--seed": -1, "--epochs": 0, "--views": 0, "--validation-split": 0.9, "--accumulate": 0, "--patience": 0}
    for option, value in outside.items():
        result = rsmoe("train", "--stage", "1", "--data", karpathy_folder, "-o", "run", option, value)
        assert result.exit_code == 2
        assert f"Invalid value for '{option}'" in result.stderr
