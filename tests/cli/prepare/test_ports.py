from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from rsmoe_cli.errors import OutputError, SceneError
from rsmoe_cli.prepare.ports import prepare_ports
from rsmoe_cli.raster.scene import open_scene
from rsmoe_core.data.base import Sample
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.errors import UsageError
from rsmoe_core.words.grammar import counted
from tests.cli.rasters import write_raster

BANDS = ("B02 blue", "B03 green", "B04 red", "B08 near infrared")
SIDE = 520
# From left to right: sea, town and vegetation; each with its red and near-infrared reflectance.
SEA_ENDS, TOWN_ENDS = 300, 400
GROUND = ((0, SEA_ENDS, 60, 40), (SEA_ENDS, TOWN_ENDS, 2000, 2200), (TOWN_ENDS, SIDE, 400, 3000))
SHIPS = [[x - 4, y - 3, 8, 6] for x in (40, 150, 270) for y in (60, 130, 300, 420)]


def write_port(folder: Path, name: str, ships: list[list[int]] = SHIPS, bands: tuple[str, ...] = BANDS) -> Path:
    """A scene with known ground; blue grows to the right and green downwards, so that images tell their position."""
    values = np.zeros((4, SIDE, SIDE), np.uint16)
    values[0] = 1000 + 4 * np.arange(SIDE)[None, :]
    values[1] = 1000 + 4 * np.arange(SIDE)[:, None]
    for first, last, red, infrared in GROUND:
        values[2, :, first:last], values[3, :, first:last] = red, infrared
    values[2:] += np.random.default_rng(0).integers(0, 20, (2, SIDE, SIDE)).astype(np.uint16)
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(write_raster(folder / f"{name}.tif", values[: len(bands)], descriptions=bands))
    path.with_suffix(".vessels.json").write_text(json.dumps({"count": len(ships), "bbox_xywh_px": ships}))
    return path


_UNMAPPED = ("green land", "mixed land", "port")
"""Scene classes made from water and vegetation, in addition to sea, coast and city."""


@dataclass(frozen=True)
class Window:
    """Where an image was cut, in pixels of the scene, as read from its colours."""

    left: float
    top: float
    side: float

    def share(self, first: int, last: int) -> float:
        """Part of the window between two columns of the scene."""
        return max(0.0, min(self.left + self.side, last) - max(self.left, first)) / self.side

    def ships(self, margin: float) -> int:
        """Ships with their centre in the window, grown by a margin."""
        return sum(
            -margin <= x + w / 2 - self.left < self.side + margin
            and -margin <= y + h / 2 - self.top < self.side + margin
            for x, y, w, h in SHIPS
        )


def find_window(scene: Path, image: Path) -> Window:
    stretch = open_scene(str(scene)).stretch
    pixels = np.asarray(Image.open(image)).astype(float)
    (left, width), (top, height) = (
        _position(pixels[..., channel].mean(axis=axis), stretch.low[channel], stretch.high[channel])
        for channel, axis in ((2, 0), (1, 1))
    )
    assert width == pytest.approx(height, abs=4)
    return Window(left, top, (width + height) / 2)


