from __future__ import annotations

import pytest

from rsmoe_core.words.scene_classes import (
    _EQUAL,
    accepted_names,
    mentions_scene_class,
    readable_name,
    same_scene_class,
)


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("airport", "airport"),
        ("denseresidential", "dense residential area"),
        ("dense_residential", "dense residential area"),
        ("ground_track_field", "ground track field"),
        ("mobilehomepark", "mobile home park"),
        ("", ""),
    ],
)
def test_readable_names(name: str, readable: str) -> None:
    assert readable_name(name) == readable


UCM = ("airplane", "agricultural", "freeway", "harbor", "overpass", "runway", "medium residential area")
NWPU = ("airplane", "airport", "bridge", "circular farmland", "overpass", "rectangular farmland", "runway")


@pytest.mark.parametrize(
    ("scene_class", "name", "classes", "same"),
    [
        ("harbor", "port", UCM, True),
        ("port", "harbor", (), True),
        ("agricultural", "farmland", UCM, True),
        ("storage tanks", "storage tank", (), True),
        ("storage tanks", "storage tanks", (), True),
        ("cemetery", "cemeteries", (), True),
        ("overpass", "viaduct", UCM, True),
        ("overpass", "bridge", UCM, False),
        ("freeway", "highways", UCM, True),
        ("airplane", "airport", UCM, True),
        ("airplane", "runway", UCM, False),
        ("runway", "airport", UCM, True),
        ("runway", "airport", NWPU, False),
        ("runway", "aerodrome", NWPU, False),
        ("runway", "runway", NWPU, True),
        ("airport", "airplane", (), False),
        ("circular farmland", "farmland", NWPU, True),
        ("medium residential area", "dense residential area", UCM, False),
        ("residential", "dense residential area", ("residential",), True),
        ("dense residential area", "residential area", (), False),
        ("playground", "ground track field", (), True),
        ("freeway", "highway", ("freeway", "highway"), False),
        ("harbor", "a port", (), False),
        ("harbor", "", (), False),
    ],
)
def test_equal_names(scene_class: str, name: str, classes: tuple[str, ...], same: bool) -> None:
    assert same_scene_class(scene_class, name, classes) is same


@pytest.mark.parametrize(
    ("scene_class", "text", "mentioned"),
    [
        ("harbor", "Many boats are in a port.", True),
        ("harbor", "Two airplanes are in an airport.", False),
        ("beach", "The beaches are yellow.", True),
        ("mobile home park", "A park is near a road.", False),
        ("medium residential area", "Houses are in a medium residential area.", True),
        ("tennis court", "", False),
    ],
)
def test_a_caption_may_mention_any_of_the_names(scene_class: str, text: str, mentioned: bool) -> None:
    assert mentions_scene_class(scene_class, text) is mentioned


def test_no_name_stands_for_two_scene_classes() -> None:
    names = [name for group in _EQUAL for name in group]
    assert len(names) == len(set(names))
    assert accepted_names("no such place") == {"no such place"}
