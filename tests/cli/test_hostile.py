"""Rasters at the edge of what can be: nothing of them may end in more than one line."""

from __future__ import annotations

import os
import resource
import struct
import zlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from typer.testing import Result

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.scene import open_scene
from rsmoe_cli.tiles.grid import Grid, fitting_tile_size
from rsmoe_cli.tiles.image import TileImage
from rsmoe_cli.tiles.reader import read_tiles
from tests.cli.fakes import FakeEngine
from tests.cli.raster.test_safety import vrt
from tests.cli.rasters import noise, rgb, write_raster

Cli = Callable[..., Result]
EMPTY_VRT = '<VRTDataset rasterXSize="{side}" rasterYSize="{side}">{head}{bands}</VRTDataset>'


def empty_vrt(path: Path, side: int = 40, bands: int = 1, head: str = "", kind: str = "Byte") -> str:
    band = "".join(f'<VRTRasterBand dataType="{kind}" band="{n + 1}"/>' for n in range(bands))
    path.write_text(EMPTY_VRT.format(side=side, bands=band, head=head))
    return str(path)


def first_tiles(path: str, number: int = 4) -> list[TileImage]:
    scene = open_scene(path)
    grid = Grid(scene.width, scene.height, fitting_tile_size(scene.width, scene.height, 64))
    results = list(islice(read_tiles(scene, grid, 128), number))
    assert all(isinstance(result, TileImage) for result in results)
    return results  # type: ignore[return-value]


