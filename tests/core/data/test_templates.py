from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.data.templates import (
    PLACES,
    Shore,
    airport_sentences,
    amount,
    counted,
    place_sentences,
    place_sentences_with,
    ship_sentences,
    shore_scene,
    shore_sentences,
    tree_sentences,
    trees,
)
from rsmoe_core.words.scene_classes import names_place

shares = st.floats(0, 1)
counts = st.integers(0, 200)


@pytest.mark.parametrize(
    ("count", "said"), [(0, "no"), (1, "one"), (10, "ten"), (11, "some"), (19, "some"), (20, "many"), (95, "many")]
)
def test_amounts(count: int, said: str) -> None:
    assert amount(count) == said


def test_only_one_is_singular() -> None:
    assert [counted(n, "ship") for n in (0, 1, 2)] == ["no ships", "one ship", "two ships"]
    assert counted(3, "swimming pool") == "three swimming pools"


@settings(deadline=None)
@given(count=st.integers(1, 200))
def test_counted_things_are_in_every_sentence_with_their_verb(count: int) -> None:
    for name, rule in (("airplane", airport_sentences), ("ship", ship_sentences)):
        for sentence in rule(count):
            assert counted(count, name) in sentence
            assert f" {'are' if count == 1 else 'is'} " not in sentence
            assert sentence.endswith(" .")


def test_an_empty_apron_has_no_airplanes() -> None:
    assert all("without airplanes" in s or "no airplane" in s for s in airport_sentences(0))


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "no trees"),
        (1, "one tree"),
        (2, "several trees"),
        (10, "several trees"),
        (11, "some trees"),
        (39, "some trees"),
        (40, "many trees"),
        (176, "many trees"),
    ],
)
def test_trees_are_counted_in_bins(count: int, said: str) -> None:
    assert trees(count) == said
    sentences = tree_sentences(count)
    assert len(set(sentences)) == len(sentences) >= 2
    assert all(said in s if count else "no tree" in s or "without trees" in s for s in sentences)


@pytest.mark.parametrize(
    ("shore", "scene"),
    [
        (Shore(water=1.0, green=0.0, ships=0), "sea"),
        (Shore(water=1.0, green=0.0, ships=4), "sea"),
        (Shore(water=0.5, green=0.9, ships=0), "coast"),
        (Shore(water=0.5, green=0.0, ships=2), "port"),
        (Shore(water=0.0, green=0.1, ships=0), "city"),
        (Shore(water=0.0, green=0.5, ships=0), "mixed land"),
        (Shore(water=0.05, green=0.9, ships=0), "green land"),
    ],
)
def test_kinds_of_shore(shore: Shore, scene: str) -> None:
    assert shore_scene(shore) == scene


@settings(deadline=None)
@given(water=shares, green=shares, ships=counts)
def test_sentences_say_what_was_measured(water: float, green: float, ships: int) -> None:
    shore = Shore(water, green, ships)
    scene, said = shore_scene(shore), shore_sentences(shore)
    assert len(said) == len(set(said)) == 3
    if scene in ("sea", "port", "coast"):
        assert all(("ship" in sentence) == (ships > 0) for sentence in said)
        assert ships == 0 or all(counted(ships, "ship") in sentence for sentence in said)
    else:
        assert not any(word in sentence for sentence in said for word in ("sea", "ocean", "ship"))
    if scene != "sea":
        assert green <= 0.7 or any("green" in sentence for sentence in said)
        assert green >= 0.25 or not any("green" in sentence for sentence in said)


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_named_by_every_sentence_about_it(place: str) -> None:
    said = place_sentences_with(place, "many trees")
    assert [sentence for sentence in said if not names_place(place, sentence)] == []
    assert len(said) >= 3


def test_what_was_counted_at_a_place_is_told_beside_what_is_usual_there() -> None:
    usual = place_sentences("industrial area")
    assert place_sentences_with("industrial area", "no trees") == [*usual, "an industrial area with no trees ."]
    assert "a piece of bare land with some trees ." in place_sentences_with("bare land", "some trees")
    with pytest.raises(ValueError, match="the class 'moon'; known: airport, "):
        place_sentences("moon")
