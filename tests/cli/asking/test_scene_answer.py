from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_cli.asking.detections import SceneDetection, deduplicate
from rsmoe_cli.asking.evidence import Aggregate, Evidence, TileAnswer
from rsmoe_cli.asking.scene_answer import SCENE_RULES, SceneAnswer, register_scene_rule, scene_answer
from rsmoe_cli.pipeline.stats import TileStats
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_core.errors import UsageError
from rsmoe_core.questions.types import UNPARSED, ParsedQuestion
from rsmoe_core.types import Answer, Detection
from rsmoe_core.words import locations

Ships = Sequence[tuple[float, float, float]]
"""x, y and confidence of ships in a tile's image."""


def parsed(type: str, **details: str) -> ParsedQuestion:
    return ParsedQuestion(text=f"{type}?", type=type, canonical=type, **{"subject": "ship", **details})


def tile_answer(
    tile: Tile,
    text: str,
    confidence: float | None = 0.9,
    ships: Ships = (),
    counts: Mapping[str, float] | None = None,
    evidence: str = "",
    side: int | None = None,
    nms_radius: float = 4,
    share: float = 1,
) -> TileAnswer:
    detections = tuple(Detection("ship", x, y, ship_confidence, nms_radius) for x, y, ship_confidence in ships)
    answer = Answer(text, confidence, evidence, counts or {}, detections)
    return TileAnswer(
        tile, answer, side or tile.size, round(tile.owned_pixels * share), tile.owned_pixels * share / tile.pixels
    )


def aggregate(
    question: ParsedQuestion, grid: Grid, answers: Sequence[TileAnswer], skipped: int = 0, failed: int = 0
) -> SceneAnswer:
    error = "r0000c0000 cannot be read" if failed else None
    stats = TileStats(answered=len(answers), skipped=skipped, failed=failed, error=error)
    return scene_answer(question, grid.width, grid.height, answers, stats)


def deduplicated(answers: Sequence[TileAnswer]) -> list[SceneDetection]:
    return deduplicate(detection for answer in answers for detection in answer.scene_detections())


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


def visible_parts(tile: Tile, ships: list[tuple[float, float]], side: int, radius: float = 3) -> Ships:
    """Centres of the parts of square ships that are in a tile, in pixels of its image."""
    parts = []
    for x, y in ships:
        left, right = max(tile.x, x - radius), min(tile.x + tile.width, x + radius)
        top, bottom = max(tile.y, y - radius), min(tile.y + tile.height, y + radius)
        if left < right and top < bottom:
            scale = side / tile.size
            wholeness = (right - left) * (bottom - top) / (2 * radius) ** 2
            middle = ((left + right) / 2 - tile.x) * scale, ((top + bottom) / 2 - tile.y) * scale
            parts.append((*middle, 0.6 + 0.39 * wholeness))
    return parts


@settings(deadline=None)
@given(sea=seas(), reduced=st.sampled_from([1, 2]))
def test_no_grid_changes_the_number_of_ships(sea: tuple[Grid, list[tuple[float, float]]], reduced: int) -> None:
    grid, ships = sea
    side = grid.size // reduced
    answers = [
        tile_answer(tile, "?", ships=visible_parts(tile, ships, side), side=side, nms_radius=7 * side / grid.size)
        for tile in grid
    ]
    answer = aggregate(parsed("count"), grid, answers)
    assert answer.answer == str(len(ships))
    assert {(round(t.x / 3), round(t.y / 3)) for t in answer.detections} <= {
        (round(x / 3) + dx, round(y / 3) + dy) for x, y in ships for dx in (-1, 0, 1) for dy in (-1, 0, 1)
    }
    assert answer.interval is not None
    assert answer.interval[0] <= len(ships) <= answer.interval[1]


def test_a_ship_at_a_seam_is_counted_once_wherever_tiles_locate_it() -> None:
    overlapping = Grid(70, 40, 40, 10)
    left, right = overlapping
    assert left.owned[2] == 35

    def count(x_left: float, x_right: float) -> list[SceneDetection]:
        return deduplicated(
            [
                tile_answer(left, "1", ships=[(x_left, 20, 0.7)]),
                tile_answer(right, "1", ships=[(x_right - 30, 20, 0.8)]),
            ]
        )

    for x_left, x_right in ((34, 34), (36, 36), (34, 36), (36, 34)):
        (ship,) = count(x_left, x_right)
        assert (ship.x, ship.confidence, ship.tile) == (x_right, 0.8, right)
    assert len(count(31, 38)) == 2, "further apart than the NMS radius of 4 pixels"


