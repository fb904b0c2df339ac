"""The example scene: a proper GeoTIFF, and ground truth that agrees with itself and with the image."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.features
from shapely import box

GROUND = 3024.0
ZONES_OF = {
    "airplane": ["airfield"],
    "boat": ["harbour"],
    "bridge": ["road"],
    "building": ["residential", "airfield", "harbour", "industrial"],
    "car": ["parking", "road"],
    "house": ["residential", "sparse_residential"],
    "ship": ["sea", "harbour"],
    "stadium": ["sports"],
    "storage_tank": ["industrial"],
}


def test_scene_is_a_proper_geotiff(town: SimpleNamespace) -> None:
    with rasterio.open(town.paths.scene) as scene:
        assert (scene.width, scene.height, scene.count) == (672, 672, 3)
        assert set(scene.dtypes) == {"uint8"}
        assert scene.crs.to_epsg() == 32629
        assert scene.bounds.right - scene.bounds.left == scene.bounds.top - scene.bounds.bottom == GROUND
        assert [band.name for band in scene.colorinterp] == ["red", "green", "blue"]
        assert scene.profile["tiled"]
        assert scene.profile["compress"] == "deflate"
        assert scene.overviews(1) == [2, 4, 8]


def test_only_the_south_east_corner_is_nodata(town: SimpleNamespace) -> None:
    with rasterio.open(town.paths.scene) as scene:
        assert scene.nodata == 0
        masks, pixels = scene.read_masks(), scene.read()
    size = masks.shape[1]
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    expected = (column + row + 1) * GROUND / size <= 4998
    for band in masks:
        np.testing.assert_array_equal(band > 0, expected)
    assert pixels[:, expected].min() >= 1
    assert not expected[-size // 9 :, -size // 9 :].any(), "a whole 224-pixel tile of the full-size scene is blank"
    assert expected.mean() == pytest.approx(town.numbers["valid_fraction"], abs=0.002)


def test_counts_are_the_numbers_of_polygons(town: SimpleNamespace) -> None:
    assert town.objects["label"].value_counts().to_dict() == town.numbers["counts"]
    assert set(town.objects.geom_type) == {"Polygon"}
    assert town.objects.is_valid.all()
    counts = town.numbers["counts"]
    assert counts["ship"] >= 12
    assert counts["airplane"] >= 8
    assert counts["house"] >= 800
    assert counts["bridge"] == 2


@pytest.mark.parametrize("label", ZONES_OF)
def test_objects_lie_in_their_zones(town: SimpleNamespace, label: str) -> None:
    allowed = town.zones.loc[ZONES_OF[label], "geometry"].union_all().buffer(0.01)
    assert town.objects[town.objects["label"] == label].within(allowed).all()


def test_no_object_touches_another(town: SimpleNamespace) -> None:
    apart = town.objects[town.objects["label"] != "bridge"]
    left, right = apart.sindex.query(apart.geometry, predicate="intersects")
    assert (left == right).all()


def test_zones_are_a_partition_of_the_valid_ground(town: SimpleNamespace) -> None:
    zones, areas = town.zones, town.numbers["areas_m2"]
    assert sorted(zones.index) == sorted(areas)
    for name, zone in zones.geometry.items():
        assert zone.is_valid
        assert zone.area == pytest.approx(areas[name], abs=0.2)
    assert zones.area.sum() == pytest.approx(town.numbers["valid_fraction"] * GROUND**2, rel=1e-4)
    assert zones.union_all().area == pytest.approx(zones.area.sum(), rel=1e-6), "zones overlap"
    with rasterio.open(town.paths.scene) as scene:
        assert zones.crs == scene.crs
        assert zones.within(box(*scene.bounds).buffer(0.01)).all()


def test_objects_have_the_sizes_of_real_ones(town: SimpleNamespace) -> None:
    pixels = town.objects["length_m"] / 1.5
    for label, smallest, largest in (
        ("airplane", 25, 45),
        ("ship", 20, 80),
        ("house", 5, 20),
        ("storage_tank", 15, 30),
    ):
        assert pixels[town.objects["label"] == label].between(smallest, largest).all(), label


@pytest.mark.parametrize("label", ["ship", "airplane", "storage_tank"])
def test_objects_stand_out_from_what_is_around_them(town: SimpleNamespace, label: str) -> None:
    outlines = town.objects[town.objects["label"] == label].geometry
    around = outlines.buffer(30).difference(town.objects.buffer(9).union_all())
    if label == "ship":
        around = around.intersection(town.zones.loc[["sea", "harbour"], "geometry"].union_all())
    with rasterio.open(town.paths.scene) as scene:
        pixels = scene.read().astype(float)

        def means(shapes: geopandas.GeoSeries) -> np.ndarray:
            labels = rasterio.features.rasterize(
                zip(shapes, range(1, len(shapes) + 1), strict=True), scene.shape, transform=scene.transform
            )
            return np.array([pixels[:, labels == number].mean(axis=1) for number in range(1, len(shapes) + 1)])

        contrast = np.abs(means(outlines) - means(around)).max(axis=1)
    assert (contrast > 12).all(), contrast


def test_the_seed_decides_everything(coastal_town: ModuleType, town: SimpleNamespace, tmp_path: Path) -> None:
    again = coastal_town.render(tmp_path / "again", seed=7, size=672)
    other = coastal_town.render(tmp_path / "other", seed=4, size=256)
    for name in ("scene", "truth", "numbers"):
        assert getattr(again, name).read_bytes() == getattr(town.paths, name).read_bytes(), name
        assert getattr(other, name).read_bytes() != getattr(town.paths, name).read_bytes(), name
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == [
        "coastal_town.tif",
        "coastal_town.truth.gpkg",
        "coastal_town.truth.json",
    ]


def test_script_at_another_size_draws_the_same_truth(
    coastal_town: ModuleType,
    town: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["coastal_town.py", str(tmp_path / "new"), "--size", "300"])
    assert coastal_town.main() == 0
    scene_path, truth, numbers = (Path(line) for line in capsys.readouterr().out.splitlines())
    assert truth.read_bytes() == town.paths.truth.read_bytes()
    assert numbers.is_file()
    with rasterio.open(scene_path) as scene:
        assert scene.res == (10.08, 10.08)


def test_size_out_of_range_is_a_usage_error(
    coastal_town: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["coastal_town.py", str(tmp_path / "new"), "--size", "10"])
    with pytest.raises(SystemExit) as stop:
        coastal_town.main()
    assert stop.value.code == 2
    assert "from 256 to 8064 pixels" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_folder_that_is_a_file_is_refused_in_one_line(
    coastal_town: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["coastal_town.py", str(tmp_path / "taken")])
    assert coastal_town.main() == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert (tmp_path / "taken").read_text() == "mine"
