from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.roles import DEFAULT_EXPERTS, ExpertTargets, default_prompts, expert_targets_of
from rsmoe_core.words.expert_targets import MAX_OBJECTS, AnnotationFacts
from rsmoe_core.words.grammar import plural
from rsmoe_core.words.lexicon import ATTRIBUTES, NAMES, QUANTITIES, RELATIONS
from rsmoe_core.words.sentences import MAX_RELATIONS

DEFAULT_PROMPTS = default_prompts(DEFAULT_EXPERTS)

# Drafts name objects in the singular or plural.
_NAME_OF = {spelling: name for name in NAMES.values() for spelling in (name, plural(name))}


def _targets(*captions: str, scene_class: str | None = None, objects: str | None = None) -> ExpertTargets:
    return expert_targets_of(AnnotationFacts.of(captions, scene_class, objects))


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
        # one word that is both an attribute and an object
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
    targets = _targets(caption)
    assert targets.drafts == {"theme": theme, "objects": objects, "relations": relations}


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
def test_prompts_ask_for_what_the_captions_name(caption: str, theme: str, objects: str, relations: str) -> None:
    assert _targets(caption).prompts == {"theme": theme, "objects": objects, "relations": relations}


def test_the_annotated_scene_class_is_the_theme() -> None:
    targets = _targets("many buildings are near a river .", scene_class="dense residential area")
    assert targets.drafts["theme"] == "dense residential area"
    assert targets.prompts["theme"] == "name the kind of residential area"


def test_exact_objects_replace_the_derived_ones() -> None:
    assert _targets("many ships are in the sea .", objects="31 ships").drafts["objects"] == "31 ships"


def test_the_most_frequent_facts_come_first() -> None:
    targets = _targets(
        "a river .",
        "three red boats are on a river .",
        "three boats are on the green river .",
        "two boats near trees .",
    )
    assert targets.drafts["theme"] == "river"
    assert targets.drafts["objects"] == "a green river, three red boats, some trees"
    assert targets.drafts["relations"] == "boats on river; boats near trees"


def test_the_number_of_objects_and_relations_is_limited() -> None:
    targets = _targets("a pond, a park, a road, a house, a car near a tree in a square on a beach with a wave .")
    assert targets.drafts["objects"] == "a pond, a park, a road, a house"
    assert len(targets.drafts["relations"].split("; ")) == MAX_RELATIONS


_vocabulary = st.sampled_from(
    [*NAMES, *QUANTITIES, *sorted(ATTRIBUTES), *RELATIONS, "and", "is", "which", "it", "of", ".", "12"]
)
_caption = st.lists(_vocabulary, max_size=14).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(captions=st.lists(st.one_of(st.text(), _caption), max_size=4))
@example(captions=["in the center of", "square", "in it", "a green", "a one a", "İ sea"])
def test_any_text_gives_the_same_texts_every_time(captions: list[str]) -> None:
    targets = _targets(*captions)
    assert targets == _targets(*captions)
    assert all(isinstance(text, str) for text in targets.drafts.values())
    assert targets.prompts.keys() == DEFAULT_PROMPTS.keys()
    assert all(targets.prompts.values())
    assert len([phrase for phrase in targets.drafts["objects"].split(", ") if phrase]) <= MAX_OBJECTS


@settings(max_examples=60, deadline=None)
@given(captions=st.lists(_caption, min_size=2, max_size=3))
def test_the_order_of_captions_does_not_change_which_objects_are_found(captions: list[str]) -> None:
    # Captions that name more objects than a draft holds may give others of the same frequency.
    found = [_names(_targets(*order).drafts["objects"]) for order in itertools.permutations(captions)]
    if len(found[0]) < MAX_OBJECTS:
        assert all(names == found[0] for names in found)


def test_targets_of_real_captions(shared: Path) -> None:
    if not (shared / "data" / "rsicd").is_dir():
        pytest.skip("RSICD is absent")
    train = read_dataset(shared / "data" / "rsicd").split("train")
    for sample in train[:: len(train) // 500]:
        targets = expert_targets_of(AnnotationFacts.of(sample.captions, sample.scene_class, sample.objects))
        sentences = " ".join(sample.captions)
        assert targets.drafts["objects"]
        assert targets.drafts["theme"] == sample.scene_class or sample.scene_class is None
        assert targets.drafts["theme"] or sample.scene_class is None
        for name in _names(targets.drafts["objects"]):
            spellings = [spelling for spelling, known in NAMES.items() if known == name]
            assert any(spelling in sentences for spelling in spellings), (name, sentences)
        for phrase in targets.drafts["objects"].split(", "):
            assert all(word in sentences for word in _split(phrase)[0] if word in ATTRIBUTES), (phrase, sentences)
        if targets.drafts["relations"]:
            assert all(
                any(f" {r} " in triple for r in RELATIONS.values())
                for triple in targets.drafts["relations"].split("; ")
            )


def _names(objects: str) -> set[str]:
    """Names of the objects in an objects draft."""
    return {_split(phrase)[1] for phrase in objects.split(", ") if phrase}


def _split(phrase: str) -> tuple[list[str], str]:
    """The words before an object's name, and the name: the longest end of the phrase that is one."""
    words = phrase.split()
    return next((words[:n], _NAME_OF[end]) for n in range(len(words)) if (end := " ".join(words[n:])) in _NAME_OF)
