from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.data.base import Boxes, Sample
from rsmoe_core.data.formats import plain
from rsmoe_core.training.objectives.crops import AnnotatedImage
from rsmoe_core.training.objectives.detection import draws_of, focal_loss, marked_pictures
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.stages import STAGES, Phase

NEAR = Phase("near", "count", ("near",), windows=(8, 8, 8), epochs=3, learning_rate=5e-3, images_per_step=4)
FAR = Phase("far", "count", ("far",), windows=(8,), epochs=1, learning_rate=5e-3, images_per_step=4)
COUNT = dataclasses.replace(STAGES["count"], phases=(NEAR, FAR))


def write_dots(root: Path, count: int = 12) -> Path:
    """Pictures with white squares on a dark ground, each boxed as a ship."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(count):
        pixels = rng.integers(0, 40, (160, 160, 3)).astype(np.uint8)
        boxes = []
        for _ in range(int(rng.integers(1, 5))):
            x, y = rng.integers(12, 148, 2)
            pixels[y - 6 : y + 6, x - 6 : x + 6] = 250
            boxes.append((float(x), float(y), 12.0, 12.0))
        path = root / f"{number}.png"
        Image.fromarray(pixels).save(path)
        far = {"metres_per_pixel": 10.0} if number % 3 == 0 else {}
        samples.append(Sample(path, "train", (), group=f"s{number}", boxes=Boxes("ship", tuple(boxes)), **far))
    plain.write(root, samples)
    return root


def test_a_stage_trains_counters_and_nothing_else(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "dots").mkdir()
    data = write_dots(tmp_path / "dots")
    said: list[str] = []
    recipe = TrainConfig((data,), tmp_path / "run", holdout=0.3, bf16=False)
    folder = run_stage(COUNT, recipe, start=tiny_folder, say=said.append)
    before, after = load_model(tiny_folder), load_model(folder)
    assert not before.detectors
    assert set(after.detectors) == {"near", "far"}
    assert sorted(after.config.detection.classes) == sorted(("airplane", "ship", "tree", "distant ship"))
    assert all(
        torch.equal(v.half(), after.qformer.state_dict()[k].half()) for k, v in before.qformer.state_dict().items()
    )
    assert any("trains near: " in line for line in said)
    losses = [
        row["loss"]
        for row in map(json.loads, (tmp_path / "run/stagecount-work/near/log.jsonl").open())
        if "loss" in row
    ]
    assert np.mean(losses[-2:]) < np.mean(losses[:2])
    ship = after.config.detection.classes.index("ship")
    assert (after.config.detection.thresholds[ship], after.config.detection.slopes[ship]) != (0.3, 1.0)


def test_marks_are_seen_by_the_sight_of_their_sensor() -> None:
    marks = Boxes("ship", ((1.0, 2.0, 3.0, 4.0),))
    near = Sample(Path("a.png"), "train", (), boxes=marks)
    far = dataclasses.replace(near, metres_per_pixel=10.0)
    forest = Sample(Path("c.png"), "train", ("many trees are in a forest .",), "forest")
    found = marked_pictures([near, far, forest], ("airplane", "ship", "tree"))
    assert AnnotatedImage(Path("a.png"), "ship", marks.boxes) in found
    assert AnnotatedImage(Path("c.png"), "ship", ()) in found
    assert all(picture.image != Path("b.png") for picture in found)
    assert marked_pictures([near, far, forest], ("distant ship",)) == [
        AnnotatedImage(Path("a.png"), "distant ship", marks.boxes, 10.0)
    ]


def test_each_sight_gets_its_windows() -> None:
    full = [AnnotatedImage(Path(f"{n}.png"), "ship", ((1.0, 1.0, 1.0, 1.0),)) for n in range(3)]
    empty = [AnnotatedImage(Path(f"e{n}.png"), "ship", ()) for n in range(50)]
    draws = draws_of([*full, *empty], {"ship": 12})
    assert [sum(d.image == f.image for d in draws) for f in full] == [4, 4, 4]
    assert sum(not d.boxes for d in draws) == 6


def test_the_loss_is_least_where_heat_is_right() -> None:
    truth = torch.zeros(1, 8, 8)
    truth[0, 3, 3] = 1
    right = torch.full((1, 8, 8), -6.0)
    right[0, 3, 3] = 6.0
    cold, hot = torch.full((1, 8, 8), -6.0), torch.full((1, 8, 8), 6.0)
    assert focal_loss(right, truth) < 0.01
    assert focal_loss(cold, truth) > 1
    assert focal_loss(hot, truth) > focal_loss(cold, truth)


@pytest.mark.parametrize("windows", [1, 5])
def test_few_windows_are_spread_over_the_pictures(windows: int) -> None:
    full = [AnnotatedImage(Path(f"{n}.png"), "ship", ((1.0, 1.0, 1.0, 1.0),)) for n in range(10)]
    assert len({d.image for d in draws_of(full, {"ship": windows})}) == windows
