from __future__ import annotations

from shapely.geometry import box

from rsmoe_cli.captioning.layer import COLUMNS, described, failed
from rsmoe_cli.tiles.grid import Grid
from rsmoe_core.types import Description

TILE = Grid(64, 64, 32).tile(1, 0)
DESCRIPTION = Description("a port", "port", "ships", "ships in a port", 0.75, {"objects": "How many ships?"})


def test_a_described_tile_has_all_words_and_no_error() -> None:
    footprint = box(0, 0, 1, 1)
    row = described(TILE, DESCRIPTION, 0.5, footprint)
    assert row.id == "r0001c0000"
    assert {name: row.values[name] for name in COLUMNS} == {
        "tile_id": "r0001c0000",
        "row": 1,
        "col": 0,
        "caption": "a port",
        "theme": "port",
        "objects": "ships",
        "relations": "ships in a port",
        "confidence": 0.75,
        "valid_fraction": 0.5,
        "status": "ok",
        "error": None,
    }
    assert row.geometry is footprint
    assert row.values["prompt_objects"] == "How many ships?"
    assert "prompt_theme" not in row.values


def test_a_failed_tile_has_an_error_and_no_words() -> None:
    values = failed(TILE, "cannot be read", None, None).values
    assert {name for name, value in values.items() if value is not None} == {"tile_id", "row", "col", "status", "error"}
    assert values["status"] == "failed"