def test_two_detections_in_one_tile_are_two_ships() -> None:
    left, right = Grid(70, 40, 40, 10)
    pair = [(34.0, 20.0, 0.9), (37.0, 20.0, 0.8)]
    there = [(x - 30, y, sure - 0.05) for x, y, sure in pair]
    assert len(deduplicated([tile_answer(left, "2", ships=pair), tile_answer(right, "2", ships=there)])) == 2


def test_a_count_has_an_interval_and_locations() -> None:
    ships = [(5.0, 5.0, 0.9), (15.0, 5.0, 0.8), (25.0, 5.0, 0.4)]
    answers = [
        tile_answer(LEFT, "2", ships=ships, evidence="two ships at the quay"),
        tile_answer(MIDDLE, "0"),
        tile_answer(RIGHT, "0"),
    ]
    answer = aggregate(parsed("count"), ROW, answers, skipped=2, failed=1)
    assert answer.answer == "2"
    assert answer.interval == (1, 3)
    # 0.9 and 0.8 without 0.4, or one of them with it
    assert answer.confidence == pytest.approx(0.9 * 0.8 * 0.6 + (0.9 * 0.2 + 0.1 * 0.8) * 0.4)
    assert answer.evidence == (
        "found in 1 of 3 tiles: r0000c0000 (2)",
        "doubtful and not counted: 1",
        "the surest ship is at column 5, row 5 of the scene (0.90)",
        "r0000c0000: two ships at the quay",
        "failed tiles, not included: 1; r0000c0000 cannot be read",
    )
    assert str(answer).splitlines()[0] == f"2 (1 to 3, confidence {answer.confidence:.2f})"
    facts = answer.facts()
    assert facts["tiles"] == {"answered": 3, "skipped": 2, "failed": 1, "supporting": 1}
    assert facts["reason"] is None
    assert json.loads(json.dumps(facts)) == facts


def test_no_detection_is_as_confident_as_the_tiles_are() -> None:
    answer = aggregate(
        parsed("count"), ROW, [tile_answer(tile, "0", sure) for tile, sure in zip(ROW, (0.9, 0.8, 0.7), strict=True)]
    )
    assert (answer.answer, answer.interval) == ("0", (0, 0))
    assert answer.confidence == pytest.approx(0.8)
    assert answer.evidence == ("found in none of 3 tiles",)


def test_counts_without_locations_are_weighted_with_the_owned_area() -> None:
    grid = Grid(60, 40, 40, 20)
    answers = [tile_answer(tile, "8", counts={"ship": 8}) for tile in grid]
    assert [one.owned_share for one in answers] == [0.75, 0.75]
    answer = aggregate(parsed("count"), grid, answers)
    assert answer.answer == "12"
    assert answer.interval is not None
    low, high = answer.interval
    assert low <= 5
    assert high >= 22
    assert answer.confidence < 0.5
    assert "counted without being located, so the interval is wide: 12" in answer.evidence


def test_presence_follows_the_most_confident_tile() -> None:
    weak = [tile_answer(tile, "no", 0.6) for tile in ROW]
    answer = aggregate(parsed("presence"), ROW, weak)
    assert (answer.answer, answer.supporting) == ("no", ())
    assert answer.confidence == pytest.approx(0.6), "many weak answers are not a strong one"
    answer = aggregate(parsed("presence"), ROW, [*weak[:2], tile_answer(RIGHT, "yes", 0.8)])
    assert (answer.answer, answer.confidence, answer.supporting) == ("yes", 0.8, (RIGHT,))
    assert answer.evidence[0].startswith("yes in 1 of 3 tiles; most probable in r0000c0002 (0.80), ")
    answer = aggregate(parsed("presence"), ROW, [*weak[:2], tile_answer(RIGHT, "yes", 0.6, ships=[(5, 5, 0.97)])])
    assert (answer.answer, answer.confidence) == ("yes", 0.97)
    answer = aggregate(parsed("presence"), ROW, [tile_answer(LEFT, "no", 0.6, ships=[(5, 5, 0.2)])])
    assert (answer.answer, answer.confidence) == ("no", 0.8)


