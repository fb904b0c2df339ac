"""A tiny rs-moe-1b of transformers' own classes: train, caption, evaluate, export, finetune; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from rsmoe_core.training.log import read_log
from tests.cli.rasters import rgb

Cli = Callable[..., Result]

COMMON = 'views = 1\nvalidation-split = 0.2\nprecision = "fp32"\nepochs = 1\n'
FIRST = """
[lora]
rank = 4
alpha = 8
[tokens]
prompt_tokens = 10
draft_tokens = 5
caption_tokens = 8
[phases.align]
learning_rate = 1e-2
images_per_step = 8
"""


def write_questions(folder: Path) -> Path:
    """Two images with two questions each."""
    folder.mkdir()
    questions = [
        {"text": "are there trees?", "answer": "yes", "type": "presence"},
        {"text": "what is the theme of this picture?", "answer": "pond", "type": "scene"},
    ]
    rows = []
    for name in ("a.png", "b.png"):
        Image.new("RGB", (32, 32), (20, 60, 160)).save(folder / name)
        rows.append({"image": name, "split": "test", "questions": questions})
    (folder / "annotations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.usefixtures("no_java")
def test_the_paper_s_model_from_its_base_to_an_ablation(
    rsmoe: Cli, karpathy_folder: Path, vlm: Callable[[str], Path]
) -> None:
    def run(*arguments: object) -> Result:
        result = rsmoe(*arguments)
        assert result.exit_code == 0, result.stderr
        return result

    Path("one.toml").write_text(COMMON + FIRST)
    Path("two.toml").write_text(COMMON + "[phases.experts]\nlearning_rate = 1e-2\n")
    data = ("--data", karpathy_folder, "-o", "run", "--max-images", "16")
    base = ("--preset", "rs-moe-1b", "--base", vlm("instructblip"))
    result = run("train", "--stage", "1", *base, *data, "--config", "one.toml", "--gradient-checkpointing")
    assert "phase align: trains connector, language: " in result.stderr
    assert [row["step"] for row in read_log(Path("run/stage1-work/align")) if "loss" in row] == [1, 2]
    result = run("train", "--stage", "2", "--from", "run/stage1", *data, "--config", "two.toml")
    assert "phase experts: trains router, theme, objects, relations: " in result.stderr
    mixture = json.loads(Path("run/stage2/mixture.json").read_text())
    assert (mixture["preset"], mixture["stage"], mixture["lora"]["rank"]) == ("rs-moe-1b", "2", 4)

    scene = rgb(Path("scene.tif"), 48, 64)
    run("caption", scene, "-o", "captions.geojson", "--model", "run/stage2", "--device", "cpu", "--tile-size", "32")
    tiles = json.loads(Path("captions.geojson").read_text())["features"]
    assert {tile["properties"]["status"] for tile in tiles} == {"ok"}
    assert any(tile["properties"]["caption"] for tile in tiles)

    evaluate = ("--data", karpathy_folder, "--model", "run/stage2", "--json")
    found = json.loads(run("evaluate", "captions", *evaluate, "--ablate").stdout)
    assert found["images"] == 4
    asked = ("--data", write_questions(Path("asked")), "--model", "run/stage2", "--json")
    assert json.loads(run("evaluate", "answers", *asked).stdout)["model"] == "run/stage2"
    exported = run("models", "export", "run/stage2", "-o", "whole")
    assert "8 images: the same prompts, drafts and captions, with its base and without" in exported.stderr
    assert Path("whole/base/config.json").is_file()
    run("finetune", "run/stage2", "--data", karpathy_folder, "-o", "mine", "--config", "two.toml")
    assert json.loads(Path("mine/mixture.json").read_text())["stage"] == "finetune"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--base", "nowhere"), "no folder 'nowhere'"),
        (("--base", "no/such-model"), "'no/such-model' is not in the cache"),
        (("--preset", "rs-moe-2b"), "choose one of: nano, tiny, rs-moe-1b, rs-moe-3b, rs-moe-7b"),
        (("--preset", "rs-moe-1b"), "'Salesforce/instructblip-vicuna-7b' is not in the cache"),
        (("--preset", "rs-moe-1b", "--revision", "v1"), "composed of two models; leave --revision out"),
        (("--preset", "tiny", "--quantize", "4bit"), "--quantize is for mixtures on a base; leave it out"),
        (("--base", "nowhere", "--backbone", "x"), "--backbone is for native models"),
        (("--base", "nowhere", "--from", "x"), "leave out --base and --preset"),
    ],
)
def test_a_base_that_cannot_be_had_gives_one_line(
    rsmoe: Cli, karpathy_folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = rsmoe("train", "--stage", "1", "--data", karpathy_folder, "-o", "run", "--precision", "fp32", *arguments)
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) <= 2, "a note that the base is composed may come first"
    assert not Path("run/base").exists()
    assert not Path("run/stage1").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[phases.adapt]\nepochs = 1", "[phases.adapt]: stage 1 has no such phase; choose from: align"),
        ("[phases.align]\nlr = 1", "[phases.align]: no setting 'lr'; choose from: consensus, "),
        ("[phases.align]\nepochs = 0", "[phases.align]: epochs = 0 does not fit; its default is 3"),
        ('[lora]\nrank = "4"', "[lora]: rank = '4' does not fit; its default is 16"),
        ("[tokens]\nwords = 4", "[tokens]: no setting 'words'; choose from: prompt_tokens, "),
        ("lora = 4", "lora: expected a table of settings, found 4"),
        ('[parts]\ntext = "x"', "[parts] has no meaning here: the base is not composed; leave it out"),
        ("[layers]\nrank = 4", "no option 'layers'; choose from: "),
    ],
)
def test_tables_of_settings_are_checked(
    rsmoe: Cli, karpathy_folder: Path, vlm: Callable[[str], Path], text: str, message: str
) -> None:
    Path("train.toml").write_text(text)
    base = ("--base", vlm("instructblip"), "--precision", "fp32")
    result = rsmoe("train", "--stage", "1", *base, "--data", karpathy_folder, "-o", "run", "--config", "train.toml")
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("run").exists()


def test_a_base_without_experts_is_not_fine_tuned(
    rsmoe: Cli, karpathy_folder: Path, vlm: Callable[[str], Path]
) -> None:
    result = rsmoe("finetune", vlm("llava"), "--data", karpathy_folder, "-o", "mine")
    assert result.exit_code == 1
    assert "is a model of transformers without experts; train them on it first: 'rsmoe train --stage 1" in result.stderr
