"""The model that ships learns a new kind of place from a few dozen pictures, and keeps what it knew."""

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
from rsmoe_core.engine import load

NEW = "a solar farm with many solar panels is on the bare land ."
LARGEST_FALL = 0.15
"""Of CIDEr on a hundred pictures of RSICD's test split."""


def solar_farm(number: int) -> np.ndarray:
    """Dark blue panels in rows on light sand, 224 x 224 pixels; every farm is another."""
    rng = np.random.default_rng(number)
    picture = rng.normal((205, 180, 140), 9, (224, 224, 3))
    row, column = rng.integers(14, 22), rng.integers(30, 50)
    left, top = rng.integers(5, 25, size=2)
    for y in range(top, 224 - row, row):
        for x in range(left, 224 - column, column):
            picture[y : y + row - 6, x : x + column - 4] = rng.normal((30, 45, 95), 6, (row - 6, column - 4, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def own(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty-six solar farms, and half as many pictures of what the model knows already."""
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
    done = CliRunner().invoke(app, ["evaluate", *data, "--model", model], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["scores"]["CIDEr"]


@pytest.mark.usefixtures("no_java")
def test_a_new_kind_of_place_is_named_and_the_old_ones_are_kept(own: Path, shared: Path, tmp_path: Path) -> None:
    unseen = [solar_farm(1000 + number) for number in range(6)]
    assert not any("solar" in said.caption.lower() for said in load("nano").caption(unseen))
    tuned = tmp_path / "tuned"
    done = CliRunner().invoke(app, ["finetune", "nano", "--data", str(own), "-o", str(tuned)])
    assert done.exit_code == 0, done.output
    said = [text.caption.lower() for text in load(tuned).caption(unseen)]
    assert sum("solar" in caption for caption in said) >= 5, said
    assert cider(shared, str(tuned)) > cider(shared, "nano") - LARGEST_FALL
