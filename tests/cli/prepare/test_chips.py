"""Labelled features become images of the right ground."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import geopandas
import numpy as np
import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from shapely.affinity import affine_transform
from shapely.geometry import Point, box
from shapely.geometry.base import BaseGeometry

from rsmoe_cli.errors import SceneError
from rsmoe_cli.prepare.chips import Columns, _groups, cut_chips
from rsmoe_cli.raster.scene import open_scene
from rsmoe_cli.tiles.grid import Tile
from rsmoe_core.data.base import Question, Sample, read_image
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.errors import DataError, UsageError
from rsmoe_core.training.samples import split_description, validation_split
from tests.cli.rasters import NORTH_UP, rotated, write_raster

SIDE = 16
CAPTIONS = Columns("caption")
FIELDS = {"red": (10, 20), "green": (60, 20), "blue": (40, 60)}
"""Colour → left and top of a field of 20 x 20 pixels of that colour; all else is grey."""


def write_scene(path: Path, transform: Affine = NORTH_UP, **profile: object) -> str:
    values = np.full((3, 100, 120), 90, np.uint8)
    for band, (x, y) in enumerate(FIELDS.values()):
        values[:, y : y + 20, x : x + 20] = 10
        values[band, y : y + 20, x : x + 20] = 250
    return write_raster(path, values, "red green blue", photometric="RGB", transform=transform, **profile)


def on_ground(geometry: BaseGeometry, transform: Affine = NORTH_UP) -> BaseGeometry:
    """A geometry in pixels, on the ground."""
    return affine_transform(geometry, transform.to_shapely())


def write_layer(path: Path, features: dict[BaseGeometry, object] | list[tuple], crs: str | None = None) -> Path:
    """Features as (geometry in EPSG:32631, text), written in another CRS where one is given."""
    pairs = list(features.items()) if isinstance(features, dict) else features
    texts = [text for _, text in pairs]
    layer = geopandas.GeoDataFrame({"caption": texts}, geometry=[g for g, _ in pairs], crs="EPSG:32631")
    (layer.to_crs(crs) if crs else layer).to_file(path)
    return path


def cut(scene: str, layer: Path, target: Path, columns: Columns = CAPTIONS) -> tuple[list[Sample], list[str]]:
    target.mkdir()
    count, skipped = cut_chips(open_scene(scene), layer, columns, SIDE, target)
    dataset = read_dataset(target)
    assert dataset.problems == ()
    assert len(dataset.samples) == count
    return list(dataset.samples), skipped


@pytest.mark.parametrize("transform", [NORTH_UP, rotated(30)], ids=["north up", "rotated"])
@pytest.mark.parametrize(("crs", "name"), [(None, "l.gpkg"), ("EPSG:4326", "l.geojson"), ("EPSG:3857", "l.shp")])
def test_each_image_shows_what_was_labelled(tmp_path: Path, transform: Affine, crs: str | None, name: str) -> None:
    scene = write_scene(tmp_path / "scene.tif", transform)
    middles = {colour: on_ground(Point(x + 10, y + 10), transform) for colour, (x, y) in FIELDS.items()}
    layer = write_layer(tmp_path / name, {point: f"A {colour} field." for colour, point in middles.items()}, crs)
    samples, skipped = cut(scene, layer, tmp_path / "chips")
    assert skipped == []
    assert [sample.captions for sample in samples] == [(f"a {colour} field.",) for colour in FIELDS]
    for band, sample in enumerate(samples):
        pixels = read_image(sample.image)
        assert pixels.shape == (SIDE, SIDE, 3)
        assert (pixels[..., band] == 250).all(), "16 pixels around the middle of a field of 20"


def test_an_image_of_a_south_up_scene_has_north_up(tmp_path: Path) -> None:
    transform = NORTH_UP @ Affine(1, 0, 0, 0, -1, 100)
    scene = write_scene(tmp_path / "scene.tif", transform)
    field = on_ground(Point(20, 20), transform)  # the upper edge of the red field in the file, its lower one on the map
    (sample,), _ = cut(scene, write_layer(tmp_path / "l.gpkg", {field: "x"}), tmp_path / "chips")
    red = read_image(sample.image)[..., 0] == 250
    assert red[:8].all()
    assert not red[8:].any()


def test_a_large_geometry_gives_a_square_around_its_bounding_box(tmp_path: Path) -> None:
    outline = on_ground(box(10, 20, 34, 40))  # 24 x 20 pixels
    (sample,), _ = cut(
        write_scene(tmp_path / "scene.tif"), write_layer(tmp_path / "l.gpkg", {outline: "x"}), tmp_path / "chips"
    )
    pixels = read_image(sample.image)
    assert pixels.shape == (24, 24, 3)
    red = pixels[..., 0] == 250
    assert red[2:22, :20].all()
    assert red.sum() == 400


def test_a_window_over_the_edge_is_filled_as_the_model_would_see_it(tmp_path: Path) -> None:
    layer = write_layer(
        tmp_path / "l.gpkg", {on_ground(Point(0, 0)): "corner", on_ground(Point(119, 99)): "far corner"}
    )
    samples, _ = cut(write_scene(tmp_path / "scene.tif"), layer, tmp_path / "chips")
    for sample in samples:
        assert (read_image(sample.image) == 90).all(), "mirrored, not black"


def test_features_of_one_window_share_an_image(tmp_path: Path) -> None:
    point = on_ground(Point(20, 30))
    layer = write_layer(tmp_path / "l.gpkg", [(point, "one"), (point, "two"), (point, "one")])
    (sample,), _ = cut(write_scene(tmp_path / "scene.tif"), layer, tmp_path / "chips")
    assert sample.captions == ("one", "two", "one")
    assert sample.image.name == "scene_1.png", "named by the scene and the first feature"


def write_columns(path: Path, points: list[tuple[int, int]], **columns: list) -> Path:
    layer = geopandas.GeoDataFrame(columns, geometry=[on_ground(Point(*p)) for p in points], crs="EPSG:32631")
    layer.to_file(path)
    return path


@pytest.mark.parametrize("name", ["l.gpkg", "l.geojson", "l.shp"])
def test_answers_of_any_type_belong_to_one_question(tmp_path: Path, name: str) -> None:
    points = [(20, 30), (70, 30), (50, 70), (100, 80)]
    layer = write_columns(
        tmp_path / name, points, roof=["Red", "blue  tiles", None, ""], cars=[3, None, 0, 2.5], pool=[True, False] * 2
    )
    first = int(geopandas.read_file(layer, fid_as_index=True).index[0])
    scene = write_scene(tmp_path / "scene.tif")

    samples, skipped = cut(
        scene, layer, tmp_path / "roofs", Columns(answer="roof", question="What colour is  the roof?")
    )
    colour = "what colour is the roof?"
    assert [s.questions for s in samples] == [
        (Question(colour, "red", "color"),),
        (Question(colour, "blue tiles", "color"),),
    ]
    assert {s.captions for s in samples} == {()}
    assert skipped == [f"feature {first + 2}: no text in roof", f"feature {first + 3}: no text in roof"]

    samples, skipped = cut(scene, layer, tmp_path / "cars", Columns(answer="cars", question="how many cars are there?"))
    assert [q.answer for s in samples for q in s.questions] == ["3", "0", "2.5"]
    assert {q.type for s in samples for q in s.questions} == {"count"}
    assert skipped == [f"feature {first + 1}: no text in cars"]

    samples, _ = cut(scene, layer, tmp_path / "pools", Columns(answer="pool", question="is there a pool?"))
    assert len(samples) == 4
    if name != "l.shp":  # which has no true and false
        assert [q.answer for s in samples for q in s.questions] == ["yes", "no", "yes", "no"]


def test_a_column_may_hold_the_questions_and_captions_stand_beside(tmp_path: Path) -> None:
    layer = write_columns(
        tmp_path / "l.gpkg",
        [(20, 30), (20, 30), (20, 30), (70, 30), (50, 70)],
        caption=["a red field .", None, None, "a green field .", None],
        asked=["how many fields?", "how many fields?", "is there water?", None, "is there water?"],
        answer=["one", "two", "no", "three", None],
    )
    columns = Columns("caption", "answer", "asked")
    samples, skipped = cut(write_scene(tmp_path / "scene.tif"), layer, tmp_path / "chips", columns)
    assert [s.captions for s in samples] == [("a red field .",), ("a green field .",)]
    assert [[(q.text, q.answer) for q in s.questions] for s in samples] == [
        [("how many fields?", "one"), ("is there water?", "no")],
        [],
    ]
    assert skipped == [
        "feature 5: no text in caption or answer or asked",
        "feature 2: contradicts the answer to 'how many fields?' of feature 1",
    ]


def test_what_gives_no_image_is_reported_by_number(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", nodata=90)
    features = [
        (on_ground(Point(20, 30)), "good"),
        (on_ground(Point(20, 30)), "  "),
        (on_ground(Point(20, 30)), None),
        (on_ground(Point(500, 30)), "far off"),
        (None, "nowhere"),
        (on_ground(Point(100, 90)), "void"),
    ]
    (sample,), skipped = cut(scene, write_layer(tmp_path / "l.gpkg", features), tmp_path / "chips")
    assert sample.captions == ("good",)
    assert sorted(skipped) == [
        "feature 2: no text in caption",
        "feature 3: no text in caption",
        "feature 4: not on the scene",
        "feature 5: not on the scene",
        "feature 6: no valid pixel",
    ]


def test_sixteen_bits_are_stretched_as_everywhere(tmp_path: Path) -> None:
    values = np.repeat(np.linspace(0, 4000, 120, dtype=np.uint16)[None, None], 100, axis=1).repeat(3, axis=0)
    scene = write_raster(tmp_path / "scene.tif", values, "red green blue", photometric="RGB")
    layer = write_layer(tmp_path / "l.gpkg", {on_ground(Point(60, 50)): "half way"})
    (sample,), _ = cut(scene, layer, tmp_path / "chips")
    assert read_image(sample.image).mean() == pytest.approx(127.5, abs=4)


def test_a_scene_without_a_simple_place_is_refused(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "l.gpkg", {Point(0, 0): "x"})
    corners = [(0, 0), (0, 120), (100, 0), (100, 120)]
    points = [GroundControlPoint(row, col, 500_000 + col, 4_000_000 - row) for row, col in corners]
    values = np.full((3, 100, 120), 90, np.uint8)
    for scene in (
        write_raster(tmp_path / "gcps.tif", values, gcps=(points, "EPSG:32631")),
        write_raster(tmp_path / "bare.tif", values, crs=None),
    ):
        with pytest.raises(SceneError, match="gdalwarp"):
            cut_chips(open_scene(scene), layer, CAPTIONS, SIDE, tmp_path)


def test_layers_that_are_of_no_use_are_refused(tmp_path: Path) -> None:
    scene = open_scene(write_scene(tmp_path / "scene.tif"))
    layer = write_layer(tmp_path / "l.gpkg", {on_ground(Point(500, 30)): "far off"})
    with pytest.raises(DataError, match=r"no feature gives an image.*feature 1: not on the scene"):
        cut_chips(scene, layer, CAPTIONS, SIDE, tmp_path)
    with pytest.raises(UsageError, match="no column 'label'; choose from: caption"):
        cut_chips(scene, layer, Columns("label"), SIDE, tmp_path)
    with pytest.raises(UsageError, match="no column 'answers'; choose from: caption"):
        cut_chips(scene, layer, Columns("caption", "answers", "is it red?"), SIDE, tmp_path)
    with pytest.raises(DataError, match="cannot be read as a vector layer"):
        cut_chips(scene, tmp_path / "missing.gpkg", CAPTIONS, SIDE, tmp_path)
    geopandas.GeoDataFrame({"caption": ["x"]}, geometry=[Point(0, 0)]).to_file(tmp_path / "bare.gpkg")
    with pytest.raises(DataError, match="ogr2ogr -a_srs"):
        cut_chips(scene, tmp_path / "bare.gpkg", CAPTIONS, SIDE, tmp_path)


@pytest.mark.parametrize("side", [75, 120, 2000], ids=["a small scene", "a corner of a large one", "a large scene"])
def test_no_group_has_too_many_of_the_images(side: int) -> None:
    """Forty labels at random in a square of `side` pixels; a window has 16."""
    rng = np.random.default_rng(0)
    windows = [
        Tile(0, 0, int(x), int(y), SIDE, SIDE, SIDE, owned=(int(x), int(y), SIDE, SIDE))
        for x, y in rng.integers(0, side, (40, 2))
    ]
    groups = _groups(windows, SIDE)
    assert set(groups) == set(windows)
    assert max(Counter(groups.values()).values()) <= 0.15 * 40
    if side == 2000:
        assert all(group == f"{window.y // 64}-{window.x // 64}" for window, group in groups.items())


def test_a_small_scene_is_learned_from_as_the_validation_split_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = [on_ground(Point(*xy)) for xy in rng.uniform(0, (90, 70), (40, 2))]
    layer = write_layer(tmp_path / "l.gpkg", [(point, f"field {n}") for n, point in enumerate(points)])
    samples, _ = cut(write_scene(tmp_path / "scene.tif"), layer, tmp_path / "chips")
    for share, most in ((0.05, 4), (0.15, 9), (0.3, 18)):
        held_out = validation_split(samples, share)
        assert 2 <= held_out.sum() <= most
        assert split_description(samples, held_out) == "by group"