@pytest.mark.parametrize(
    ("relation", "ships", "cars", "answer"),
    [("more", 5, 2, "yes"), ("more", 2, 5, "no"), ("more", 3, 3, "no"), ("equal", 3, 3, "yes"), ("equal", 3, 5, "no")],
)
def test_comparison_counts_both(relation: str, ships: int, cars: int, answer: str) -> None:
    detections = tuple(
        Detection(label, 2 + 7 * index, row, 0.99, 3)
        for label, number, row in (("ship", ships, 5), ("car", cars, 25))
        for index in range(number)
    )
    answers = [TileAnswer(LEFT, Answer("?", 0.9, detections=detections), 40, 1600, 1.0)]
    result = aggregate(parsed("comparison", compared_with="car", relation=relation), ROW, answers)
    assert result.answer == answer
    assert result.confidence > 0.85
    assert result.evidence[0].startswith(f"ship: {ships}")


def test_comparison_of_counts_without_locations() -> None:
    answers = [tile_answer(tile, "?", counts={"ship": 20, "car": 2}) for tile in ROW]
    assert aggregate(parsed("comparison", compared_with="car", relation="more"), ROW, answers).answer == "yes"
    bare = aggregate(parsed("comparison", compared_with="car", relation="more"), ROW, [tile_answer(LEFT, "no", 0.7)])
    assert (bare.answer, bare.confidence) == ("no", 0.7)


def test_more_of_one_object_wins_one_way_only() -> None:
    """By area alone: the tile that is surer of its yes does not outvote the other, whichever way it is asked."""
    question = parsed("comparison", compared_with="car", relation="more")
    one_way = [tile_answer(LEFT, "yes", 0.9), tile_answer(MIDDLE, "no", 0.5)]
    other_way = [tile_answer(LEFT, "no", 0.5), tile_answer(MIDDLE, "yes", 0.9)]
    assert [aggregate(question, ROW, answers).answer for answers in (one_way, other_way)] == ["no", "no"]
    won = aggregate(question, ROW, [*one_way, tile_answer(RIGHT, "yes", 0.6)])
    assert (won.answer, won.supporting, won.evidence) == ("yes", (LEFT, RIGHT), ("by area: yes 67%, no 33%",))
    assert won.confidence == pytest.approx(2 / 3 * 0.75)


def test_objects_larger_than_tiles_are_not_added_up() -> None:
    several = [tile_answer(tile, "1", counts={"lake": 1}) for tile in ROW]
    answer = aggregate(parsed("count", subject="lake"), ROW, several)
    assert (answer.answer, answer.interval) == ("unknown", None)
    assert answer.reason.startswith("a lake may reach over several tiles, each of which counts it; ask, for example:")
    one = [tile_answer(LEFT, "2", counts={"lake": 2}), tile_answer(RIGHT, "0", counts={"lake": 0})]
    assert aggregate(parsed("count", subject="lake"), ROW, one).answer == "2"


def test_a_count_agrees_with_presence() -> None:
    """A tile that sees some without counting any leaves no 0; a tile of which little is owned leaves at least 1."""
    none = tile_answer(LEFT, "0", counts={"stadium": 0})
    uncounted = tile_answer(MIDDLE, "unknown", evidence="the experts see a stadium, but count none")
    answer = aggregate(parsed("count", subject="stadium"), ROW, [none, uncounted])
    assert (answer.answer, answer.reason) == ("unknown", "the experts see a stadium, but count none")
    small = tile_answer(RIGHT, "1", counts={"stadium": 1})
    small = replace(small, owned_share=0.2)
    assert aggregate(parsed("count", subject="stadium"), ROW, [none, small]).answer == "1"


@pytest.mark.parametrize(
    ("relation", "text"), [("at least 2", "yes"), ("at least 3", "no"), ("at most 2", "yes"), ("at most 1", "no")]
)
def test_a_threshold_agrees_with_the_count(relation: str, text: str) -> None:
    answers = [tile_answer(LEFT, "?", ships=[(5, 5, 0.9), (15, 5, 0.9), (25, 5, 0.1)]), tile_answer(RIGHT, "?")]
    answer = aggregate(parsed("threshold", relation=relation), ROW, answers)
    assert (answer.answer, answer.interval, len(answer.detections)) == (text, None, 2)
    assert answer.confidence == pytest.approx(0.8, abs=0.15)
    assert answer.evidence[0].startswith("ship: 2 (1 to 3)")
    assert answer.evidence[1].startswith(f"probability of {relation}: ")


