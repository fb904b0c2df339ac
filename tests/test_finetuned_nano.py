"""The built-in model learns a new scene class from a few dozen images, and still captions the others."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from rsmoe_cli.main import app
from rsmoe_core.data.base import Sample
from rsmoe_core.data.formats import plain
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.loading import load

NEW = "a solar farm with many solar panels is on the bare land ."
MAX_LOSS = 0.15
"""Of CIDEr on a hundred images of RSICD's test split."""


def solar_farm(number: int) -> np.ndarray:
    """Dark blue panels in rows on light sand, 224 x 224 pixels; every farm is different."""
    rng = np.random.default_rng(number)
    pixels = rng.normal((205, 180, 140), 9, (224, 224, 3))
    row, column = rng.integers(14, 22), rng.integers(30, 50)
    left, top = rng.integers(5, 25, size=2)
    for y in range(top, 224 - row, row):
        for x in range(left, 224 - column, column):
            pixels[y : y + row - 6, x : x + column - 4] = rng.normal((30, 45, 95), 6, (row - 6, column - 4, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def own_data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty-six solar farms, and half as many images of classes that the model knows."""
    folder = tmp_path_factory.mktemp("own")
    samples = []
    for number in range(36):
        image = folder / f"solar_{number}.png"
        Image.fromarray(solar_farm(number)).save(image)
        samples.append(Sample(image, "train", (NEW,), group=image.stem))
    for known in read_dataset(shared / "data" / "rsicd").split("train")[::485]:
        image = shutil.copy(known.image, folder)
        samples.append(dataclasses.replace(known, image=Path(image)))
    plain.write(folder, samples)
    return folder


def cider(shared: Path, model: str) -> float:
    data = ["--data", str(shared / "data" / "rsicd"), "--limit", "100", "--json"]
    result = CliRunner().invoke(app, ["evaluate", "captions", *data, "--model", model], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["scores"]["CIDEr"]


@pytest.mark.usefixtures("no_java")
def test_a_new_scene_class_is_named_and_the_others_still_are(own_data: Path, shared: Path, tmp_path: Path) -> None:
    unseen = [solar_farm(1000 + number) for number in range(6)]
    assert not any("solar" in description.caption.lower() for description in load("nano").caption(unseen))
    tuned = tmp_path / "tuned"
    result = CliRunner().invoke(app, ["finetune", "nano", "--data", str(own_data), "-o", str(tuned)])
    assert result.exit_code == 0, result.output
    captions = [description.caption.lower() for description in load(tuned).caption(unseen)]
    assert sum("solar" in caption for caption in captions) >= 5, captions
    assert cider(shared, str(tuned)) > cider(shared, "nano") - MAX_LOSS
