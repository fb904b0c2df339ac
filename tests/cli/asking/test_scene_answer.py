from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_cli.asking.detections import SceneDetection, TileAnswer, scene_detections
from rsmoe_cli.asking.scene_answer import SceneAnswer, scene_answer
from rsmoe_cli.pipeline.stats import TileStats
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.types import Answer, Detection
from rsmoe_core.words import locations

Sights = Sequence[tuple[float, float, float]]
"""x, y and confidence of ships in a tile's picture."""


def parsed(kind: str, **details: str) -> ParsedQuestion:
    return ParsedQuestion(text=f"{kind}?", kind=kind, plain=kind, **{"thing": "ship", **details})


def hear(
    tile: Tile,
    text: str,
    confidence: float = 0.9,
    ships: Sights = (),
    counts: Mapping[str, float] | None = None,
    evidence: str = "",
    side: int | None = None,
    nms_radius: float = 4,
    share: float = 1,
) -> TileAnswer:
    found = tuple(Detection("ship", x, y, sure, reach) for x, y, sure in ships)
    answer = Answer(text, confidence, evidence, counts or {}, found)
    return TileAnswer(
        tile, answer, side or tile.size, round(tile.owned_pixels * share), tile.owned_pixels * share / tile.pixels
    )


def ask(
    question: ParsedQuestion, grid: Grid, heard: Sequence[TileAnswer], skipped: int = 0, failed: int = 0
) -> SceneAnswer:
    tally = TileStats(
        told=len(heard), skipped=skipped, failed=failed, error="r0000c0000 cannot be read" if failed else None
    )
    return scene_answer(question, grid.width, grid.height, heard, tally)


ROW = Grid(120, 40, 40)
"""Three tiles side by side."""
LEFT, MIDDLE, RIGHT = ROW


