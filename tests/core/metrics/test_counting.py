from __future__ import annotations

import numpy as np
import pytest

from rsmoe_core.metrics.counting import ImageDetections, fit_calibration, relative_error

THREE = ((10.0, 10.0, 4.0, 4.0), (50.0, 10.0, 4.0, 4.0), (90.0, 10.0, 4.0, 4.0))


def image(hits: list[float], misses: list[float]) -> ImageDetections:
    """Three objects with peaks of the given scores on them, and peaks far off."""
    on = tuple((box[0] + 1, box[1] - 1, heat) for box, heat in zip(THREE, hits, strict=False))
    off = tuple((200.0 + 20 * n, 200.0, heat) for n, heat in enumerate(misses))
    return ImageDetections(on + off, THREE)


def test_the_threshold_separates_objects_from_the_rest():
    fit = fit_calibration([image([0.7, 0.6, 0.5], [0.2, 0.15]), image([0.65, 0.55, 0.6], [0.25])])
    assert 0.25 < fit.threshold <= 0.5
    assert fit.error == 0


def test_the_error_is_relative_to_the_true_count():
    assert relative_error([image([0.7, 0.6], [])], 0.5) == pytest.approx(1 / 3)
    assert relative_error([ImageDetections(((1.0, 1.0, 0.9),) * 2, ())], 0.5) == 2


def test_the_slope_is_steeper_where_scores_separate_better():
    rng = np.random.default_rng(0)
    clear = [image([0.9, 0.92, 0.95], rng.uniform(0.05, 0.1, 3).tolist()) for _ in range(20)]
    with_common_error = [image(rng.uniform(0.2, 0.9, 3).tolist(), rng.uniform(0.1, 0.6, 3).tolist()) for _ in range(20)]
    assert fit_calibration(clear).slope > fit_calibration(with_common_error).slope


def test_a_second_peak_on_one_object_is_no_hit():
    once = [ImageDetections(((10.0, 10.0, 0.8), (11.0, 10.0, 0.7)), THREE[:1])] * 10
    twice = [ImageDetections(((10.0, 10.0, 0.8), (50.0, 10.0, 0.7)), THREE[:2])] * 10
    assert fit_calibration(once).threshold > 0.7
    assert fit_calibration(twice).threshold <= 0.7
