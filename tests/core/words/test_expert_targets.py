from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rsmoe_core.data.base import Sample
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.data.targets import MAX_OBJECTS, MAX_RELATIONS, Targets, derive
from rsmoe_core.roles import DEFAULT_PROMPTS
from rsmoe_core.words.grammar import plural
from rsmoe_core.words.lexicon import ATTRIBUTES, NAMES, QUANTITIES, RELATIONS

# How drafts speak of things: by name, in the singular or plural.
_SPOKEN = {spelling: name for name in NAMES.values() for spelling in (name, plural(name))}


def _derive(*captions: str, scene: str | None = None, objects: str | None = None) -> Targets:
    return derive(Sample(Path("a.jpg"), "train", captions, scene, objects=objects))


@pytest.mark.parametrize(
    ("caption", "theme", "objects", "relations"),
    [
        ("many green trees are around a pond .", "pond", "many green trees, a pond", "trees around pond"),
        (
            "two white airplanes are parked in an airport near several buildings .",
            "airport",
            "two white airplanes, an airport, several buildings",
            "airplanes in airport; airport near buildings",
        ),
        (
            "many buildings and some green trees are in an industrial area .",
            "industrial area",
            "many buildings, some green trees, an industrial area",
            "buildings and trees in industrial area",
        ),
        ("a bridge is over a river .", "bridge", "a bridge, a river", "bridge over river"),
        # one word that is both an attribute and a thing
        (
            "a square building is in the middle of a square .",
            "square",
            "a square building, a square",
            "building in the middle of square",
        ),
        # the center of something is not a center building
        (
            "a church is located in the center of many red buildings .",
            "church",
            "a church, many red buildings",
            "church in the middle of buildings",
        ),
        # the number is large, not the trees
        (
            "a large number of small trees are along the road .",
            "",
            "many small trees, a road",
            "trees along road",
        ),
        # "it" is the playground, so nothing is in the trees
        (
            "a playground with two basketball fields in it is surrounded by green trees .",
            "playground",
            "a playground, two basketball courts, some green trees",
            "playground with basketball courts; basketball courts surrounded by trees",
        ),
        # singular words that end in -s
        ("many cars are on an overpass .", "viaduct", "many cars, a viaduct", "cars on viaduct"),
        ("this campus is next to a bus .", "school", "a school, a car", "school next to car"),
        # covered ground is not counted
        (
            "some pieces of green grass and a large farmland are on both sides of a curved river .",
            "farmland",
            "green grassland, large farmland, a curved river",
            "grassland and farmland on two sides of river",
        ),
        ("rows of houses are arranged .", "", "many houses", ""),
        ("one old factory and a port .", "port", "an old factory, a port", ""),
        ("it looks rather quiet here .", "", "", ""),
    ],
)
def test_drafts_of_a_sentence(caption: str, theme: str, objects: str, relations: str) -> None:
    targets = _derive(caption)
    assert (targets.theme, targets.objects, targets.relations) == (theme, objects, relations)


@pytest.mark.parametrize(
    ("caption", "theme", "objects", "relations"),
    [
        (
            "many airplanes and cars are near a terminal .",
            DEFAULT_PROMPTS["theme"],
            "count the airplanes and cars, describe the terminal",
            "say what is near the terminal",
        ),
        (
            "a pond is surrounded by bushes .",
            "name the kind of waterside",
            "describe the pond, count the bushes",
            "say what surrounds the pond",
        ),
        ("meadow", "name the kind of landscape", "describe the meadow", DEFAULT_PROMPTS["relations"]),
        ("it looks rather quiet here .", *DEFAULT_PROMPTS.values()),
    ],
)
def test_prompts_ask_for_what_is_there(caption: str, theme: str, objects: str, relations: str) -> None:
    assert _derive(caption).prompts == {"theme": theme, "objects": objects, "relations": relations}


def test_the_class_of_the_picture_is_its_theme() -> None:
    targets = _derive("many buildings are near a river .", scene="dense residential area")
    assert targets.theme == "dense residential area"
    assert targets.prompts["theme"] == "name the kind of residential area"


