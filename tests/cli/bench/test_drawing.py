from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from rsmoe_cli.bench.drawing import big_scene


def test_a_drawn_scene_is_empty_left_of_its_swath(tmp_path: Path) -> None:
    with rasterio.open(big_scene(tmp_path / "a.tif", 700)) as dataset:
        values = dataset.read()
        assert (dataset.count, dataset.nodata, dataset.block_shapes[0]) == (4, 0, (512, 512))
    empty = (values == 0).all(axis=0)
    assert empty.mean() == pytest.approx(0.3, abs=0.01)
    assert (values[:, ~empty] > 0).all()
    assert (np.diff(empty.astype(int), axis=1) <= 0).all(), "one wedge, no holes"
    with rasterio.open(big_scene(tmp_path / "b.tif", 700, tiled=False, blockysize=8)) as dataset:
        assert dataset.block_shapes[0] == (8, 700)
        assert np.array_equal(dataset.read() == 0, values == 0)
