from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsmoe_core.model.detector import CELL
from rsmoe_core.training.objectives.crops import SIDE, AnnotatedImage, Crop, heatmap_of, random_crop, stack_crops


@pytest.fixture
def dots(tmp_path: Path) -> AnnotatedImage:
    """White dots on black, each with a box."""
    pixels = np.zeros((300, 400, 3), np.uint8)
    boxes = []
    for x, y in ((60, 50), (200, 120), (330, 250), (90, 220)):
        pixels[y - 4 : y + 4, x - 4 : x + 4] = 255
        boxes.append((float(x), float(y), 8.0, 8.0))
    path = tmp_path / "dots.png"
    Image.fromarray(pixels).save(path)
    return AnnotatedImage(path, "ship", tuple(boxes))


def test_boxes_stay_on_their_objects_in_every_crop(dots: AnnotatedImage) -> None:
    seen = 0
    for seed in range(40):
        crop = random_crop(dots, np.random.default_rng(seed))
        assert crop.image_HWC.shape == (SIDE, SIDE, 3)
        bright = crop.image_HWC.mean(axis=2)
        for x, y, width, height in crop.boxes_N4:
            seen += 1
            assert 0 <= x <= SIDE
            assert 0 <= y <= SIDE
            assert width == pytest.approx(height)
            here = bright[max(0, int(y) - 2) : int(y) + 3, max(0, int(x) - 2) : int(x) + 3]
            assert here.mean() > bright.mean() + 30
    assert seen > 40


def test_the_same_seed_gives_the_same_crop(dots: AnnotatedImage) -> None:
    first, second = (random_crop(dots, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.image_HWC, second.image_HWC)
    assert np.array_equal(first.boxes_N4, second.boxes_N4)


def test_a_known_ground_sample_distance_decides_the_scale(dots: AnnotatedImage) -> None:
    coarse = AnnotatedImage(dots.image, "distant ship", dots.boxes, metres_per_pixel=20.0)
    widths = [box[2] for seed in range(10) for box in random_crop(coarse, np.random.default_rng(seed)).boxes_N4]
    assert np.mean(widths) > 24  # 8 pixels at 20 m are 32 at 5 m, give or take the random factor


def test_a_heatmap_is_one_at_centres_only() -> None:
    heatmap = heatmap_of(np.array([[100.0, 60.0, 24.0, 24.0], [10.0, 10.0, 0.0, 0.0]]))
    assert heatmap.shape == (SIDE // CELL, SIDE // CELL)
    assert set(zip(*np.nonzero(heatmap == 1), strict=True)) == {(15, 25), (2, 2)}
    assert heatmap[15, 26] > heatmap[15, 28] > heatmap[15, 40] == pytest.approx(0, abs=1e-6)


def test_the_heatmap_of_a_crop_without_objects_is_zero() -> None:
    crop = Crop(np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((0, 4)))
    images, heatmaps = stack_crops([crop, crop])
    assert images.shape == (2, SIDE, SIDE, 3)
    assert not heatmaps.any()
