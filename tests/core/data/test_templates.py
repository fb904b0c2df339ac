from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.data.templates import (
    SCENE_CLASS_SENTENCES,
    CoastWindow,
    airport_sentences,
    coast_scene_class,
    coast_sentences,
    scene_class_sentences,
    scene_class_sentences_with,
    ship_sentences,
    tree_sentences,
    trees,
)
from rsmoe_core.words.grammar import counted
from rsmoe_core.words.scene_classes import mentions_scene_class

shares = st.floats(0, 1)
counts = st.integers(0, 200)


@settings(deadline=None)
@given(count=st.integers(1, 200))
def test_counts_are_in_every_sentence_with_their_verb(count: int) -> None:
    for name, sentences in (("airplane", airport_sentences), ("ship", ship_sentences)):
        for sentence in sentences(count):
            assert counted(count, name) in sentence
            assert f" {'are' if count == 1 else 'is'} " not in sentence
            assert sentence.endswith(" .")


def test_an_empty_apron_has_no_airplanes() -> None:
    assert all("without airplanes" in s or "no airplane" in s for s in airport_sentences(0))


@pytest.mark.parametrize(
    ("count", "words"),
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
def test_trees_are_counted_in_bins(count: int, words: str) -> None:
    assert trees(count) == words
    sentences = tree_sentences(count)
    assert len(set(sentences)) == len(sentences) >= 2
    assert all(words in s if count else "no tree" in s or "without trees" in s for s in sentences)


@pytest.mark.parametrize(
    ("window", "scene_class"),
    [
        (CoastWindow(water=1.0, vegetation=0.0, ships=0), "sea"),
        (CoastWindow(water=1.0, vegetation=0.0, ships=4), "sea"),
        (CoastWindow(water=0.5, vegetation=0.9, ships=0), "coast"),
        (CoastWindow(water=0.5, vegetation=0.0, ships=2), "port"),
        (CoastWindow(water=0.0, vegetation=0.1, ships=0), "city"),
        (CoastWindow(water=0.0, vegetation=0.5, ships=0), "mixed land"),
        (CoastWindow(water=0.05, vegetation=0.9, ships=0), "green land"),
    ],
)
def test_scene_classes_of_coasts(window: CoastWindow, scene_class: str) -> None:
    assert coast_scene_class(window) == scene_class


@settings(deadline=None)
@given(water=shares, vegetation=shares, ships=counts)
def test_sentences_agree_with_the_measurements(water: float, vegetation: float, ships: int) -> None:
    window = CoastWindow(water, vegetation, ships)
    scene_class, sentences = coast_scene_class(window), coast_sentences(window)
    assert len(sentences) == len(set(sentences)) == 3
    if scene_class in ("sea", "port", "coast"):
        assert all(("ship" in sentence) == (ships > 0) for sentence in sentences)
        assert ships == 0 or all(counted(ships, "ship") in sentence for sentence in sentences)
    else:
        assert not any(word in sentence for sentence in sentences for word in ("sea", "ocean", "ship"))
    if scene_class != "sea":
        assert vegetation <= 0.7 or any("green" in sentence for sentence in sentences)
        assert vegetation >= 0.25 or not any("green" in sentence for sentence in sentences)


@pytest.mark.parametrize("scene_class", SCENE_CLASS_SENTENCES)
def test_every_sentence_names_the_scene_class(scene_class: str) -> None:
    sentences = scene_class_sentences_with(scene_class, "many trees")
    assert [sentence for sentence in sentences if not mentions_scene_class(scene_class, sentence)] == []
    assert len(sentences) >= 3


def test_counted_objects_are_added_to_the_sentences_of_a_scene_class() -> None:
    sentences = scene_class_sentences("industrial area")
    assert scene_class_sentences_with("industrial area", "no trees") == [
        *sentences,
        "an industrial area with no trees .",
    ]
    assert "a piece of bare land with some trees ." in scene_class_sentences_with("bare land", "some trees")
    with pytest.raises(ValueError, match="the scene class 'moon'; known: airport, "):
        scene_class_sentences("moon")
