from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.data.land_cover import (
    CLASSES,
    LandCover,
    LandCoverMap,
    land_cover_scene_class,
    land_cover_sentences,
    read_land_cover_maps,
)
from rsmoe_core.errors import DataError
from rsmoe_core.words.grammar import counted
from rsmoe_core.words.scene_classes import mentions_scene_class


@st.composite
def land_covers(draw: st.DrawFn) -> LandCover:
    """Up to five classes that fill the window, and some ships."""
    names = draw(st.lists(st.sampled_from(CLASSES), min_size=1, max_size=5, unique=True))
    areas = [draw(st.integers(1, 100)) for _ in names]
    shares = {name: area / sum(areas) for name, area in zip(names, areas, strict=True)}
    return LandCover(shares, draw(st.integers(0, 30)))


@pytest.mark.parametrize(
    ("shares", "scene_class"),
    [
        ({"sea": 1.0}, "sea"),
        ({"sea": 0.92, "port": 0.08}, "sea"),
        ({"sea": 0.7, "port": 0.3}, "port"),
        ({"sea": 0.75, "port": 0.2, "forest": 0.05}, "coast"),
        ({"sea": 0.6, "beach": 0.15, "park": 0.25}, "beach"),
        ({"sea": 0.3, "airport": 0.3, "port": 0.2, "industrial area": 0.2}, "airport"),
        ({"sea": 0.1, "forest": 0.4, "farmland": 0.5}, "farmland"),
        ({"river": 0.3, "forest": 0.7}, "river"),
        ({"river": 0.2, "forest": 0.8}, "forest"),
        ({"river": 0.2, "beach": 0.09, "port": 0.2, "sea": 0.14, "airport": 0.19}, "coast"),
    ],
)
def test_scene_classes(shares: dict[str, float], scene_class: str) -> None:
    assert land_cover_scene_class(LandCover(shares, ships=0)) == scene_class


@settings(deadline=None)
@given(land_covers())
def test_sentences_name_the_scene_class_and_the_ships(land_cover: LandCover) -> None:
    scene_class, sentences = land_cover_scene_class(land_cover), land_cover_sentences(land_cover)
    assert 2 <= len(sentences) == len(set(sentences)) <= 3
    assert all(sentence.endswith(" .") and "{" not in sentence and "  " not in sentence for sentence in sentences)
    assert scene_class == "coast" or any(mentions_scene_class(scene_class, sentence) for sentence in sentences)
    ships = counted(land_cover.ships, "ship")
    if scene_class in ("sea", "port", "coast", "beach", "river"):
        assert all(("ship" in sentence) == (land_cover.ships > 0) for sentence in sentences)
        assert not land_cover.ships or all(ships in sentence for sentence in sentences)
    else:
        assert not any("ship" in sentence for sentence in sentences)


@settings(deadline=None)
@given(land_covers())
def test_classes_with_small_shares_are_not_mentioned(land_cover: LandCover) -> None:
    text = " ".join(land_cover_sentences(land_cover))
    for name in CLASSES:
        if mentions_scene_class(name, text) and name not in ("sea", land_cover_scene_class(land_cover)):
            assert land_cover.shares.get(name, 0.0) >= 0.15
    if mentions_scene_class("sea", text):
        assert land_cover.shares.get("sea", 0.0) > 0 or land_cover_scene_class(land_cover) in ("beach", "coast")


def test_two_classes_beside_a_river_have_a_plural_verb() -> None:
    sentences = land_cover_sentences(LandCover({"river": 0.4, "bare land": 0.25, "industrial area": 0.35}, ships=1))
    assert sentences == [
        "a river with one ship goes through an industrial area and some bare land .",
        "an industrial area and some bare land are on two sides of a river with one ship .",
        "a river with one ship is next to an industrial area and some bare land .",
    ]
    assert land_cover_sentences(LandCover({"river": 1.0}, ships=0))[1] == "the land is on two sides of a river ."
    assert land_cover_sentences(LandCover({"port": 0.5, "sea": 0.5}, ships=0))[0] == "a port is near the sea ."


MAP = {"cell": 10, "classes": {"S": "sea", "F": "forest"}, "scenes": {"a": ["SSF", "SFF"]}}


def write(folder: Path, content: object) -> Path:
    (folder / "maps.json").write_text(json.dumps(content))
    return folder / "maps.json"


def test_letters_become_classes(tmp_path: Path) -> None:
    (name, land_cover_map), *others = read_land_cover_maps(write(tmp_path, MAP)).items()
    assert (name, others, land_cover_map.cell) == ("a", [], 10)
    assert land_cover_map.rows == [["sea", "sea", "forest"], ["sea", "forest", "forest"]]


def test_the_last_cells_of_a_scene_may_be_partial() -> None:
    land_cover_map = LandCoverMap(10, [["sea"] * 3] * 2)
    assert [land_cover_map.covers(height, 30) for height in (10, 11, 20, 21)] == [False, True, True, False]
    assert [land_cover_map.covers(20, width) for width in (20, 21, 30, 31)] == [False, True, True, False]


@given(top=st.integers(0, 12), left=st.integers(0, 21), side=st.integers(1, 8))
def test_shares_equal_those_of_the_pixels(top: int, left: int, side: int) -> None:
    land_cover_map = LandCoverMap(10, [["sea", "sea", "forest"], ["sea", "river", "forest"]])
    pixels = [land_cover_map.rows[y // 10][x // 10] for y in range(top, top + side) for x in range(left, left + side)]
    expected = {name: count / len(pixels) for name, count in Counter(pixels).items()}
    assert land_cover_map.shares(top, left, side) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": 0}, "'cell' is not a number of pixels: 0"),
        ({"classes": {"S": "sea", "F": "wood"}}, "no land-cover class 'wood'; choose from: airport, "),
        ({"classes": []}, "have to be objects"),
        ({"scenes": {"a": []}}, "a: expected a list of rows"),
        ({"scenes": {"a": ["SS", 3]}}, "a: expected a list of rows"),
        ({"scenes": {"a": ["SS", "S"]}}, "a: its rows differ in length"),
        ({"scenes": {"a": ["SX"]}}, "a: 'X' is none of the letters"),
    ],
)
def test_a_broken_map_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(DataError, match=f"maps.json.*{message}"):
        read_land_cover_maps(write(tmp_path, MAP | change))


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    for content in ([], {"cell": 3}):
        with pytest.raises(DataError, match=r"maps\.json: not in the expected layout"):
            read_land_cover_maps(write(tmp_path, content))
