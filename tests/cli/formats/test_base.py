"""What holds for every output format."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pytest
from pyproj import CRS
from shapely.geometry import MultiPolygon, box

from rsmoe_cli.errors import OutputError
from rsmoe_cli.formats.base import Layer, Row
from rsmoe_cli.formats.output import check_output
from rsmoe_cli.formats.registry import OUTPUT_FORMATS
from tests.cli.formats.layers import COLUMNS, NAMES, TILES, WORLD, captioned, many_rows, two_rows, write
from tests.cli.full_disk import limited
from tests.cli.rasters import CUSTOM_CRS


def read(path: Path) -> gpd.GeoDataFrame:
    return gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path, layer="captions")


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", CUSTOM_CRS, None])
@pytest.mark.parametrize("name", ["out.gpkg", "out.fgb", "out.parquet"])
def test_rows_are_read_back(tmp_path: Path, name: str, crs: str | None) -> None:
    expected = CRS.from_user_input(crs) if crs else None
    rows = read(write(tmp_path / name, expected, two_rows()))
    assert list(rows.columns) == [*COLUMNS, "geometry"]
    assert rows.crs == expected or (expected is None and rows.crs.name.startswith("Undefined"))
    assert rows["caption"].tolist()[0] == 'un "port" à Alger'
    assert rows["status"].tolist() == ["ok", "failed"]
    assert rows["confidence"].isna().tolist() == [False, True]
    assert rows["row"].dtype == "int32"
    assert rows.geometry.iloc[0].bounds == (3, 36, 4, 37)
    assert rows.geometry.iloc[1] is None
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_footprints_in_two_parts_lie_beside_whole_ones(tmp_path: Path, name: str) -> None:
    parts = MultiPolygon([box(179, 0, 180, 1), box(-180, 0, -179, 1)])
    rows = [captioned(TILES[0], parts), captioned(TILES[1], box(3, 36, 4, 37))]
    with check_output(tmp_path / name, "scene.tif").open(Layer("captions", COLUMNS, WORLD, "Unknown")) as writer:
        writer.write(rows)
        writer.finish({})
    found = read(tmp_path / name)
    parts_of = dict(zip(found["tile_id"], found.geometry.apply(lambda g: len(getattr(g, "geoms", [g]))), strict=True))
    assert parts_of == {TILES[0].id: 2, TILES[1].id: 1}


@pytest.mark.parametrize("name", NAMES)
def test_an_output_without_rows_is_a_valid_file(tmp_path: Path, name: str) -> None:
    assert len(read(write(tmp_path / name, WORLD, []))) == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_knows_which_formats_hold_many_layers(tmp_path: Path, name: str) -> None:
    points = Layer("found", {"label": str}, WORLD, "Point")
    with check_output(tmp_path / name, "scene.tif").open(Layer("captions", COLUMNS, WORLD)) as writer:
        assert (
            writer.add_layer(points, [Row("1", {"label": "ship"}, None)])
            == OUTPUT_FORMATS[(tmp_path / name).suffix].many_layers
        )
        writer.finish({})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path, name: str, share: float) -> None:
    rows = many_rows(600)
    path = write(tmp_path / name, None, rows)
    size = path.stat().st_size
    path.write_text("old")
    with limited(int(size * share)), pytest.raises(OutputError, match=r"^cannot write [^\n]*; is the disk full\?$"):
        write(path, None, rows)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_vanishes_is_one_line(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    output = check_output(folder / name, "scene.tif")

    def vanish() -> None:
        with output.open(Layer("captions", COLUMNS, None)) as writer:
            folder.rename(tmp_path / "elsewhere")
            writer.write(two_rows())
            writer.finish({})

    with pytest.raises(OutputError, match=r"^cannot write [^\n]*"):
        vanish()
    with (
        pytest.raises(OutputError, match=r"cannot write into .*; choose another folder"),
        output.open(Layer("captions", COLUMNS, None)),
    ):
        pytest.fail("there is no folder for it")


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_run_leaves_nothing_or_the_old_file(
    tmp_path: Path, name: str, error: type[BaseException]
) -> None:
    def interrupted() -> None:
        layer = Layer("captions", COLUMNS, None)
        with check_output(tmp_path / name, "scene.tif", overwrite=True).open(layer) as writer:
            writer.write(two_rows())
            assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == old
            raise error

    for old in ([], [name]):
        with pytest.raises(error):
            interrupted()
        assert [path.name for path in tmp_path.iterdir()] == old
        (tmp_path / name).write_text("old")
    assert (tmp_path / name).read_text() == "old"
