from __future__ import annotations

import pytest
import torch

from rsmoe_core.model.detector import CELL, DETECTOR_CLASSES, DETECTORS, Detector, detector_of, peaks
from rsmoe_core.model.vision.efficientnet_lite import EfficientNetLite, folded_copy
from rsmoe_core.presets import tiny
from tests.tiny import fit_batch_norms

CLASSES = ("airplane", "ship")


def make(classes: tuple[str, ...] = CLASSES) -> Detector:
    return Detector(tiny().vision, classes, width=16)


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    return fit_batch_norms(make())


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 80)])
def test_each_class_has_a_cell_for_every_four_pixels(detector, height, width):
    assert detector(torch.randn(2, 3, height, width)).shape == (2, 2, height // CELL, width // CELL)


def test_scores_are_low_before_training():
    untrained = make().eval()
    assert untrained(torch.randn(1, 3, 64, 64)).sigmoid().max() < 0.1


def test_the_first_layers_are_those_of_the_image_encoder(detector):
    torch.manual_seed(1)
    encoder = EfficientNetLite(tiny().vision)
    other = make()
    other.start_from(encoder)
    assert torch.equal(other.stem[0].weight, encoder.stem[0].weight)
    assert all(
        torch.equal(value, encoder.state_dict()[f"blocks.{key}"]) for key, value in other.blocks.state_dict().items()
    )


def test_folding_does_not_change_the_heatmaps(detector):
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(folded_copy(detector)(pixels), detector(pixels), atol=1e-4)


def test_peaks_are_the_highest_cells_of_their_surroundings():
    heatmap = torch.zeros(20, 30)
    heatmap[5, 5], heatmap[5, 6], heatmap[12, 20], heatmap[0, 0] = 0.9, 0.8, 0.4, 0.05
    found = peaks(heatmap, min_score=0.1, nms_radius=8.0).tolist()
    assert found == [pytest.approx([22, 22, 0.9]), pytest.approx([82, 50, 0.4])]


def test_near_and_far_classes_of_an_object_share_no_ground_sample_distance():
    for near in DETECTORS["near"]:
        for far in DETECTORS["far"]:
            if DETECTOR_CLASSES[near].label == DETECTOR_CLASSES[far].label:
                assert DETECTOR_CLASSES[near].coarsest <= DETECTOR_CLASSES[far].finest


def test_an_image_is_enlarged_to_the_ground_sample_distance_of_training():
    spec = DETECTOR_CLASSES["distant ship"]
    assert spec.enlargement(10.0) == 2.0
    assert spec.enlargement(None) == spec.scale


def test_a_detector_starts_from_another_one_except_for_its_heatmaps(detector):
    far = make(("distant ship",))
    far.start_from(detector)
    assert torch.equal(far.lateral[0].weight, detector.lateral[0].weight)
    assert far.heatmap.weight.shape[0] == 1
    assert detector_of("distant ship") == "far"
