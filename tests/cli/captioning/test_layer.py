from __future__ import annotations

from shapely.geometry import box

from rsmoe_cli.captioning.layer import DESCRIPTIONS, caption_columns, caption_row
from rsmoe_cli.pipeline.records import TileRecord
from rsmoe_cli.pipeline.run import Outcome
from rsmoe_cli.tiles.grid import Grid
from rsmoe_core.roles import DEFAULT_EXPERTS
from rsmoe_core.types import Description, Generation

TILE = Grid(64, 64, 32).tile(1, 0)
DESCRIPTION = Description(
    "a port",
    {"theme": Generation("port", 0.9, 1), "objects": Generation("ships"), "relations": Generation("ships in a port")},
    0.75,
    {"objects": "How many ships?"},
)


def record(outcome: Outcome[Description], valid_pixels: int | None = 512) -> TileRecord[Description]:
    return TileRecord(TILE, (outcome,), 512, valid_pixels, 32, box(0, 0, 1, 1))


def test_a_captioned_tile_has_the_words_of_all_roles_and_no_error() -> None:
    row = caption_row(record(Outcome(DESCRIPTION)), 0, "a.tif", metres_per_pixel=0.6123456)
    assert row.id == "1.r0001c0000"
    assert {name: row.values[name] for name in caption_columns(DEFAULT_EXPERTS)} == {
        "id": "1.r0001c0000",
        "scene": "a.tif",
        "tile_id": "r0001c0000",
        "row": 1,
        "col": 0,
        "tile_m": 19.6,
        "caption": "a port",
        "theme": "port",
        "objects": "ships",
        "relations": "ships in a port",
        "confidence": 0.75,
        "valid_fraction": 0.5,
        "status": "ok",
        "error": None,
    }
    assert row.geometry == box(0, 0, 1, 1)
    assert row.values["prompt_objects"] == "How many ships?"
    assert "prompt_theme" not in row.values


def test_a_failed_tile_has_an_error_and_no_words() -> None:
    values = caption_row(record(Outcome(error="cannot be read"), None), 0, "a.tif").values
    known = {name for name, value in values.items() if value is not None}
    assert known == {"id", "scene", "tile_id", "row", "col", "status", "error"}
    assert values["status"] == "failed"


def test_one_of_several_scenes_is_named() -> None:
    row = caption_row(record(Outcome(DESCRIPTION)), 2, "c.tif")
    assert (row.id, row.values["scene"]) == ("3.r0001c0000", "c.tif")


def test_columns_follow_the_experts() -> None:
    columns = list(caption_columns(("theme", "weather"), prompts=True))
    assert columns[:9] == ["id", "scene", "tile_id", "row", "col", "tile_m", "caption", "theme", "weather"]
    assert columns[-2:] == ["prompt_theme", "prompt_weather"]


def test_descriptions_come_back_from_the_journal_unchanged() -> None:
    bare = Description("a port", confidence=None)
    outcomes = (Outcome(DESCRIPTION), Outcome(bare), Outcome[Description](error="cannot be captioned: it's dark"))
    assert DESCRIPTIONS.loads(DESCRIPTIONS.dumps(outcomes)) == outcomes