def test_one_pixel_is_a_scene_and_none_is_not(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    write_raster(tmp_path / "one.tif", noise(3, 1, 1))
    assert rsmoe("caption", "one.tif", "-o", "out.gpkg").exit_code == 0
    empty_vrt(tmp_path / "none.vrt", side=0)
    result = rsmoe("caption", "none.vrt", "-o", "none.gpkg")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_far_too_many_bands_are_refused_and_many_are_not(tmp_path: Path) -> None:
    with pytest.raises(SceneError):
        open_scene(empty_vrt(tmp_path / "a.vrt", bands=100_000))
    with pytest.raises(SceneError, match="12,000 bands"):
        open_scene(empty_vrt(tmp_path / "b.vrt", bands=12_000))
    assert open_scene(empty_vrt(tmp_path / "c.vrt", bands=400)).width == 40


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A file of a few megabytes with one tile that would unpack to 3.6 GB."""
    side = 60_000
    packer = zlib.compressobj(9)
    row = bytes(side)
    data = b"".join(packer.compress(row) for _ in range(200)) + packer.flush()  # what follows is never read
    tags = [(256, 3, side), (257, 3, side), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)]
    tags += [(322, 3, side), (323, 3, side), (324, 4, 8), (325, 4, len(data))]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in tags)
    path = tmp_path / "bomb.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SceneError, match=r"blocks of 3\.4 GiB; cut it into smaller ones"):
        open_scene(str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_a_scene_of_a_hundred_thousand_billion_pixels_is_read_tile_by_tile(tmp_path: Path) -> None:
    path = empty_vrt(tmp_path / "a.vrt", side=10_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scene = open_scene(path)
    assert len(Grid(scene.width, scene.height, 224)) > 10**9
    assert len(first_tiles(path)) == 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_a_large_sparse_file_is_read_tile_by_tile(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    shape = {"width": 1_000_000, "height": 1_000_000, "count": 1, "dtype": "uint8", "bigtiff": "YES"}
    with rasterio.open(
        path, "w", driver="GTiff", **shape, tiled=True, blockxsize=4096, blockysize=4096, sparse_ok=True
    ):
        pass
    assert path.stat().st_size < 10_000_000
    assert len(first_tiles(str(path))) == 4


@pytest.mark.parametrize(
    "transform",
    [
        Affine(float("nan"), 0, 0, 0, -1, 0),
        Affine(1, 0, float("inf"), 0, -1, 0),
        Affine(0, 0, 5, 0, 0, 5),
        Affine(1, 1, 0, 1, 1, 0),
        Affine(1e300, 0, 0, 0, -1e300, 0),
        Affine(1e-320, 0, 0, 0, -1e-320, 0),
    ],
)
def test_an_invalid_transform_is_ignored(rsmoe: Cli, engine: FakeEngine, tmp_path: Path, transform: Affine) -> None:
    coefficients = ", ".join(str(value) for value in transform.to_gdal())
    empty_vrt(tmp_path / "a.vrt", head=f"<SRS>EPSG:32631</SRS><GeoTransform>{coefficients}</GeoTransform>")
    for out in ("out.gpkg", "out.geojson"):
        result = rsmoe("caption", "a.vrt", "-o", out, "--tile-size", "32")
        assert result.exit_code == 0, result.stderr
        assert "the file's georeference makes no sense" in result.stderr


@pytest.mark.parametrize("points", [[(0, 0), (0, 0), (0, 0)], [(0, 0), (5, 5), (9, 9)], [(0, 0), (0, float("nan"))]])
def test_invalid_control_points_are_ignored(tmp_path: Path, points: list[tuple[float, float]]) -> None:
    gcps = [GroundControlPoint(y, x, 3 + x, 36 + y) for x, y in points]
    scene = open_scene(write_raster(tmp_path / "a.tif", noise(1, 20, 20), gcps=(gcps, "EPSG:4326")))
    assert scene.georeference.crs is None
    assert any("makes no sense" in note or "no georeference" in note for note in scene.notes)


@pytest.mark.parametrize("srs", ["nonsense", "EPSG:99999999", "PROJCS[", 'LOCAL_CS["a\x07b"]'.replace("\x07", "&#9;")])
def test_an_invalid_reference_system_is_ignored(tmp_path: Path, srs: str) -> None:
    head = f"<SRS>{srs}</SRS><GeoTransform>5, 1, 0, 5, 0, -1</GeoTransform>"
    scene = open_scene(empty_vrt(tmp_path / "a.vrt", head=head))
    assert not scene.georeference.transform.is_identity
    assert scene.metres_per_pixel is None


def test_bands_of_different_types_are_combined(tmp_path: Path) -> None:
    path = tmp_path / "a.vrt"
    kinds = ("Byte", "UInt16", "Float32")
    for kind in kinds:
        write_raster(tmp_path / f"{kind}.tif", noise(1, 40, 40, {"Byte": "uint8"}.get(kind, kind.lower())))
    source = "<SimpleSource><SourceFilename relativeToVRT='1'>{0}.tif</SourceFilename><SourceBand>1</SourceBand>"
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{n}">{source.format(kind)}</SimpleSource></VRTRasterBand>'
        for n, kind in enumerate(kinds, start=1)
    )
    path.write_text(EMPTY_VRT.format(side=40, bands=bands, head=""))
    for image in first_tiles(str(path)):
        assert np.array_equal(image.pixels[..., 0], image.pixels[..., 2])
        assert image.pixels.std() > 20


@pytest.mark.parametrize("dtype", ["int64", "uint64", "float64", "int8"])
def test_wide_and_narrow_numbers_are_stretched(tmp_path: Path, dtype: str) -> None:
    values = noise(1, 40, 40, high=100).astype(dtype)
    if dtype != "int8":
        values = values * (2**40)
        values[0, 0, :2] = (np.finfo if dtype == "float64" else np.iinfo)(dtype).max
    for image in first_tiles(write_raster(tmp_path / "a.tif", values)):
        assert image.pixels.std() > 20


def test_a_scene_that_is_blank_everywhere_is_an_empty_map(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", noise(3, 40, 40), mask=np.zeros((40, 40), np.uint8))
    for out in ("out.gpkg", "out.geojson"):
        result = rsmoe("caption", "a.tif", "-o", out, "--tile-size", "32")
        assert result.exit_code == 0, result.stderr
        assert "0 of 4 tiles captioned, 4 blank" in result.stderr
    assert engine.requests == []


def test_a_palette_without_colours_is_grey(tmp_path: Path) -> None:
    band = '<VRTRasterBand dataType="{}" band="1"><ColorInterp>Palette</ColorInterp>{}</VRTRasterBand>'
    far = '<ColorTable><Entry c1="900" c2="-5" c3="0" c4="255"/></ColorTable>'
    for kind, table in (("Byte", ""), ("Float32", far), ("Byte", far)):
        (tmp_path / "a.vrt").write_text(EMPTY_VRT.format(side=40, bands=band.format(kind, table), head=""))
        first_tiles(str(tmp_path / "a.vrt"))


NAMES = (
    "with space",
    "quo'te\"s",
    "new\nline",
    "море 海",
    "-dash",
    "hash#1",
    "q?x=1",
    "per%20cent",
    "WMS:a",
    "a!b",
    "[b]",
)


@pytest.mark.parametrize("name", NAMES)
def test_any_file_name_will_do(rsmoe: Cli, engine: FakeEngine, tmp_path: Path, name: str) -> None:
    rgb(tmp_path / f"{name}.tif")
    result = rsmoe("caption", "-o", "out.gpkg", "--tile-size", "32", "--", f"{name}.tif")
    assert result.exit_code == 0, result.stderr
    assert sorted(os.listdir(tmp_path)) == sorted(["out.gpkg", f"{name}.tif"])


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    for path in (str(tmp_path / "pipe.tif"), "/dev/zero", "a\0b.tif", "x" * 5000):
        with pytest.raises(SceneError):
            open_scene(path)
    os.mkfifo(tmp_path / "in.tif")
    with pytest.raises(SceneError, match="not an ordinary file"):
        open_scene(vrt(tmp_path / "a.vrt", "in.tif"))
