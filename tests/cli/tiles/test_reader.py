from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from rsmoe_cli.raster import dataset
from rsmoe_cli.raster.scene import Scene, checked_scene, open_scene, read_pixels
from rsmoe_cli.tiles import chunks, downsample, reader
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileFailure, TileImage
from rsmoe_cli.tiles.reader import read_tiles
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
    assert sum(image.owned_valid_pixels for image in images) == (values.max(axis=0) > 0).sum()
    rebuilt = np.zeros((height, width, 3), np.uint8)
    for image in images:
        tile = image.tile
        under = values[:, tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
        assert image.valid_pixels == (under.max(axis=0) > 0).sum()
        assert image.valid_fraction == image.valid_pixels / (tile.width * tile.height)
        assert image.valid.any() == (image.valid_pixels > 0), "no valid pixel may vanish in a downsampled image"
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


@pytest.mark.parametrize(
    ("dtype", "fill"), [("uint8", 0), ("uint8", 255), ("int16", -9999), ("float32", -3.4028235e38), ("float32", np.nan)]
)
def test_fill_is_in_no_average(tmp_path: Path, dtype: str, fill: float) -> None:
    values = noise(3, 120, 120, dtype, low=100, high=140)
    values[:, :50] = fill
    images = read_all(open_scene(write_raster(tmp_path / "a.tif", values), stretch="none"), size=48, max_side=12)
    shown = np.concatenate([image.pixels[image.valid] for image in images])
    assert 100 <= shown.min() <= shown.max() < 140
    assert sum(image.owned_valid_pixels for image in images) == 70 * 120


def test_a_band_that_is_wrongly_called_alpha_is_in_no_average(tmp_path: Path) -> None:
    values = noise(4, 96, 96, low=100, high=140)
    values[3, :40] = 0  # near infrared, over water
    path = write_raster(tmp_path / "a.tif", values, "red green blue alpha", photometric="RGB", alpha="YES")
    image = read_all(open_scene(path), size=96, max_side=12)[0]
    assert image.pixels.min() >= 100


def damaged(path: Path, dtype: str = "uint8") -> str:
    """An image whose block in the second row and second column of blocks cannot be decoded."""
    blocks = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}
    name = write_raster(path, noise(3, 64, 96, dtype), "red green blue", photometric="RGB", **blocks)
    with rasterio.open(name) as raster:
        offset = int(raster.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    data = bytearray(path.read_bytes())
    data[offset : offset + 200] = b"\xff" * 200
    path.write_bytes(data)
    return name


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_only_the_damaged_tile_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str], dtype: str) -> None:
    scene = open_scene(damaged(tmp_path / "a.tif", dtype))
    assert dtype == "uint8" or (max(scene.stretch.low) < 20 and min(scene.stretch.high) > 235)
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


@pytest.mark.parametrize("allow_external", [False, True])
@pytest.mark.parametrize("readers", [1, 2])
def test_a_scene_is_opened_once_and_once_more_by_each_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: int, allow_external: bool
) -> None:
    opened: list[str] = []

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def open_raster(name: str, **options: object) -> object:
            opened.append(name)
            return original(name, **options)

        return open_raster

    path = rgb(tmp_path / "a.tif", 320, 320, tiled=True, blockxsize=32, blockysize=32)
    monkeypatch.setattr(chunks, "_CHUNK_BYTES", 1)
    monkeypatch.setattr(dataset, "_open_by_drivers", counted(dataset._open_by_drivers))
    monkeypatch.setattr(rasterio, "open", counted(rasterio.open))
    with checked_scene(path, allow_external) as file:
        assert file.signature
        scene = file.scene()
    assert opened == [path]
    images = list(read_tiles(scene, Grid(320, 320, 32), 1000, readers=readers))
    assert all(isinstance(image, TileImage) for image in images)
    assert 2 <= len(opened) <= 1 + readers
    assert set(opened) == {path}


@pytest.mark.parametrize(("max_side", "tiles_of_a_job"), [(1000, 4), (8, 2)])
def test_tiles_in_flight_are_bounded_and_ordered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_side: int, tiles_of_a_job: int
) -> None:
    scene = open_scene(rgb(tmp_path / "a.tif", 320, 320, tiled=True, blockxsize=32, blockysize=32))
    monkeypatch.setattr(chunks, "_CHUNK_BYTES", 1)
    monkeypatch.setattr(reader, "_BUFFERED_PIXELS", 0)
    monkeypatch.setattr(downsample, "_RUN_WIDTH", 32)
    finished = 0

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def read(*arguments: object) -> object:
            nonlocal finished
            finished += tiles_of_a_job
            return original(*arguments)

        return read

    monkeypatch.setattr(reader, "read_chunk", counted(reader.read_chunk))
    monkeypatch.setattr(reader, "read_downsampled", counted(reader.read_downsampled))
    most, positions = 0, []
    for taken, result in enumerate(read_tiles(scene, Grid(320, 320, 16), max_side, readers=3)):
        most = max(most, finished - taken)
        positions.append((result.tile.row, result.tile.col))
    assert len(positions) == 400
    assert positions == sorted(positions)
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


