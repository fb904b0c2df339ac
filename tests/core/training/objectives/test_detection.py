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
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.objectives.crops import AnnotatedImage
from rsmoe_core.training.objectives.detection import DetectionObjective, annotated_images, epoch_images, focal_loss
from rsmoe_core.training.phases import DetectionSettings, Phase
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.stages import find_stage
from tests.core.training.conftest import training_sample
from tests.tiny import make_tiny

NEAR = Phase("near", ("near",), DetectionSettings((8, 8, 8)), epochs=3, learning_rate=5e-3, images_per_step=4)
FAR = Phase("far", ("far",), DetectionSettings((8,)), epochs=1, learning_rate=5e-3, images_per_step=4)
DETECT = dataclasses.replace(find_stage("detect"), phases=(NEAR, FAR))


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    """Images with white squares on dark ground, each annotated as a ship."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "dots"
    folder.mkdir()
    samples = []
    for number in range(12):
        pixels = rng.integers(0, 40, (160, 160, 3)).astype(np.uint8)
        boxes = []
        for _ in range(int(rng.integers(1, 5))):
            x, y = rng.integers(12, 148, 2)
            pixels[y - 6 : y + 6, x - 6 : x + 6] = 250
            boxes.append((float(x), float(y), 12.0, 12.0))
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        metres = 10.0 if number % 3 == 0 else None
        ships = Boxes("ship", tuple(boxes))
        samples.append(Sample(path, "train", (), group=f"s{number}", boxes=ships, metres_per_pixel=metres))
    plain.write(folder, samples)
    return folder


def calibration(model: RSMoE, name: str) -> tuple[float, float]:
    detection = model.config.detection
    index = detection.classes.index(name)
    return detection.thresholds[index], detection.slopes[index]


def test_a_stage_trains_detectors_and_nothing_else(tmp_path: Path, tiny_folder: Path, dots: Path) -> None:
    reported: list[str] = []
    config = TrainConfig((dots,), tmp_path / "run", validation_split=0.3, bf16=False)
    folder = run_stage(DETECT, config, start=tiny_folder, report=reported.append)
    assert folder == tmp_path / "run/detect"
    before, after = load_model(tiny_folder), load_model(folder)
    assert not before.detectors
    assert set(after.detectors) == {"near", "far"}
    assert sorted(after.config.detection.classes) == sorted(("airplane", "ship", "tree", "distant ship"))
    assert all(
        torch.equal(v.half(), after.qformer.state_dict()[k].half()) for k, v in before.qformer.state_dict().items()
    )
    assert any("trains near: " in line for line in reported)
    rows = map(json.loads, (tmp_path / "run/detect-work/near/log.jsonl").open())
    losses = [row["loss"] for row in rows if "loss" in row]
    assert np.mean(losses[-2:]) < np.mean(losses[:2])
    assert calibration(after, "ship") != (0.3, 1.0)


def test_validation_changes_nothing_and_calibration_sets_what_it_fitted(tmp_path: Path, dots: Path) -> None:
    model = make_tiny()
    model.add_detector("near")
    data = TrainingData([training_sample(sample) for sample in read_dataset(dots).samples], FeatureBank.of([]))
    options = RunOptions(tmp_path, bf16=False)
    objective = DetectionObjective(model, NEAR, DetectionSettings((8, 8, 8)), data, data, options)
    config = model.config
    objective.calibrate()
    assert model.config == config, "nothing was validated yet"
    score, figures = objective.validate()
    assert (score, model.config) == (-figures["validation_error_ship"], config)
    objective.calibrate()
    assert calibration(model, "ship") != (0.3, 1.0)
    assert calibration(model, "tree") == (0.3, 1.0), "no image shows trees"


def test_boxes_belong_to_the_class_of_their_sensor() -> None:
    boxes = Boxes("ship", ((1.0, 2.0, 3.0, 4.0),))
    near = Sample(Path("a.png"), "train", (), boxes=boxes)
    far = dataclasses.replace(near, image=Path("b.png"), metres_per_pixel=10.0)
    forest = Sample(Path("c.png"), "train", ("many trees are in a forest .",), "forest")
    found = annotated_images([near, far, forest], ("airplane", "ship", "tree"))
    assert AnnotatedImage(Path("a.png"), "ship", boxes.cxcywh) in found
    assert AnnotatedImage(Path("c.png"), "ship", ()) in found
    assert all(one.image != Path("b.png") for one in found)
    assert annotated_images([near, far, forest], ("distant ship",)) == [
        AnnotatedImage(Path("b.png"), "distant ship", boxes.cxcywh, 10.0)
    ]


def test_each_class_gets_its_number_of_crops() -> None:
    full = [AnnotatedImage(Path(f"{n}.png"), "ship", ((1.0, 1.0, 1.0, 1.0),)) for n in range(3)]
    empty = [AnnotatedImage(Path(f"e{n}.png"), "ship", ()) for n in range(50)]
    drawn = epoch_images([*full, *empty], {"ship": 12})
    assert [sum(one.image == image.image for one in drawn) for image in full] == [4, 4, 4]
    assert sum(not one.boxes for one in drawn) == 6


@pytest.mark.parametrize("crops", [1, 5])
def test_few_crops_are_spread_over_the_images(crops: int) -> None:
    full = [AnnotatedImage(Path(f"{n}.png"), "ship", ((1.0, 1.0, 1.0, 1.0),)) for n in range(10)]
    assert len({one.image for one in epoch_images(full, {"ship": crops})}) == crops


def test_the_loss_is_smallest_where_the_heatmap_is_right() -> None:
    truth = torch.zeros(1, 8, 8)
    truth[0, 3, 3] = 1
    right = torch.full((1, 8, 8), -6.0)
    right[0, 3, 3] = 6.0
    nowhere, everywhere = torch.full((1, 8, 8), -6.0), torch.full((1, 8, 8), 6.0)
    assert focal_loss(right, truth) < 0.01
    assert focal_loss(nowhere, truth) > 1
    assert focal_loss(everywhere, truth) > focal_loss(nowhere, truth)