@st.composite
def seas(draw: st.DrawFn) -> tuple[Grid, list[tuple[float, float]]]:
    """A grid over a scene, and ships in it that are 12 pixels or more apart."""
    size = draw(st.integers(24, 60))
    grid = Grid(draw(st.integers(24, 150)), draw(st.integers(24, 150)), size, draw(st.integers(0, size // 2)))
    cells = [(x, y) for x in range(6, grid.width - 5, 18) for y in range(6, grid.height - 5, 18)]
    chosen = draw(st.lists(st.sampled_from(cells), unique=True, max_size=20))
    shift = st.integers(-3, 3)
    return grid, [(x + draw(shift), y + draw(shift)) for x, y in chosen]


def parts_seen(tile: Tile, ships: list[tuple[float, float]], side: int, radius: float = 3) -> Sights:
    """Middles of the parts of square ships that lie in a tile, in pixels of its picture."""
    sights = []
    for x, y in ships:
        left, right = max(tile.x, x - radius), min(tile.x + tile.width, x + radius)
        top, bottom = max(tile.y, y - radius), min(tile.y + tile.height, y + radius)
        if left < right and top < bottom:
            scale = side / tile.size
            wholeness = (right - left) * (bottom - top) / (2 * radius) ** 2
            middle = ((left + right) / 2 - tile.x) * scale, ((top + bottom) / 2 - tile.y) * scale
            sights.append((*middle, 0.6 + 0.39 * wholeness))
    return sights


@settings(deadline=None)
@given(sea=seas(), reduced=st.sampled_from([1, 2]))
def test_no_grid_changes_the_number_of_ships(sea: tuple[Grid, list[tuple[float, float]]], reduced: int) -> None:
    grid, ships = sea
    side = grid.size // reduced
    heard = [
        hear(tile, "?", ships=parts_seen(tile, ships, side), side=side, nms_radius=7 * side / grid.size)
        for tile in grid
    ]
    answer = ask(parsed("count"), grid, heard)
    assert answer.answer == str(len(ships))
    assert {(round(t.x / 3), round(t.y / 3)) for t in answer.things} <= {
        (round(x / 3) + dx, round(y / 3) + dy) for x, y in ships for dx in (-1, 0, 1) for dy in (-1, 0, 1)
    }
    assert answer.interval is not None
    assert answer.interval[0] <= len(ships) <= answer.interval[1]


def test_a_ship_at_a_seam_is_counted_once_whoever_sees_it_where() -> None:
    overlapping = Grid(70, 40, 40, 10)
    left, right = overlapping
    assert left.owned[2] == 35

    def count(x_left: float, x_right: float) -> list[SceneDetection]:
        return scene_detections(
            [
                hear(left, "1", ships=[(x_left, 20, 0.7)]),
                hear(right, "1", ships=[(x_right - 30, 20, 0.8)]),
            ]
        )

    for x_left, x_right in ((34, 34), (36, 36), (34, 36), (36, 34)):
        (ship,) = count(x_left, x_right)
        assert (ship.x, ship.confidence, ship.tile) == (x_right, 0.8, right)
    assert len(count(31, 38)) == 2, "further apart than the reach of 4 pixels"


def test_a_tile_tells_its_own_things_apart() -> None:
    left, right = Grid(70, 40, 40, 10)
    pair = [(34.0, 20.0, 0.9), (37.0, 20.0, 0.8)]
    there = [(x - 30, y, sure - 0.05) for x, y, sure in pair]
    assert len(scene_detections([hear(left, "2", ships=pair), hear(right, "2", ships=there)])) == 2


def test_a_count_has_an_interval_and_says_where() -> None:
    ships = [(5.0, 5.0, 0.9), (15.0, 5.0, 0.8), (25.0, 5.0, 0.4)]
    heard = [hear(LEFT, "2", ships=ships, evidence="two ships at the quay"), hear(MIDDLE, "0"), hear(RIGHT, "0")]
    answer = ask(parsed("count"), ROW, heard, skipped=2, failed=1)
    assert answer.answer == "2"
    assert answer.interval == (1, 3)
    # 0.9 and 0.8 without 0.4, or one of them with it
    assert answer.confidence == pytest.approx(0.9 * 0.8 * 0.6 + (0.9 * 0.2 + 0.1 * 0.8) * 0.4)
    assert answer.evidence == (
        "found in 1 of 3 tiles: r0000c0000 (2)",
        "doubtful and not counted: 1",
        "r0000c0000: two ships at the quay",
        "failed tiles, without which this is: 1; r0000c0000 cannot be read",
    )
    assert str(answer).splitlines()[0] == f"2 (1 to 3, confidence {answer.confidence:.2f})"
    facts = answer.facts()
    assert facts["tiles"] == {"asked": 3, "skipped": 2, "failed": 1, "supporting": 1}
    assert facts["reason"] is None
    assert json.loads(json.dumps(facts)) == facts


def test_nothing_found_is_as_sure_as_the_tiles_are() -> None:
    answer = ask(parsed("count"), ROW, [hear(tile, "0", sure) for tile, sure in zip(ROW, (0.9, 0.8, 0.7), strict=True)])
    assert (answer.answer, answer.interval) == ("0", (0, 0))
    assert answer.confidence == pytest.approx(0.8)
    assert answer.evidence == ("found in none of 3 tiles",)


def test_numbers_without_places_count_by_the_ground_that_is_owned() -> None:
    grid = Grid(60, 40, 40, 20)
    heard = [hear(tile, "8", counts={"ship": 8}) for tile in grid]
    assert [one.own_share for one in heard] == [0.75, 0.75]
    answer = ask(parsed("count"), grid, heard)
    assert answer.answer == "12"
    assert answer.interval is not None
    low, high = answer.interval
    assert low <= 5
    assert high >= 22
    assert answer.confidence < 0.5
    assert "told without saying where, so the interval is wide: 12" in answer.evidence


def test_presence_rests_on_the_surest_tile() -> None:
    weak = [hear(tile, "no", 0.6) for tile in ROW]
    answer = ask(parsed("presence"), ROW, weak)
    assert (answer.answer, answer.supporting) == ("no", ())
    assert answer.confidence == pytest.approx(0.6), "many weak voices are no strong one"
    answer = ask(parsed("presence"), ROW, [*weak[:2], hear(RIGHT, "yes", 0.8)])
    assert (answer.answer, answer.confidence, answer.supporting) == ("yes", 0.8, (RIGHT,))
    assert answer.evidence[0].startswith("1 of 3 tiles say yes; the strongest identity are in r0000c0002 (0.80), ")
    answer = ask(parsed("presence"), ROW, [*weak[:2], hear(RIGHT, "yes", 0.6, ships=[(5, 5, 0.97)])])
    assert (answer.answer, answer.confidence) == ("yes", 0.97)
    answer = ask(parsed("presence"), ROW, [hear(LEFT, "no", 0.6, ships=[(5, 5, 0.2)])])
    assert (answer.answer, answer.confidence) == ("no", 0.8)


@pytest.mark.parametrize(
    ("relation", "ships", "cars", "answer"),
    [("more", 5, 2, "yes"), ("more", 2, 5, "no"), ("more", 3, 3, "no"), ("equal", 3, 3, "yes"), ("equal", 3, 5, "no")],
)
def test_comparison_counts_both(relation: str, ships: int, cars: int, answer: str) -> None:
    found = tuple(
        Detection(thing, 2 + 7 * place, row, 0.99, 3)
        for thing, number, row in (("ship", ships, 5), ("car", cars, 25))
        for place in range(number)
    )
    heard = [TileAnswer(LEFT, Answer("?", 0.9, found=found), 40, 1600, 1.0)]
    said = ask(parsed("comparison", other="car", relation=relation), ROW, heard)
    assert said.answer == answer
    assert said.confidence > 0.85
    assert said.evidence[0].startswith(f"ship: {ships}")


def test_comparison_of_numbers_without_places() -> None:
    heard = [hear(tile, "?", counts={"ship": 20, "car": 2}) for tile in ROW]
    assert ask(parsed("comparison", other="car", relation="more"), ROW, heard).answer == "yes"
    bare = ask(parsed("comparison", other="car", relation="more"), ROW, [hear(LEFT, "no", 0.7)])
    assert (bare.answer, bare.confidence) == ("no", 0.7)


@pytest.mark.parametrize("kind", ["theme", "rural_urban", "color", "relation"])
def test_tiles_vote_with_their_ground_and_confidence(kind: str) -> None:
    heard = [hear(LEFT, "Port", 0.8), hear(MIDDLE, "beach", 0.6, share=0.5), hear(RIGHT, "port.", 0.6)]
    answer = ask(parsed(kind), ROW, heard)
    assert answer.answer == "port"
    assert answer.confidence == pytest.approx(1.4 / (1.4 + 0.3) * 0.7)
    assert answer.supporting == (LEFT, RIGHT)
    assert answer.evidence == ("by area: port 80%, beach 20%",)


def test_location_is_where_in_the_scene_things_are() -> None:
    heard = [
        hear(LEFT, "top", ships=[(20, 5, 0.9), (20, 15, 0.3)]),
        hear(MIDDLE, "unknown"),
        hear(RIGHT, "bottom", ships=[(20, 35, 0.8), (35, 35, 0.7)]),
    ]
    answer = ask(parsed("location"), ROW, heard)
    assert answer.answer == "lower right, upper left"
    assert answer.confidence == pytest.approx(0.8)
    assert answer.supporting == (RIGHT, LEFT)


def test_location_of_what_is_not_there() -> None:
    answer = ask(parsed("location"), ROW, [hear(tile, "unknown", counts={"ship": 0}) for tile in ROW])
    assert answer.answer == "nowhere: no ship was found"
    assert answer.confidence == pytest.approx(0.9)
    doubtful = ask(parsed("location"), ROW, [hear(LEFT, "unknown", ships=[(5, 5, 0.3)])])
    assert (doubtful.answer, doubtful.confidence) == ("nowhere: no ship was found", 0.7)


def test_a_place_in_a_tile_is_a_place_in_the_scene() -> None:
    heard = [hear(LEFT, "unknown"), hear(MIDDLE, "unknown"), hear(RIGHT, "in the upper left corner")]
    assert ask(parsed("location"), ROW, heard).answer == "upper right"
    whole = Grid(40, 40, 40)
    assert ask(parsed("location"), whole, [hear(next(iter(whole)), "lower left")]).answer == "lower left"
    assert ask(parsed("location"), ROW, [hear(LEFT, "somewhere")]).answer == "left"


def test_a_description_quotes_what_is_said_of_most_ground() -> None:
    grid = Grid(200, 40, 40)
    said = ["A port.", "A beach.", "A port.", "A road.", "A lake."]
    heard = [hear(tile, text, 0.9 - 0.1 * tile.col) for tile, text in zip(grid, said, strict=True)]
    answer = ask(parsed("description"), grid, heard)
    assert answer.answer == "A port. (40% of the area) A beach. (20% of the area) A road. (20% of the area)"
    assert len(answer.supporting) == 4


def test_what_no_picture_answers() -> None:
    question = ParsedQuestion("Why?", "unknown", "", reason="reasons cannot be seen; ask what is there")
    answer = ask(question, ROW, [])
    assert str(answer).splitlines() == ["unknown", "reasons cannot be seen; ask what is there"]
    assert answer.facts()["confidence"] == 0


def test_what_the_engine_does_not_know() -> None:
    heard = [
        hear(tile, "unknown", evidence=line) for tile, line in zip(ROW, ("too coarse", "dark", "dark"), strict=True)
    ]
    for kind in ("count", "presence", "comparison", "theme", "location", "description"):
        answer = ask(parsed(kind, other="car", relation="more"), ROW, heard)
        assert (answer.answer, answer.reason, answer.confidence) == ("unknown", "dark", 0)
    assert ask(parsed("theme"), ROW, [*heard[:2], hear(RIGHT, "port")]).answer == "port"


def test_a_scene_of_which_nothing_is_heard() -> None:
    assert ask(parsed("theme"), ROW, [], skipped=3).reason == "the scene has no valid pixel"
    failed = ask(parsed("theme"), ROW, [], failed=3)
    assert failed.reason == "no tile could be read or asked"
    assert failed.evidence == ("failed tiles, without which this is: 3; r0000c0000 cannot be read",)


def test_an_engine_without_confidence_gives_no_nan() -> None:
    for kind in ("count", "presence", "theme", "description", "location"):
        answer = ask(parsed(kind), ROW, [hear(LEFT, "no", math.nan)])
        json.dumps(answer.facts(), allow_nan=False)


def test_ground_that_tiles_do_not_own_still_speaks() -> None:
    assert ask(parsed("theme"), ROW, [hear(LEFT, "port", 0.0, share=0)]).answer == "port"


def test_places_have_nine_names() -> None:
    names = [locations.word(x, y, 90, 30) for y in (5, 15, 25) for x in (15, 45, 75)]
    assert ", ".join(names) == "upper left, top, upper right, left, center, right, lower left, bottom, lower right"
    assert locations.word(-1, 31, 90, 30) == "lower left"
    for name, x, y in zip(names, [1, 3, 5] * 3, [1, 1, 1, 3, 3, 3, 5, 5, 5], strict=True):
        assert locations.middle_of(f"at the {name} side") == pytest.approx((x / 6, y / 6))
    assert locations.middle_of("everywhere") is None