def test_nan_and_infinite_pixels_are_holes_and_a_tile_of_them_is_blank(tmp_path: Path) -> None:
    values = noise(3, 96, 96, "float32", 1, 1000)
    values[:, :32, :32], values[:, :32, 32:64] = np.nan, np.inf
    values[1, 40:50, 40:50], values[2, 50:60, 40:50] = -np.inf, np.nan
    scene = open_scene(write_raster(tmp_path / "a.tif", values, tiled=True, blockxsize=32, blockysize=32))
    expected = np.isfinite(values).all(axis=0)
    for max_side in (32, 16):
        images = read_all(scene, size=32, max_side=max_side)
        assert [image.valid_pixels for image in images] == [
            expected[y : y + 32, x : x + 32].sum() for y in (0, 32, 64) for x in (0, 32, 64)
        ]
        assert [image.valid.any() for image in images] == [False, False, *[True] * 7]
        assert not any(image.pixels[~image.valid].any() for image in images)
        assert len(np.unique(images[-1].pixels)) > 50, "the stretch is not spoilt by them"


@pytest.mark.parametrize("error", [MemoryError("no room"), ValueError("bug\nsecond line"), KeyError("x")])
@pytest.mark.parametrize("max_side", [32, 16])
def test_whatever_goes_wrong_in_a_reader_is_the_failure_of_its_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, max_side: int
) -> None:
    scene = open_scene(rgb(tmp_path / "a.tif", 64, 96, tiled=True, blockxsize=32, blockysize=32))

    def read(file: object, scene: object, window: Window, *rest: object) -> object:
        if window.col_off <= 40 < window.col_off + window.width and window.row_off < 32:
            raise error
        return read_pixels(file, scene, window, *rest)  # type: ignore[arg-type]

    for module in (chunks, downsample):
        monkeypatch.setattr(module, "read_pixels", read)
    results = list(read_tiles(scene, Grid(96, 64, 32), max_side))
    failures = [result for result in results if isinstance(result, TileFailure)]
    assert [failure.tile.id for failure in failures] == ["r0000c0001"]
    assert failures[0].error == f"cannot be read: {str(error).splitlines()[0]}"
    assert [result.tile for result in results] == list(Grid(96, 64, 32))


@pytest.mark.parametrize("profile", [{"blockysize": 1}, {"blockysize": 64}, {"tiled": True}, {"interleave": "band"}])
@pytest.mark.parametrize(("size", "max_side"), [(50, 100), (70, 30)])
def test_the_number_of_readers_does_not_change_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: dict[str, object], size: int, max_side: int
) -> None:
    monkeypatch.setattr(chunks, "_CHUNK_BYTES", 1)
    scene = open_scene(rgb(tmp_path / "a.tif", 300, 400, compress="deflate", **profile))
    grid = Grid(400, 300, size, 10)
    one, many = (list(read_tiles(scene, grid, max_side, readers=readers)) for readers in (1, 16))
    assert len(one) == len(many) == len(grid)
    for left, right in zip(one, many, strict=True):
        assert isinstance(left, TileImage)
        assert isinstance(right, TileImage)
        assert left.tile == right.tile
        assert np.array_equal(left.pixels, right.pixels)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count the bytes that are read")
@pytest.mark.parametrize(
    ("profile", "size", "max_side", "most"),
    [
        ({"tiled": True, "blockxsize": 256, "blockysize": 256}, 100, 100, 1.1),
        ({"blockysize": 8}, 100, 100, 1.1),
        ({"blockysize": 8}, 500, 100, 1.1),
        ({"tiled": True, "blockxsize": 256, "blockysize": 256}, 600, 100, 1.5),
    ],
)
def test_the_blocks_of_a_file_are_fetched_about_once(
    tmp_path: Path, profile: dict[str, object], size: int, max_side: int, most: float
) -> None:
    path = tmp_path / "a.tif"
    values = noise(3, 1800, 1800)
    values[:, :100] = 0
    layout = {"compress": "deflate", "zlevel": 1, "photometric": "RGB", **profile}
    scene = open_scene(write_raster(path, values, "red green blue", nodata=0, **layout))
    before = bytes_read()
    results = list(read_tiles(scene, Grid(1800, 1800, size), max_side))
    assert 0.9 < (bytes_read() - before) / path.stat().st_size < most
    assert all(isinstance(result, TileImage) for result in results)


def bytes_read() -> int:
    """Bytes that this process read from files until now, from the system's cache or not."""
    return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])