def _position(profile: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Start and length of a window along one axis, from its ramp; the ends of the stretch are flat."""
    within = (profile > 3) & (profile < 252)
    position = (low + profile[within] * (high - low) / 255 - 1000) / 4
    slope, start = np.polyfit(np.flatnonzero(within) + 0.5, position, 1)
    return start, slope * len(profile)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labelled ports and one scene without labels."""
    folder = tmp_path_factory.mktemp("scenes")
    write_port(folder, "east")
    write_port(folder, "west", ships=[])
    write_port(folder, "unlabelled").with_suffix(".vessels.json").unlink()
    return folder


@pytest.fixture(scope="module")
def prepared(scenes: Path) -> Path:
    target = scenes.parent / "new" / "ports"
    prepare_ports(scenes, target, leave_out=("west",))
    return target


def _of(prepared: Path, port: str) -> list[Sample]:
    """The windows of a port."""
    return [sample for sample in read_dataset(prepared).samples if sample.group == port and sample.captions]


def test_labelled_ports_become_a_data_set_that_training_reads(prepared: Path) -> None:
    dataset = read_dataset(prepared)
    assert dataset.problems == ()
    windows = [sample for sample in dataset.samples if sample.captions]
    assert len(windows) == 2 * (SIDE * SIDE // 6000)
    assert {(s.group, s.split) for s in windows} == {("east", "train"), ("west", "val")}
    assert {Image.open(s.image).size for s in windows} == {(224, 224)}
    assert len(list(prepared.iterdir())) == len(dataset.samples) + 1
    assert [path.name for path in prepared.parent.iterdir()] == ["ports"]


def test_captions_agree_with_the_window(scenes: Path, prepared: Path) -> None:
    checked = set()
    for sample in _of(prepared, "east"):
        window = find_window(scenes / "east.tif", sample.image)
        water, ships = window.share(0, SEA_ENDS), window.ships(0)
        if window.ships(-5) == window.ships(5):
            assert sample.objects == (counted(ships, "ship") if ships else None)
            if sample.scene_class in ("sea", "port"):
                assert all((counted(ships, "ship") if ships else "sea") in s or not ships for s in sample.captions)
        if abs(water - 0.97) > 0.02 and abs(water - 0.12) > 0.02:
            land = window.share(TOWN_ENDS, SIDE) / max(1 - water, 0.01)
            inland = "city" if land < 0.25 else "green land" if land > 0.7 else "mixed land"
            shore = "port" if sample.objects else "coast"
            near_a_limit = water < 0.12 and min(abs(land - 0.25), abs(land - 0.7)) < 0.03
            if not near_a_limit:
                assert sample.scene_class == ("sea" if water > 0.97 else shore if water > 0.12 else inland)
                checked.add(sample.scene_class)
    assert {"sea", "port"} < checked, "the windows show little"


def test_whole_ports_are_there_with_a_box_for_every_ship(prepared: Path) -> None:
    dataset = read_dataset(prepared)
    (east,), (west,) = dataset.boxed("train"), dataset.boxed("val")
    assert Image.open(east.image).size == (SIDE, SIDE)
    assert east.metres_per_pixel == pytest.approx(10, abs=0.1)
    assert east.boxes is not None
    assert sorted(east.boxes.cxcywh) == sorted((x + 4.0, y + 3.0, 8.0, 6.0) for x, y, _, _ in SHIPS)
    assert west.boxes is not None
    assert west.boxes.cxcywh == ()


def test_without_ships_no_caption_mentions_one(prepared: Path) -> None:
    for sample in _of(prepared, "west"):
        assert sample.objects is None
        assert not any("ship" in sentence for sentence in sample.captions)


def test_a_land_cover_map_gives_scene_classes_and_captions(scenes: Path, tmp_path: Path) -> None:
    """Its cells of 100 pixels are as the scene: three of sea, one of houses and two of forest, the last a part."""
    maps = {"cell": 100, "classes": {"S": "sea", "R": "dense residential area", "F": "forest"}}
    (tmp_path / "maps.json").write_text(json.dumps(maps | {"scenes": {"east": ["SSSRFF"] * 6}}))
    prepare_ports(scenes, tmp_path / "out", leave_out=("west",), land_cover=tmp_path / "maps.json")
    assert {sample.scene_class for sample in _of(tmp_path / "out", "west")} <= {"sea", "coast", "city", *_UNMAPPED}
    found = set()
    for sample in _of(tmp_path / "out", "east"):
        assert sample.synthetic
        window = find_window(scenes / "east.tif", sample.image)
        sea, town, forest = (window.share(*ends) for ends in ((0, SEA_ENDS), (SEA_ENDS, TOWN_ENDS), (TOWN_ENDS, SIDE)))
        if min(abs(sea - 0.9), abs(sea - 0.15), abs(town - forest)) > 0.03:
            inland = "forest" if forest > town else "dense residential area"
            assert sample.scene_class == ("sea" if sea > 0.9 else "coast" if sea > 0.15 else inland)
            found.add(sample.scene_class)
    assert found >= {"sea", "coast", "forest"}


def test_a_map_of_another_size_is_refused(scenes: Path, tmp_path: Path) -> None:
    maps = {"cell": 100, "classes": {"S": "sea"}, "scenes": {"west": ["SSSSS"] * 6}}
    (tmp_path / "maps.json").write_text(json.dumps(maps))
    with pytest.raises(SceneError, match=r"west\.tif: has 520 x 520 pixels, but its land-cover map 6 x 5 cells of 100"):
        prepare_ports(scenes, tmp_path / "out", land_cover=tmp_path / "maps.json")
    assert not (tmp_path / "out").exists()


def test_the_seed_decides_every_window(scenes: Path, prepared: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        prepare_ports(scenes, tmp_path / str(seed), seed=seed, leave_out=("west",))
    same, other = ({p.name: p.read_bytes() for p in (tmp_path / str(seed)).iterdir()} for seed in (0, 1))
    assert same == {p.name: p.read_bytes() for p in prepared.iterdir()}
    assert same.keys() == other.keys()
    assert same != other


def test_an_even_scene_is_described_all_the_same(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.full((4, 120, 100), 7, np.uint16), descriptions=BANDS)
    Path(path).with_suffix(".vessels.json").write_text('{"bbox_xywh_px": []}')
    assert prepare_ports(tmp_path, tmp_path / "out") == 3


def test_values_below_zero_are_dark(tmp_path: Path) -> None:
    path = write_port(tmp_path, "a")
    with rasterio.open(path) as dataset:
        values = dataset.read().astype(np.int16) - 50
    write_raster(path, values, descriptions=BANDS)
    prepare_ports(tmp_path, tmp_path / "out")
    assert any(sample.scene_class == "sea" for sample in read_dataset(tmp_path / "out").samples)


@pytest.mark.parametrize("missing", range(4))
def test_a_missing_band_is_named_and_leaves_nothing_behind(tmp_path: Path, missing: int) -> None:
    bands = tuple("thermal" if n == missing else name for n, name in enumerate(BANDS))
    write_port(tmp_path / "scenes", "a")
    write_port(tmp_path / "scenes", "b", bands=bands)
    with pytest.raises(SceneError, match=rf"b\.tif: no band is described as {BANDS[missing].split(' ', 1)[1]};"):
        prepare_ports(tmp_path / "scenes", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


@pytest.mark.parametrize("labels", ["", "{}", "[]", '{"bbox_xywh_px": [[1, 2, 3]]}', '{"bbox_xywh_px": "none"}'])
def test_damaged_labels_are_named(tmp_path: Path, labels: str) -> None:
    write_port(tmp_path / "scenes", "a").with_suffix(".vessels.json").write_text(labels)
    with pytest.raises(SceneError, match=r"a\.vessels\.json: no ship labels"):
        prepare_ports(tmp_path / "scenes", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_labelled_scenes_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SceneError, match=r"no NAME\.tif with a NAME\.vessels\.json"):
            prepare_ports(folder, tmp_path / "out")


def test_a_port_that_is_not_there_cannot_be_left_out(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no port 'wets' to leave out; choose from: east, west"):
        prepare_ports(scenes, tmp_path / "out", leave_out=("wets",))
    assert not (tmp_path / "out").exists()


def test_an_output_that_holds_something_is_left_alone(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(OutputError, match="exists already"):
        prepare_ports(scenes, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_map_without_a_matching_port_is_warned_about(scenes: Path, tmp_path: Path) -> None:
    maps = {"cell": 100, "classes": {"S": "sea"}, "scenes": {"north": ["S"], "west": ["SSSSSS"] * 6}}
    (tmp_path / "maps.json").write_text(json.dumps(maps))
    warnings: list[str] = []
    prepare_ports(scenes, tmp_path / "out", land_cover=tmp_path / "maps.json", warn=warnings.append)
    assert warnings == [f"{tmp_path}/maps.json: the map of north is not used, as there is no such port in {scenes}"]
