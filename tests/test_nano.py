"""The built-in model names what a drawn town shows, by the command that a user runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import geopandas
import pytest
from typer.testing import CliRunner

from rsmoe_cli.main import app
from rsmoe_core.checkpoint.catalogue import BUILT_IN
from rsmoe_core.checkpoint.validation import load_config
from tests.cli.formats.layers import metadata_of

# Share of a tile that must lie in a zone; a quarter of the residential zone is roads.
MIN_SHARE = {"sea": 0.9, "forest": 0.9, "farmland": 0.9, "residential": 0.7}
# Words that are right for such a tile, and words that are wrong.
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
    """The example town, captioned by `rsmoe caption`; `share_ZONE` is the share of a tile that lies in a zone."""
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
        [area] = zones[zones.zone == zone].geometry
        rows[f"share_{zone}"] = rows.geometry.intersection(area).area / rows.geometry.area
    rows.attrs["out"] = out
    return rows


def test_every_tile_has_texts(tiles: geopandas.GeoDataFrame) -> None:
    assert (tiles.status == "ok").all()
    for column in ("caption", "theme", "objects"):
        assert tiles[column].str.len().min() > 2, column
    assert tiles.caption.nunique() > 10
    assert tiles.confidence.between(0, 1).all()


@pytest.mark.parametrize("zone", RIGHT)
def test_zones_are_called_by_their_names(tiles: geopandas.GeoDataFrame, zone: str) -> None:
    """The town is drawn, not photographed, so a few tiles may be called something else."""
    of_zone = tiles[(tiles[f"share_{zone}"] > MIN_SHARE[zone]) & (tiles.valid_fraction > 0.9)]
    captions = of_zone.caption.str.lower().tolist()
    assert len(captions) >= 3
    right = [bool(re.search(RIGHT[zone], caption)) for caption in captions]
    wrong = [bool(re.search(WRONG[zone], caption)) for caption in captions]
    assert sum(right) > 0.6 * len(captions), captions
    assert sum(wrong) <= 0.2 * len(captions), captions


def test_the_airport_is_recognised(tiles: geopandas.GeoDataFrame) -> None:
    assert tiles.caption.str.contains("airport|plane", case=False).any()


def test_the_layer_names_its_model(tiles: geopandas.GeoDataFrame) -> None:
    metadata = metadata_of(tiles.attrs["out"])
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
    """A hundred images of the test split; `rsmoe evaluate captions` scores the whole split."""
    arguments = ["--data", str(shared / "data" / "rsicd"), "--split", "test", "--limit", "100", "--json"]
    done = CliRunner().invoke(app, ["evaluate", "captions", *arguments])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["scores"]["CIDEr"] > 4 * result["baseline"]["CIDEr"]