def test_a_threshold_without_a_count_is_unknown() -> None:
    answers = [tile_answer(tile, "yes", counts={"lake": 1}) for tile in ROW]
    assert aggregate(parsed("threshold", subject="lake", relation="at least 2"), ROW, answers).answer == "unknown"


def test_absence_is_the_opposite_of_presence() -> None:
    absent = [tile_answer(tile, "yes", 0.9) for tile in ROW]
    answer = aggregate(parsed("threshold", relation="no"), ROW, absent)
    assert (answer.answer, answer.confidence) == ("yes", pytest.approx(0.9))
    answer = aggregate(parsed("threshold", relation="no"), ROW, [*absent[:2], tile_answer(RIGHT, "no", 0.8)])
    assert (answer.answer, answer.confidence, answer.supporting) == ("no", 0.8, (RIGHT,))
    assert answer.evidence[0].startswith("whether there is any ship: yes in 1 of 3 tiles; most probable in ")
    answer = aggregate(parsed("threshold", relation="no"), ROW, [tile_answer(LEFT, "no", 0.6, ships=[(5, 5, 0.97)])])
    assert (answer.answer, answer.confidence) == ("no", 0.97)


@pytest.mark.parametrize("type", ["theme", "rural_urban", "color", "relation"])
def test_tiles_vote_with_their_area_and_confidence(type: str) -> None:
    answers = [
        tile_answer(LEFT, "Port", 0.8),
        tile_answer(MIDDLE, "beach", 0.6, share=0.5),
        tile_answer(RIGHT, "port.", 0.6),
    ]
    answer = aggregate(parsed(type), ROW, answers)
    assert answer.answer == "port"
    assert answer.confidence == pytest.approx(1.4 / (1.4 + 0.3) * 0.7)
    assert answer.supporting == (LEFT, RIGHT)
    assert answer.evidence == ("by area: port 80%, beach 20%",)


def test_location_is_the_part_of_the_scene_with_most_objects() -> None:
    answers = [
        tile_answer(LEFT, "top", ships=[(20, 5, 0.9), (20, 15, 0.3)]),
        tile_answer(MIDDLE, "unknown"),
        tile_answer(RIGHT, "bottom", ships=[(20, 35, 0.8), (35, 35, 0.7)]),
    ]
    answer = aggregate(parsed("location"), ROW, answers)
    assert answer.answer == "lower right, upper left"
    assert answer.confidence == pytest.approx(0.8)
    assert answer.supporting == (RIGHT, LEFT)


def test_location_of_objects_that_are_not_there() -> None:
    answer = aggregate(parsed("location"), ROW, [tile_answer(tile, "unknown", counts={"ship": 0}) for tile in ROW])
    assert answer.answer == "nowhere: no ship was found"
    assert answer.confidence == pytest.approx(0.9)
    doubtful = aggregate(parsed("location"), ROW, [tile_answer(LEFT, "unknown", ships=[(5, 5, 0.3)])])
    assert (doubtful.answer, doubtful.confidence) == ("nowhere: no ship was found", 0.7)


def test_a_location_in_a_tile_is_a_location_in_the_scene() -> None:
    answers = [
        tile_answer(LEFT, "unknown"),
        tile_answer(MIDDLE, "unknown"),
        tile_answer(RIGHT, "in the upper left corner"),
    ]
    assert aggregate(parsed("location"), ROW, answers).answer == "upper right"
    whole = Grid(40, 40, 40)
    assert aggregate(parsed("location"), whole, [tile_answer(next(iter(whole)), "lower left")]).answer == "lower left"
    assert aggregate(parsed("location"), ROW, [tile_answer(LEFT, "somewhere")]).answer == "left"


def test_a_description_quotes_the_sentences_for_most_of_the_area() -> None:
    grid = Grid(200, 40, 40)
    sentences = ["A port.", "A beach.", "A port.", "A road.", "A lake."]
    answers = [tile_answer(tile, text, 0.9 - 0.1 * tile.col) for tile, text in zip(grid, sentences, strict=True)]
    answer = aggregate(parsed("description"), grid, answers)
    assert answer.answer == "A port. (40% of the area) A beach. (20% of the area) A road. (20% of the area)"
    assert len(answer.supporting) == 4


def test_questions_that_no_image_answers() -> None:
    question = ParsedQuestion("Why?", UNPARSED, "", reason="reasons cannot be seen; ask what is there")
    answer = aggregate(question, ROW, [])
    assert str(answer).splitlines() == ["unknown", "reasons cannot be seen; ask what is there"]
    assert answer.facts()["confidence"] == 0


