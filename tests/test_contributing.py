"""The code in CONTRIBUTING.md works, from outside of the package."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
REGISTRIES = {
    "rsmoe_cli.asking.scene_answer": "SCENE_RULES",
    "rsmoe_cli.formats.registry": "OUTPUT_FORMATS",
    "rsmoe_core.data.formats.registry": "FORMATS",
    "rsmoe_core.data.qa": "TRAINING_QUESTIONS",
    "rsmoe_core.model.vision.base": "ENCODERS",
    "rsmoe_core.questions.types": "QUESTION_TYPES",
    "rsmoe_core.roles": "EXPERTS",
}


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """Removes what a test registers. The encoders of the package register themselves once, on import."""
    for encoder in ("efficientnet_lite", "huggingface"):
        importlib.import_module(f"rsmoe_core.model.vision.{encoder}")
    found = [getattr(importlib.import_module(module), name) for module, name in REGISTRIES.items()]
    before = [registry.copy() for registry in found]
    yield
    for registry, entries in zip(found, before, strict=True):
        registry.clear()
        registry.extend(entries) if isinstance(registry, list) else registry.update(entries)


def run(recipe: str) -> dict[str, Any]:
    """What the code of a recipe defines."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.split(r"^##+ ", text.split(f"\n### {recipe}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    names: dict[str, Any] = {"__name__": "recipe"}
    for code in re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
        exec(compile(code, f"CONTRIBUTING.md: {recipe}", "exec"), names)
    assert len(names) > 2, "there is no code"
    return names


def test_every_recipe_is_tested() -> None:
    recipes = re.findall(r"^### (.*)$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    tested = re.findall(r'run\("(Add .*?)"\)', Path(__file__).read_text(encoding="utf-8"))
    assert set(recipes) == set(tested)


def test_an_output_format(tmp_path: Path) -> None:
    from pyproj import CRS
    from shapely import Point

    from rsmoe_cli.formats.base import Layer, Row
    from rsmoe_cli.formats.output import check_output

    run("Add an output format")
    columns = {"id": str, "caption": str}
    with check_output(tmp_path / "captions.csv").open(Layer("captions", columns, CRS(4326))) as writer:
        writer.write([Row("r0c0", {"id": "r0c0", "caption": "A pond, and trees."}, Point(1, 2))])
        writer.finish({"model": "nano"})
    assert (tmp_path / "captions.csv").read_text().splitlines() == [
        "id,caption,footprint",
        'r0c0,"A pond, and trees.",POINT (1 2)',
    ]


def test_an_expert() -> None:
    from rsmoe_core.roles import expert_targets_of
    from rsmoe_core.words.expert_targets import AnnotationFacts

    config = run("Add an expert")["config"]
    assert config.experts == ("theme", "objects", "relations", "colours")
    targets = expert_targets_of(AnnotationFacts.of(["a white airplane is near green trees ."]), config.experts)
    assert targets.drafts["colours"] == "white airplane, green tree"
    assert targets.prompts["colours"] == "name the colours of the objects"


def test_the_fourth_expert_is_part_of_a_model_and_of_its_descriptions() -> None:
    import torch

    from rsmoe_core.checkpoint.load import for_inference
    from rsmoe_core.loading import native_engine
    from rsmoe_core.model.rsmoe import build
    from rsmoe_core.model.tokenizer import Tokenizer
    from rsmoe_core.presets import tiny

    config = dataclasses.replace(tiny(), experts=run("Add an expert")["config"].experts)
    tokenizer = Tokenizer.train(["a white airplane is near green trees ."] * 2, 512, config.experts)
    language = dataclasses.replace(config.language, vocab_size=len(tokenizer))
    torch.manual_seed(0)
    model = build(dataclasses.replace(config, language=language), tokenizer)
    model.add_experts()
    [description] = native_engine(for_inference(model.eval())).caption([np.zeros((64, 64, 3), np.uint8)])
    assert set(description.drafts) == set(config.experts)


def test_an_image_encoder_and_a_language_model() -> None:
    import torch

    names = run("Add an image encoder or a language model")
    assert names["encoder"](torch.zeros(2, 3, 64, 64)).shape == (2, 16, 32)
    images = [np.full((32, 32, 3), value, np.uint8) for value in (250, 5)]
    descriptions = names["engine"].caption(images)
    assert [description.caption for description in descriptions] == ["A bright image.", "A dark image."]


def test_a_data_format(tmp_path: Path) -> None:
    from rsmoe_cli.main import app
    from rsmoe_core.data.formats.registry import read_dataset

    run("Add a data format")
    (tmp_path / "pond").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pond" / "a.png")
    (tmp_path / "classes.txt").write_text("pond/a.png\nriver/b.png\n")
    dataset = read_dataset(tmp_path)
    [sample] = dataset.samples
    assert (sample.image.name, sample.scene_class) == ("a.png", "pond")
    [problem] = dataset.problems
    assert "classes.txt:2" in problem
    result = CliRunner().invoke(app, ["data", "inspect", str(tmp_path)])
    assert result.exit_code == 0, result.output


def test_a_question_type() -> None:
    from rsmoe_core.data.base import Sample
    from rsmoe_core.data.qa import questions_of
    from rsmoe_core.questions.parser import parse_question

    run("Add a question type")
    parsed = parse_question("Is the area populated?")
    assert (parsed.type, parsed.canonical) == ("inhabited", "is this place inhabited?")
    samples = [
        Sample(Path(f"{name}.png"), "train", (), scene_class=name) for name in ("desert", "dense residential area")
    ]
    answers = [question.answer for own in questions_of(samples) for question in own if question.type == "inhabited"]
    assert answers == ["no", "yes"]
    assert scene_answer_of(parsed, ["no", "yes", "no"]) == "yes"


def scene_answer_of(parsed: Any, texts: list[str]) -> str:
    """The answer for a scene of a row of tiles with these answers."""
    from rsmoe_cli.asking.evidence import TileAnswer
    from rsmoe_cli.asking.scene_answer import scene_answer
    from rsmoe_cli.pipeline.stats import TileStats
    from rsmoe_cli.tiles.grid import Grid
    from rsmoe_core.types import Answer

    grid = Grid(len(texts) * 10, 10, 10, 0)
    answers = [TileAnswer(tile, Answer(text, 0.9), 10, 100, 1.0) for tile, text in zip(grid, texts, strict=True)]
    return scene_answer(parsed, grid.width, grid.height, answers, TileStats(answered=len(answers))).answer
