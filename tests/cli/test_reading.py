from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsmoe_cli import pieces, reading, reduced
from rsmoe_cli.raster import Scene, open_scene
from rsmoe_cli.reading import TileFailure, TileImage, read_tiles
from rsmoe_cli.tiling import Grid
from tests.cli.rasters import noise, rgb, write_raster


def read_all(scene: Scene, size: int, overlap: int = 0, max_side: int = 10_000) -> list[TileImage]:
    results = list(read_tiles(scene, Grid(scene.width, scene.height, size, overlap), max_side))
    assert all(isinstance(result, TileImage) for result in results)
    return [result for result in results if isinstance(result, TileImage)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    size=st.integers(16, 40),
    overlap=st.integers(0, 15),
    max_side=st.sampled_from([8, 12, 64]),
    seed=st.integers(0, 9),
)
def test_every_valid_pixel_is_read_exactly_once(
    tmp_path: Path, width: int, height: int, size: int, overlap: int, max_side: int, seed: int
) -> None:
    values = noise(3, height, width)
    values[:, np.random.default_rng(seed).random((height, width)) < 0.4] = 0
    scene = open_scene(write_raster(tmp_path / "a.tif", values, "red green blue", nodata=0, photometric="RGB"))
    images = read_all(scene, size, overlap, max_side)
    assert sum(image.own_valid_pixels for image in images) == (values.max(axis=0) > 0).sum()
    rebuilt = np.zeros((height, width, 3), np.uint8)
    for image in images:
        tile = image.tile
        under = values[:, tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
        assert image.valid_pixels == (under.max(axis=0) > 0).sum()
        assert image.valid_fraction == image.valid_pixels / (tile.width * tile.height)
        assert image.valid.any() == (image.valid_pixels > 0), "no valid pixel may vanish in a reduced picture"
        assert image.pixels.shape == (*image.valid.shape, 3)
        assert not image.pixels[~image.valid].any()
        if max_side >= size:
            assert image.valid.shape == (size, size)
            assert not image.valid[tile.height :].any()
            assert not image.valid[:, tile.width :].any()
            rebuilt[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] = image.pixels[
                : tile.height, : tile.width
            ]
        else:
            assert image.valid.shape == (max_side, max_side)
    if max_side >= size:
        assert np.array_equal(rebuilt, values.transpose(1, 2, 0))


def test_large_tiles_are_read_smaller_and_average(tmp_path: Path) -> None:
    values = np.zeros((3, 200, 100), np.uint8)
    values[:, :, ::2] = 200
    scene = open_scene(write_raster(tmp_path / "a.tif", values, "red green blue", photometric="RGB"))
    first, second = read_all(scene, size=160, max_side=20)
    assert first.pixels.shape == (20, 20, 3)
    assert first.valid[:, :12].all()
    assert not first.valid[:, 12:].any()
    assert abs(int(first.pixels[5, 5, 0]) - 100) <= 5
    assert second.valid[:5, :12].all()
    assert second.valid.sum() == 5 * 12
    assert first.valid_pixels + second.valid_pixels == 200 * 100


def damaged(path: Path) -> str:
    """A picture whose block in the second row and second column of blocks cannot be decoded."""
    name = rgb(path, 64, 96, tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    with rasterio.open(name) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    data = bytearray(path.read_bytes())
    data[offset : offset + 200] = b"\xff" * 200
    path.write_bytes(data)
    return name


def test_only_the_damaged_tile_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scene = open_scene(damaged(tmp_path / "a.tif"))
    results = list(read_tiles(scene, Grid(96, 64, 32), 1000))
    failures = [result for result in results if isinstance(result, TileFailure)]
    assert [(failure.tile.row, failure.tile.col) for failure in failures] == [(1, 1)]
    assert failures[0].error.startswith("cannot be read: ")
    assert "\n" not in failures[0].error
    assert [result.tile for result in results] == list(Grid(96, 64, 32))
    assert capfd.readouterr().err == "", "GDAL must not talk to the terminal"


def test_a_file_that_vanishes_gives_failures(tmp_path: Path) -> None:
    scene = open_scene(rgb(tmp_path / "a.tif"))
    (tmp_path / "a.tif").unlink()
    results = list(read_tiles(scene, Grid(70, 50, 32), 1000))
    assert len(results) == 6
    assert all(isinstance(result, TileFailure) and "there is no file" in result.error for result in results)


@pytest.mark.parametrize(("max_side", "tiles_of_a_job"), [(1000, 4), (8, 2)])
def test_tiles_in_flight_are_bounded_and_ordered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_side: int, tiles_of_a_job: int
) -> None:
    scene = open_scene(rgb(tmp_path / "a.tif", 320, 320, tiled=True, blockxsize=32, blockysize=32))
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 1)
    monkeypatch.setattr(reading, "_HELD_PIXELS", 0)
    monkeypatch.setattr(reduced, "_RUN_WIDTH", 32)
    finished = 0

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def read(*arguments: object) -> object:
            nonlocal finished
            finished += tiles_of_a_job
            return original(*arguments)

        return read

    monkeypatch.setattr(reading, "read_piece", counted(reading.read_piece))
    monkeypatch.setattr(reading, "read_reduced", counted(reading.read_reduced))
    most, places = 0, []
    for taken, result in enumerate(read_tiles(scene, Grid(320, 320, 16), max_side, readers=3)):
        most = max(most, finished - taken)
        places.append((result.tile.row, result.tile.col))
    assert len(places) == 400
    assert places == sorted(places)
    # A row of blocks has two rows of tiles, one of which is held.
    assert most <= tiles_of_a_job * (3 + 1) + 20


def test_leaving_early_stops_the_readers(tmp_path: Path) -> None:
    scene = open_scene(rgb(tmp_path / "a.tif", 320, 320))
    tiles = read_tiles(scene, Grid(320, 320, 16), 1000)
    next(tiles)
    tiles.close()
    assert not [name for name in reading_threads() if name.startswith("rsmoe-reader")]


def reading_threads() -> list[str]:
    import threading

    return [thread.name for thread in threading.enumerate()]