def test_answers_that_the_engine_does_not_know() -> None:
    answers = [
        tile_answer(tile, "unknown", evidence=line)
        for tile, line in zip(ROW, ("too coarse", "dark", "dark"), strict=True)
    ]
    for type in ("count", "presence", "comparison", "theme", "location", "description"):
        answer = aggregate(parsed(type, compared_with="car", relation="more"), ROW, answers)
        assert (answer.answer, answer.reason, answer.confidence) == ("unknown", "dark", 0)
    assert aggregate(parsed("theme"), ROW, [*answers[:2], tile_answer(RIGHT, "port")]).answer == "port"


def test_a_scene_without_answers() -> None:
    assert aggregate(parsed("theme"), ROW, [], skipped=3).reason == "the scene has no valid pixel"
    failed = aggregate(parsed("theme"), ROW, [], failed=3)
    assert failed.reason == "no tile could be read or answered"
    assert failed.evidence == ("failed tiles, not included: 3; r0000c0000 cannot be read",)


def test_an_unknown_confidence_counts_as_one_half() -> None:
    for type in ("count", "presence", "theme", "description", "location"):
        answer = aggregate(parsed(type), ROW, [tile_answer(LEFT, "no", None)])
        json.dumps(answer.facts(), allow_nan=False)


def test_answers_come_back_from_the_journal_unchanged() -> None:
    answers = [tile_answer(LEFT, "2", ships=[(5, 5, 0.9), (15, 5, 0.8)]), tile_answer(RIGHT, "1", ships=[(9, 9, 0.7)])]
    for question in (parsed("count"), parsed("presence"), parsed("description")):
        answer = aggregate(question, ROW, answers)
        assert SceneAnswer.from_json(json.loads(json.dumps(answer.to_json())), ROW) == answer
    unknown = aggregate(ParsedQuestion("Why?", UNPARSED, "", reason="ask what is there"), ROW, [])
    assert SceneAnswer.from_json(json.loads(json.dumps(unknown.to_json())), None) == unknown


def test_a_question_type_has_one_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(evidence: Evidence) -> Aggregate:
        return Aggregate(evidence.tile_answers[0].answer.text, 1.0, [])

    monkeypatch.delitem(SCENE_RULES, "theme", raising=False)
    register_scene_rule("theme", first)
    answers = [tile_answer(tile, text) for tile, text in zip(ROW, ("port", "beach", "beach"), strict=True)]
    assert aggregate(parsed("theme"), ROW, answers).answer == "port"
    with pytest.raises(UsageError, match="'theme' have a rule for scenes already"):
        register_scene_rule("theme", first)
    del SCENE_RULES["theme"]


def test_a_tile_without_area_or_confidence_still_votes() -> None:
    assert aggregate(parsed("theme"), ROW, [tile_answer(LEFT, "port", 0.0, share=0)]).answer == "port"


def test_an_answer_in_free_words_is_spelled_as_the_heaviest_tile_spells_it() -> None:
    texts = (("Weizen und Mais.", 0.9), ("weizen und mais", 0.5), ("Wald", 0.6))
    tiles = [tile_answer(tile, text, confidence) for tile, (text, confidence) in zip(ROW, texts, strict=True)]
    assert aggregate(parsed("open"), ROW, tiles).answer == "Weizen und Mais"


def test_locations_have_nine_names() -> None:
    names = [locations.word(x, y, 90, 30) for y in (5, 15, 25) for x in (15, 45, 75)]
    assert ", ".join(names) == "upper left, top, upper right, left, center, right, lower left, bottom, lower right"
    assert locations.word(-1, 31, 90, 30) == "lower left"
    for name, x, y in zip(names, [1, 3, 5] * 3, [1, 1, 1, 3, 3, 3, 5, 5, 5], strict=True):
        assert locations.middle_of(f"at the {name} side") == pytest.approx((x / 6, y / 6))
    assert locations.middle_of("everywhere") is None


def test_no_confidence_is_invented_for_a_model_that_gives_none() -> None:
    answer = aggregate(parsed("open"), ROW, [tile_answer(tile, "wheat", confidence=None) for tile in ROW])
    assert (answer.answer, answer.confidence, answer.facts()["confidence"]) == ("wheat", None, None)
    assert str(answer).startswith("wheat (confidence unknown)")
    assert SceneAnswer.from_json(answer.to_json(), ROW) == answer
