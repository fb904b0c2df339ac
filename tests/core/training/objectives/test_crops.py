from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from rsmoe_core.model.detector import CELL
from rsmoe_core.training.objectives.crops import SIDE, AnnotatedImage, Window, batch_of, draw_crop, heatmap_of


@pytest.fixture
def dots(tmp_path) -> AnnotatedImage:
    """White dots on black, each boxed."""
    pixels = np.zeros((300, 400, 3), np.uint8)
    boxes = []
    for x, y in ((60, 50), (200, 120), (330, 250), (90, 220)):
        pixels[y - 4 : y + 4, x - 4 : x + 4] = 255
        boxes.append((float(x), float(y), 8.0, 8.0))
    path = tmp_path / "dots.png"
    Image.fromarray(pixels).save(path)
    return AnnotatedImage(path, "ship", tuple(boxes))


def test_marks_follow_their_things_through_every_window(dots):
    seen = 0
    for seed in range(40):
        window = draw_crop(dots, np.random.default_rng(seed))
        assert window.image_HWC.shape == (SIDE, SIDE, 3)
        bright = window.image_HWC.mean(axis=2)
        for x, y, width, height in window.boxes_N4:
            seen += 1
            assert 0 <= x <= SIDE
            assert 0 <= y <= SIDE
            assert width == pytest.approx(height)
            here = bright[max(0, int(y) - 2) : int(y) + 3, max(0, int(x) - 2) : int(x) + 3]
            assert here.mean() > bright.mean() + 30
    assert seen > 40


def test_the_same_chance_gives_the_same_window(dots):
    one, two = (draw_crop(dots, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one.image_HWC, two.image_HWC)
    assert np.array_equal(one.boxes_N4, two.boxes_N4)


def test_a_known_ground_sample_distance_decides_the_scale(dots):
    coarse = AnnotatedImage(dots.image, "distant ship", dots.boxes, metres_per_pixel=20.0)
    widths = [box[2] for seed in range(10) for box in draw_crop(coarse, np.random.default_rng(seed)).boxes_N4]
    assert np.mean(widths) > 24  # 8 pixels at 20 m are 32 at 5 m, give or take the random factor


def test_heat_is_one_at_the_centre_only():
    heat = heatmap_of(np.array([[100.0, 60.0, 24.0, 24.0], [10.0, 10.0, 0.0, 0.0]]))
    assert heat.shape == (SIDE // CELL, SIDE // CELL)
    assert set(zip(*np.nonzero(heat == 1), strict=True)) == {(15, 25), (2, 2)}
    assert heat[15, 26] > heat[15, 28] > heat[15, 40] == pytest.approx(0, abs=1e-6)


def test_empty_windows_are_cold():
    window = Window(np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((0, 4)))
    images, heat = batch_of([window, window])
    assert images.shape == (2, SIDE, SIDE, 3)
    assert not heat.any()
