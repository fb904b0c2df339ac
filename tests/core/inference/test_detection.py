from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from rsmoe_core.config import DetectionConfig
from rsmoe_core.errors import ImageError
from rsmoe_core.inference.answers import Looked, find_things
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.model.detector import CELL, DETECTOR_CLASSES
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.types import Request

CONFIG = DetectionConfig(classes=("ship",), thresholds=(0.5,), slopes=(1.0,), log_count_stds=(0.2,))


class Bright(nn.Module):
    """Stands for a detector that has learned that white is a ship."""

    classes = ("ship",)

    def forward(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        brightness = pixels_BCHW.mean(dim=1, keepdim=True)
        return 8 * torch.nn.functional.avg_pool2d(brightness, CELL)


@pytest.fixture(scope="module")
def detectors() -> Detectors:
    return Detectors({"near": Bright()}, CONFIG, "cpu")  # type: ignore[dict-item]


def sea(width: int, height: int, spots: list[tuple[int, int]], side: int = 8) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in spots:
        image[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = 255
    return image


def places(detectors: Detectors, request: Request) -> list[tuple[int, int]]:
    return sorted((round(f.x), round(f.y)) for f in detectors.find(request, "ship") if f.confidence > 0.5)


@pytest.mark.parametrize(("width", "height"), [(100, 80), (17, 90), (1500, 700)])
def test_things_are_found_where_they_are(detectors, width, height):
    rng = np.random.default_rng(0)
    spots = sorted(
        {(int(x) // 40 * 40 + 8, int(y) // 40 * 40 + 8) for x, y in rng.uniform(0, (width - 16, height - 16), (12, 2))}
    )
    found = places(detectors, Request(sea(width, height, spots)))
    assert len(found) == len(spots)
    assert np.abs(np.array(found) - np.array(spots)).max() <= CELL


def test_places_are_those_of_the_picture_whatever_its_scale(detectors):
    coarse = Request(sea(100, 100, [(30, 60)]), metres_per_pixel=2.0)  # looked at twice as large
    assert np.abs(np.array(places(detectors, coarse)) - (30, 60)).max() <= CELL / 2
    (found,) = [f for f in detectors.find(coarse, "ship") if f.confidence > 0.5]
    assert found.nms_radius == DETECTOR_CLASSES["ship"].nms_radius / 2


def test_what_was_not_observed_holds_nothing(detectors):
    image = sea(100, 100, [(30, 60), (80, 20)])
    valid = np.ones((100, 100), bool)
    valid[:, 60:] = False
    (left,) = places(detectors, Request(image, valid))
    assert np.abs(np.array(left) - (30, 60)).max() <= CELL


def test_a_threshold_is_where_doubt_is_even(detectors):
    strict = Detectors({"near": Bright()}, DetectionConfig(("ship",), (0.95,), (1.0,), (0.2,)), "cpu")  # type: ignore[dict-item]
    grey = (sea(64, 64, [(32, 32)], 12) * 0.62).astype(np.uint8)
    loose, tight = (f.find(Request(grey), "ship")[0].confidence for f in (detectors, strict))
    assert loose > 0.5 > tight


def test_a_model_without_counters_knows_nothing():
    detectors = Detectors({}, DetectionConfig(), "cpu")
    assert not detectors.knows("ship")
    assert detectors.class_for("ship", 10.0) is None


def test_pictures_from_files_are_looked_at_alike(detectors, tmp_path):
    image = sea(64, 64, [(32, 32)])
    Image.fromarray(image).save(tmp_path / "a.png")
    assert places(detectors, Request(np.asarray(Image.open(tmp_path / "a.png")))) == places(detectors, Request(image))


def test_a_picture_is_looked_at_once_whatever_is_asked_about_it():
    detector = Bright()
    passes = []
    detector.register_forward_hook(lambda *_: passes.append(1))
    own = Detectors({"near": detector}, CONFIG, "cpu")  # type: ignore[dict-item]
    image, other = sea(64, 64, [(32, 32)]), sea(64, 64, [])
    looked: Looked = {}
    asked = [parse_question(text) for text in ("any ships?", "how many ships?", "where are the vessels?")]
    found = [find_things(Request(image, parsed=parsed), own, looked) for parsed in asked]
    assert found[0] == found[1] == found[2] != {}
    assert len(passes) == 1
    assert find_things(Request(other, parsed=asked[0]), own, looked) == {"ship": ()}
    assert len(passes) == 2


def test_what_is_no_picture_is_refused(detectors):
    with pytest.raises(ImageError, match="HxWx3 uint8"):
        detectors.find(Request(np.zeros((5, 5), np.uint8)), "ship")