def test_exact_objects_replace_the_derived_ones() -> None:
    assert _derive("many ships are in the sea .", objects="31 ships").objects == "31 ships"


def test_what_most_sentences_say_comes_first() -> None:
    targets = _derive(
        "a river .",
        "three red boats are on a river .",
        "three boats are on the green river .",
        "two boats near trees .",
    )
    assert targets.theme == "river"
    assert targets.objects == "a green river, three red boats, some trees"
    assert targets.relations == "boats on river; boats near trees"


def test_no_more_than_a_handful_is_named() -> None:
    targets = _derive("a pond, a park, a road, a house, a car near a tree in a square on a beach with a wave .")
    assert targets.objects == "a pond, a park, a road, a house"
    assert len(targets.relations.split("; ")) == MAX_RELATIONS


@pytest.mark.parametrize(
    ("name", "several"),
    [
        ("car", "cars"),
        ("beach", "beaches"),
        ("church", "churches"),
        ("bush", "bushes"),
        ("factory", "factories"),
        ("railway", "railways"),
        ("crossroads", "crossroads"),
        ("storage tank", "storage tanks"),
    ],
)
def test_plurals(name: str, several: str) -> None:
    assert plural(name) == several


_vocabulary = st.sampled_from(
    [*NAMES, *QUANTITIES, *sorted(ATTRIBUTES), *RELATIONS, "and", "is", "which", "it", "of", ".", "12"]
)
_caption = st.lists(_vocabulary, max_size=14).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(captions=st.lists(st.one_of(st.text(), _caption), max_size=4))
@example(captions=["in the center of", "square", "in it", "a green", "a one a", "İ sea"])
def test_any_text_gives_texts_and_always_the_same(captions: list[str]) -> None:
    targets = _derive(*captions)
    assert targets == _derive(*captions)
    assert all(isinstance(text, str) for text in (targets.theme, targets.objects, targets.relations))
    assert targets.prompts.keys() == DEFAULT_PROMPTS.keys()
    assert all(targets.prompts.values())
    assert len([phrase for phrase in targets.objects.split(", ") if phrase]) <= MAX_OBJECTS


@settings(max_examples=60, deadline=None)
@given(captions=st.lists(_caption, min_size=2, max_size=3))
def test_the_order_of_captions_does_not_change_which_things_are_found(captions: list[str]) -> None:
    # A picture that names more things than a draft holds may keep others of equal standing.
    found = [_things(_derive(*order).objects) for order in itertools.permutations(captions)]
    if len(found[0]) < MAX_OBJECTS:
        assert all(things == found[0] for things in found)


def test_targets_of_real_captions(shared: Path) -> None:
    if not (shared / "data" / "rsicd").is_dir():
        pytest.skip("RSICD is absent")
    train = read_dataset(shared / "data" / "rsicd").split("train")
    for sample in train[:: len(train) // 500]:
        targets = derive(sample)
        said = " ".join(sample.captions)
        assert targets.objects
        assert targets.theme == sample.scene_class or sample.scene_class is None
        assert targets.theme or sample.scene_class is None
        for thing in _things(targets.objects):
            spellings = [spelling for spelling, name in NAMES.items() if name == thing]
            assert any(spelling in said for spelling in spellings), (thing, said)
        for phrase in targets.objects.split(", "):
            assert all(word in said for word in _split(phrase)[0] if word in ATTRIBUTES), (phrase, said)
        if targets.relations:
            assert all(any(f" {r} " in triple for r in RELATIONS.values()) for triple in targets.relations.split("; "))


def _things(objects: str) -> set[str]:
    """Names of the things in an objects draft."""
    return {_split(phrase)[1] for phrase in objects.split(", ") if phrase}


def _split(phrase: str) -> tuple[list[str], str]:
    """What is said of a thing, and its name: the longest end of the phrase that is one."""
    words = phrase.split()
    return next((words[:n], _SPOKEN[end]) for n in range(len(words)) if (end := " ".join(words[n:])) in _SPOKEN)
