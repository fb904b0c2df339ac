from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.data.land_cover import KINDS, Ground, ground_scene, ground_sentences
from rsmoe_core.data.templates import counted
from rsmoe_core.words.scene_classes import names_place


@st.composite
def grounds(draw: st.DrawFn) -> Ground:
    """Up to five kinds of ground that fill the window, and some ships."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5, unique=True))
    areas = [draw(st.integers(1, 100)) for _ in kinds]
    shares = {kind: area / sum(areas) for kind, area in zip(kinds, areas, strict=True)}
    return Ground(shares, draw(st.integers(0, 30)))


@pytest.mark.parametrize(
    ("shares", "scene"),
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
def test_kinds_of_place(shares: dict[str, float], scene: str) -> None:
    assert ground_scene(Ground(shares, ships=0)) == scene


@settings(deadline=None)
@given(grounds())
def test_sentences_name_the_place_and_the_ships_on_its_water(ground: Ground) -> None:
    scene, said = ground_scene(ground), ground_sentences(ground)
    assert 2 <= len(said) == len(set(said)) <= 3
    assert all(sentence.endswith(" .") and "{" not in sentence and "  " not in sentence for sentence in said)
    assert scene == "coast" or any(names_place(scene, sentence) for sentence in said)
    ships = counted(ground.ships, "ship")
    if scene in ("sea", "port", "coast", "beach", "river"):
        assert all(("ship" in sentence) == (ground.ships > 0) for sentence in said)
        assert not ground.ships or all(ships in sentence for sentence in said)
    else:
        assert not any("ship" in sentence for sentence in said)


@settings(deadline=None)
@given(grounds())
def test_nothing_is_named_of_which_there_is_little(ground: Ground) -> None:
    said = " ".join(ground_sentences(ground))
    for kind in KINDS:
        if names_place(kind, said) and kind not in ("sea", ground_scene(ground)):
            assert ground.shares.get(kind, 0.0) >= 0.15
    if names_place("sea", said):
        assert ground.shares.get("sea", 0.0) > 0 or ground_scene(ground) in ("beach", "coast")


def test_two_kinds_of_land_beside_a_river_have_a_plural() -> None:
    said = ground_sentences(Ground({"river": 0.4, "bare land": 0.25, "industrial area": 0.35}, ships=1))
    assert said == [
        "a river with one ship goes through an industrial area and some bare land .",
        "an industrial area and some bare land are on two sides of a river with one ship .",
        "a river with one ship is next to an industrial area and some bare land .",
    ]
    assert ground_sentences(Ground({"river": 1.0}, ships=0))[1] == "the land is on two sides of a river ."
    assert ground_sentences(Ground({"port": 0.5, "sea": 0.5}, ships=0))[0] == "a port is near the sea ."
