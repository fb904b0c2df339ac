"""Scenes on a web server that is slow or that fails; GDAL really asks for them over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from typer.testing import Result

from benchmarks.range_server import HANG, RESET, Fault, RangeServer
from rsmoe_cli.raster.scene import open_scene
from rsmoe_cli.tiles import chunks, reader
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileFailure, TileImage, TileResult
from rsmoe_cli.tiles.prefetch import ReadingLog
from rsmoe_cli.tiles.reader import read_tiles
from tests.cli.fakes import FakeEngine
from tests.cli.rasters import rgb

GRID = Grid(512, 384, 100)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "1")
    monkeypatch.setattr(reader, "RETRY_DELAYS", (0.01,))
    monkeypatch.setattr(chunks, "_CHUNK_BYTES", 1)


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    """12 blocks of 48 kB."""
    rgb(tmp_path / "a.tif", GRID.height, GRID.width, tiled=True, blockxsize=128, blockysize=128)
    return tmp_path / "a.tif"


def inside(image_file: Path, block: str = "1_1") -> tuple[int, int]:
    """First and last byte of bytes that are requested only with that block (column_row)."""
    with rasterio.open(image_file) as dataset:
        offset = int(dataset.get_tag_item(f"BLOCK_OFFSET_{block}", "TIFF", bidx=1))
    return offset + 20_000, offset + 28_000


def read(source: str, **options: Any) -> list[TileResult]:
    return list(read_tiles(open_scene(source), GRID, 1000, **options))


def same(results: list[TileResult], others: list[TileResult]) -> bool:
    """Whether two runs gave the same tiles, of which those that failed in the first are not compared."""
    return [result.tile for result in results] == [other.tile for other in others] and all(
        isinstance(other, TileImage)
        and np.array_equal(result.pixels, other.pixels)
        and np.array_equal(result.valid, other.valid)
        for result, other in zip(results, others, strict=True)
        if isinstance(result, TileImage)
    )


def failures(results: list[TileResult]) -> list[tuple[int, int]]:
    return [(result.tile.row, result.tile.col) for result in results if isinstance(result, TileFailure)]


@pytest.mark.parametrize("what", [503, 500, 429, RESET, HANG])
@pytest.mark.parametrize("times", [1, 3])
def test_what_fails_a_few_times_is_read_after_all(image_file: Path, what: int | str, times: int) -> None:
    if (what, times) == (HANG, 3):
        times = 1  # each takes a second
    with RangeServer(image_file, faults=(Fault(what, *inside(image_file), times=times),)) as server:
        results = read(server.url)
        first, last = inside(image_file)
        requests = [one for one in server.log().ranges if one[0] <= last and one[1] >= first]
    assert failures(results) == []
    assert same(results, read(str(image_file)))
    assert len(requests) > times, "the fault was met"


@pytest.mark.parametrize("what", [500, 403, RESET, HANG])
def test_only_tiles_under_a_block_that_never_comes_fail(image_file: Path, what: int | str) -> None:
    with RangeServer(image_file, faults=(Fault(what, *inside(image_file)),)) as server:
        results = read(server.url)
    # The block lies from 128 to 255 along both axes, the tiles every 100 pixels.
    assert failures(results) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert all("cannot be read: " in result.error for result in results if isinstance(result, TileFailure))
    assert same(results, read(str(image_file)))


@pytest.mark.parametrize("what", [500, RESET])
def test_a_server_that_dies_ends_in_failures_and_a_limit_of_requests(image_file: Path, what: int | str) -> None:
    with RangeServer(image_file, faults=(Fault(what, after=4),)) as server:
        results = read(server.url)
        requests = server.log()
    assert 0 < len(failures(results)) < len(GRID) == len(results)
    assert same(results, read(str(image_file)))
    assert len(requests.ranges) < 24 * 12


def test_a_block_that_never_comes_is_exit_code_three(
    rsmoe: Callable[..., Result], engine: FakeEngine, image_file: Path
) -> None:
    with RangeServer(image_file, faults=(Fault(500, *inside(image_file)),)) as server:
        result = rsmoe("caption", server.url, "-o", "out.gpkg", "--tile-size", "100")
    assert result.exit_code == 3, result.stderr
    assert "20 of 24 tiles captioned, 0 blank, 4 failed" in result.stderr
    assert "failed tiles: 4" in result.stderr
    rows = gpd.read_file("out.gpkg", layer="captions").set_index("tile_id")
    failed = rows[rows["status"] == "failed"]
    assert failed.index.tolist() == ["r0001c0001", "r0001c0002", "r0002c0001", "r0002c0002"]
    assert failed["error"].str.startswith("cannot be read: ").all()


def test_a_server_that_is_gone_ends_in_failures(image_file: Path) -> None:
    with RangeServer(image_file) as server:
        scene = open_scene(server.url)
    results = list(read_tiles(scene, GRID, 1000))
    assert len(results) == len(GRID)
    assert len(failures(results)) > len(GRID) / 2


@pytest.mark.parametrize(("readers", "most"), [(1, 1), (2, 2), (16, 16)])
def test_any_number_of_readers_gives_the_same_for_the_same_requests(image_file: Path, readers: int, most: int) -> None:
    log = ReadingLog()
    with RangeServer(image_file, delay=0.05) as server:
        results = read(server.url, readers=readers, log=log)
        requests = server.log()
    assert same(results, read(str(image_file)))
    assert failures(results) == []
    assert requests.max_concurrent <= most
    assert requests.max_concurrent >= min(most, 3)
    assert log.readers == (readers if readers < 16 else 8)
    assert log.waited_seconds > 0
    assert len(requests.ranges) <= 1 + 12
    # GDAL asks for multiples of 16 kB, and for more in a row; how often two readers meet depends on their pace.
    assert requests.bytes < 2 * image_file.stat().st_size


def test_only_what_wanted_tiles_need_is_asked_for(image_file: Path) -> None:
    with RangeServer(image_file) as server:
        results = read(server.url, wanted=lambda tile: tile.row == 3 and tile.col >= 4)
        requests = server.log()
    assert [(result.tile.row, result.tile.col) for result in results] == [(3, 4), (3, 5)]
    assert requests.bytes < 3 / 12 * image_file.stat().st_size
