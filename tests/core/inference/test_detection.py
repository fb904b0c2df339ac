from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from rsmoe_core.config import DetectionConfig
from rsmoe_core.errors import ImageError
from rsmoe_core.inference.answers import detect_subjects
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.model.detector import CELL, DETECTOR_CLASSES
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.types import Detection, Request

CONFIG = DetectionConfig(classes=("ship",), thresholds=(0.5,), slopes=(1.0,), log_count_stds=(0.2,))


class BrightnessDetector(nn.Module):
    """A detector for which white is a ship."""

    classes = ("ship",)

    def forward(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        brightness = pixels_BCHW.mean(dim=1, keepdim=True)
        return 8 * torch.nn.functional.avg_pool2d(brightness, CELL)


@pytest.fixture(scope="module")
def detectors() -> Detectors:
    return Detectors({"near": BrightnessDetector()}, CONFIG, "cpu")  # type: ignore[dict-item]


def sea(width: int, height: int, spots: list[tuple[int, int]], side: int = 8) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in spots:
        image[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = 255
    return image


def centres(detectors: Detectors, request: Request) -> list[tuple[int, int]]:
    return sorted((round(d.x), round(d.y)) for d in detectors.detect(request, "ship") if d.confidence > 0.5)


@pytest.mark.parametrize(("width", "height"), [(100, 80), (17, 90), (1500, 700)])
def test_objects_are_detected_at_their_centres(detectors, width, height):
    rng = np.random.default_rng(0)
    spots = sorted(
        {(int(x) // 40 * 40 + 8, int(y) // 40 * 40 + 8) for x, y in rng.uniform(0, (width - 16, height - 16), (12, 2))}
    )
    found = centres(detectors, Request(sea(width, height, spots)))
    assert len(found) == len(spots)
    assert np.abs(np.array(found) - np.array(spots)).max() <= CELL


def test_coordinates_are_pixels_of_the_image_whatever_its_enlargement(detectors):
    coarse = Request(sea(100, 100, [(30, 60)]), metres_per_pixel=2.0)  # enlarged twice
    assert np.abs(np.array(centres(detectors, coarse)) - (30, 60)).max() <= CELL / 2
    (found,) = [d for d in detectors.detect(coarse, "ship") if d.confidence > 0.5]
    assert found.nms_radius == DETECTOR_CLASSES["ship"].nms_radius / 2


def test_nothing_is_detected_on_unobserved_pixels(detectors):
    image = sea(100, 100, [(30, 60), (80, 20)])
    valid = np.ones((100, 100), bool)
    valid[:, 60:] = False
    (left,) = centres(detectors, Request(image, valid))
    assert np.abs(np.array(left) - (30, 60)).max() <= CELL


def test_confidence_at_the_threshold_is_one_half(detectors):
    strict = Detectors({"near": BrightnessDetector()}, DetectionConfig(("ship",), (0.95,), (1.0,), (0.2,)), "cpu")  # type: ignore[dict-item]
    grey = (sea(64, 64, [(32, 32)], 12) * 0.62).astype(np.uint8)
    loose, tight = (each.detect(Request(grey), "ship")[0].confidence for each in (detectors, strict))
    assert loose > 0.5 > tight


def test_a_model_without_detectors_knows_no_object():
    detectors = Detectors({}, DetectionConfig(), "cpu")
    assert not detectors.knows("ship")
    assert detectors.class_for("ship", 10.0) is None


def test_images_from_files_give_the_same_detections(detectors, tmp_path):
    image = sea(64, 64, [(32, 32)])
    Image.fromarray(image).save(tmp_path / "a.png")
    assert centres(detectors, Request(np.asarray(Image.open(tmp_path / "a.png")))) == centres(detectors, Request(image))


def test_a_detector_runs_once_for_all_questions_about_an_image():
    detector = BrightnessDetector()
    passes = []
    detector.register_forward_hook(lambda *_: passes.append(1))
    detectors = Detectors({"near": detector}, CONFIG, "cpu")  # type: ignore[dict-item]
    image, other = sea(64, 64, [(32, 32)]), sea(64, 64, [])
    cache: dict[str, tuple[Detection, ...]] = {}
    questions = [parse_question(text) for text in ("any ships?", "how many ships?", "where are the vessels?")]
    found = [detect_subjects(Request(image), question, detectors, cache) for question in questions]
    assert found[0] == found[1] == found[2] != {}
    assert len(passes) == 1
    assert detect_subjects(Request(other), questions[0], detectors, {}) == {"ship": ()}
    assert len(passes) == 2


def test_an_array_that_is_not_an_image_is_refused(detectors):
    with pytest.raises(ImageError, match="HxWx3 uint8"):
        detectors.detect(Request(np.zeros((5, 5), np.uint8)), "ship")
