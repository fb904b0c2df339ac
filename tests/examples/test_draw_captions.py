"""The picture of a captioned scene."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import geopandas
import pytest
import rasterio
from PIL import Image
from shapely import box

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "draw_captions.py"
SIZE = (1388, 576)


@pytest.fixture
def captions(town: SimpleNamespace, tmp_path: Path) -> Path:
    """A caption file of 8 x 8 tiles, in which the captions from row 4, column 3 on differ most."""
    with rasterio.open(town.paths.scene) as scene:
        (left, _, right, top), crs = scene.bounds, scene.crs
    side = (right - left) / 8
    rows = []
    for row, col in ((row, col) for row in range(8) for col in range(8)):
        varied = row in (4, 5, 6) and col in (3, 4, 5, 6)
        x, y = left + col * side, top - row * side
        rows.append(
            {
                "tile_id": f"r{row:04}c{col:04}",
                "row": row,
                "col": col,
                "caption": f"Tile {row} {col} is special." if varied else "A piece of meadow.",
                "theme": "meadow",
                "objects": "some trees",
                "relations": "",
                "confidence": 0.9,
                "status": "failed" if row == col == 0 else "ok",
                "geometry": box(x, y - side, x + side, y),
            }
        )
    path = tmp_path / "captions.gpkg"
    geopandas.GeoDataFrame(rows, crs=crs).to_file(path, layer="captions")
    return path


def draw(*arguments: object) -> str:
    """What the script prints."""
    words = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True).stdout


def test_the_block_with_the_most_different_captions_is_drawn(
    town: SimpleNamespace, captions: Path, tmp_path: Path
) -> None:
    output = draw(town.paths.scene, captions, tmp_path / "new" / "picture.png")
    assert "shows 12 of 64 tiles" in output
    assert "1  Tile 4 3 is special. (r0004c0003, confidence 0.90)" in output
    with Image.open(tmp_path / "new" / "picture.png") as picture:
        assert (picture.format, picture.size) == ("PNG", SIZE)
        assert len(picture.convert("RGB").crop((0, 0, 768, 576)).getcolors()) > 50, "the scene is not in it"


def test_a_tile_can_be_chosen_and_failed_tiles_are_left_out(
    town: SimpleNamespace, captions: Path, tmp_path: Path
) -> None:
    output = draw(town.paths.scene, captions, tmp_path / "picture.png", "--tile", 0, 0)
    assert "shows 11 of 64 tiles" in output
    assert "r0000c0001" in output


def test_the_picture_of_the_readme_is_one_of_this_script() -> None:
    path = ROOT / "docs" / "images" / "captioned_scene.png"
    assert path.stat().st_size < 400_000
    with Image.open(path) as picture:
        assert picture.size == SIZE
