"""The model that ships really captions: known ground, known words, the user's command."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from types import ModuleType

import geopandas
import pytest
from typer.testing import CliRunner

from rsmoe_cli.main import app
from rsmoe_core.checkpoint.catalogue import BUILT_IN
from rsmoe_core.checkpoint.validation import load_config

# How much of a tile must lie in a zone; a quarter of the residential zone's ground are its roads.
LEAST = {"sea": 0.9, "forest": 0.9, "farmland": 0.9, "residential": 0.7}
# Words that are true of such a tile, and words that never are.
RIGHT = {
    "sea": r"\b(sea|ocean|water|ships?|boats?|waves?)\b",
    "forest": r"\b(trees?|forest|woods?|plants?)\b",
    "farmland": r"\b(farmlands?|fields?|farm)\b",
    "residential": r"\b(residential|houses?|buildings?)\b",
}
WRONG = {
    "sea": r"\b(forest|desert|farmlands?|meadows?|airport|residential)\b",
    "forest": r"\b(sea|ocean|beach|airport|desert)\b",
    "farmland": r"\b(sea|ocean|ships?|airport)\b",
    "residential": r"\b(sea|ocean|desert|forest|farmlands?)\b",
}


@pytest.fixture(scope="module")
def tiles(coastal_town: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> geopandas.GeoDataFrame:
    """The example town, captioned by the user's command; `share_ZONE` is how much of a tile lies in a zone."""
    folder = tmp_path_factory.mktemp("town")
    paths = coastal_town.render(folder, seed=7, size=2016)
    out = folder / "captions.gpkg"
    done = CliRunner().invoke(app, ["caption", str(paths.scene), "-o", str(out), "--json"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["coverage"] == 1.0
    assert summary["failed"] == 0
    assert summary["skipped"] >= 1
    rows = geopandas.read_file(out, layer="captions")
    assert len(rows) == summary["captioned"]
    zones = geopandas.read_file(paths.truth, layer="zones")
    for zone in RIGHT:
        [ground] = zones[zones.kind == zone].geometry
        rows[f"share_{zone}"] = rows.geometry.intersection(ground).area / rows.geometry.area
    rows.attrs["out"] = out
    return rows


def test_every_tile_has_its_words(tiles: geopandas.GeoDataFrame) -> None:
    assert (tiles.status == "ok").all()
    for column in ("caption", "theme", "objects"):
        assert tiles[column].str.len().min() > 2, column
    assert tiles.caption.nunique() > 10
    assert tiles.confidence.between(0, 1).all()


@pytest.mark.parametrize("zone", RIGHT)
def test_known_ground_is_called_by_its_name(tiles: geopandas.GeoDataFrame, zone: str) -> None:
    """The town is drawn, not photographed, so some tiles may be misread; most may not."""
    captions = tiles[(tiles[f"share_{zone}"] > LEAST[zone]) & (tiles.valid_fraction > 0.9)].caption.str.lower().tolist()
    assert len(captions) >= 3
    right = [bool(re.search(RIGHT[zone], caption)) for caption in captions]
    wrong = [bool(re.search(WRONG[zone], caption)) for caption in captions]
    assert sum(right) > 0.6 * len(captions), captions
    assert sum(wrong) <= 0.2 * len(captions), captions


def test_airplanes_are_seen_where_they_stand(tiles: geopandas.GeoDataFrame) -> None:
    assert tiles.caption.str.contains("airport|plane", case=False).any()


def test_the_file_says_which_model_wrote_it(tiles: geopandas.GeoDataFrame) -> None:
    with sqlite3.connect(tiles.attrs["out"]) as database:
        metadata = dict(database.execute("select key, value from rsmoe_metadata"))
    assert metadata["model"] == "nano"
    assert re.fullmatch(r"[0-9a-f]{12}", metadata["model_revision"])


def test_nano_is_small_and_complete() -> None:
    folder = BUILT_IN / "nano"
    size = sum(path.stat().st_size for path in folder.rglob("*"))
    assert size < 40e6
    assert load_config(folder).name == "nano"
    assert (folder / "README.md").is_file()


@pytest.mark.usefixtures("no_java")
def test_nano_names_the_scenes_of_rsicd(shared: Path) -> None:
    """A hundred pictures of the test split; the whole split is scored by `rsmoe evaluate`."""
    arguments = ["--data", str(shared / "data" / "rsicd"), "--split", "test", "--limit", "100", "--json"]
    done = CliRunner().invoke(app, ["evaluate", *arguments])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["scores"]["CIDEr"] > 4 * result["baseline"]["CIDEr"]
