from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsmoe_core.data.land_cover import GroundMap, read_ground_maps
from rsmoe_core.errors import DataError

MAP = {"cell": 10, "kinds": {"S": "sea", "F": "forest"}, "scenes": {"a": ["SSF", "SFF"]}}


def write(folder: Path, content: object) -> Path:
    (folder / "maps.json").write_text(json.dumps(content))
    return folder / "maps.json"


def test_letters_become_kinds_of_ground(tmp_path: Path) -> None:
    (name, own), *others = read_ground_maps(write(tmp_path, MAP)).items()
    assert (name, others, own.cell) == ("a", [], 10)
    assert own.rows == [["sea", "sea", "forest"], ["sea", "forest", "forest"]]


def test_it_covers_scenes_whose_last_cells_are_begun() -> None:
    own = GroundMap(10, [["sea"] * 3] * 2)
    assert [own.covers(height, 30) for height in (10, 11, 20, 21)] == [False, True, True, False]
    assert [own.covers(20, width) for width in (20, 21, 30, 31)] == [False, True, True, False]


@given(top=st.integers(0, 12), left=st.integers(0, 21), side=st.integers(1, 8))
def test_shares_are_those_of_the_pixels(top: int, left: int, side: int) -> None:
    own = GroundMap(10, [["sea", "sea", "forest"], ["sea", "river", "forest"]])
    pixels = [own.rows[y // 10][x // 10] for y in range(top, top + side) for x in range(left, left + side)]
    expected = {kind: count / len(pixels) for kind, count in Counter(pixels).items()}
    assert own.shares(top, left, side) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": 0}, "'cell' is no number of pixels: 0"),
        ({"kinds": {"S": "sea", "F": "wood"}}, "no kind of ground is called 'wood'; choose from: airport, "),
        ({"kinds": []}, "have to be objects"),
        ({"scenes": {"a": []}}, "a: expected a list of rows"),
        ({"scenes": {"a": ["SS", 3]}}, "a: expected a list of rows"),
        ({"scenes": {"a": ["SS", "S"]}}, "a: its rows are not equally long"),
        ({"scenes": {"a": ["SX"]}}, "a: 'X' is none of the letters"),
    ],
)
def test_a_broken_map_is_named(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(DataError, match=f"maps.json.*{message}"):
        read_ground_maps(write(tmp_path, MAP | change))


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    for content in ([], {"cell": 3}):
        with pytest.raises(DataError, match=r"maps\.json: not in the expected layout"):
            read_ground_maps(write(tmp_path, content))
