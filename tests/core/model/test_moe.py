from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsmoe_core.backends.base import Turn
from rsmoe_core.engine import Engine
from rsmoe_core.model.moe import draft, fuse, fusion_prompt, join_parts, marker, route, split_parts, without_repeats
from rsmoe_core.roles import DEFAULT_EXPERTS, FUSION, ROUTER
from rsmoe_core.types import Generation, Request
from tests.core.fakes import FakeBackend

EXPERTS = ("theme", "objects", "relations")
TEXTS = st.text(st.characters(exclude_characters="<>"), max_size=20)


@given(st.dictionaries(st.sampled_from(EXPERTS), TEXTS), TEXTS)
def test_joined_parts_are_split_again(parts: dict[str, str], before: str) -> None:
    text = f"{before} {join_parts(parts, EXPERTS)}"
    assert split_parts(text, EXPERTS) == {name: part.strip() for name, part in parts.items() if part.strip()}


@given(st.lists(st.sampled_from([*map(marker, EXPERTS), "<hazards>", "<", "a port", " ", ",", "théâtre"]), max_size=12))
def test_any_sequence_of_markers_and_words_is_split(pieces: list[str]) -> None:
    parts: dict[str, list[str]] = {}
    head = None
    for piece in pieces:
        if piece in map(marker, EXPERTS):
            head = piece.strip("<>")
        elif head is not None:
            parts.setdefault(head, []).append(piece)
    expected = {name: "".join(own).strip() for name, own in parts.items()}
    assert split_parts("".join(pieces), EXPERTS) == {name: part for name, part in expected.items() if part}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("<theme> a port <objects> two ships", {"theme": "a port", "objects": "two ships"}),
        ("<theme>a port<objects>two ships", {"theme": "a port", "objects": "two ships"}),
        ("<objects> two ships <theme> a port", {"theme": "a port", "objects": "two ships"}),
        ("<objects> two ships <theme>", {"objects": "two ships"}),
        ("<theme> <objects> two ships", {"objects": "two ships"}),
        ("<objects> two ships <theme> a port <objects> a crane", {"objects": "two ships  a crane", "theme": "a port"}),
        ("a port <objects> two ships", {"objects": "two ships"}),
        ("<theme> a port <colour> red", {"theme": "a port <colour> red"}),
        ("<themes> a port <Theme> a port", {}),
        ("no marker at all", {}),
        ("", {}),
    ],
)
def test_parts_are_headed_by_markers(text: str, parts: dict[str, str]) -> None:
    assert split_parts(text, EXPERTS) == parts


def test_names_are_no_patterns() -> None:
    assert split_parts("<abc> one <a.c> two", ("a.c",)) == {"a.c": "two"}


def test_the_fusion_prompt_holds_instruction_and_drafts_in_the_order_of_the_experts() -> None:
    drafts = {"relations": "trees near a pond", "theme": "park"}
    assert fusion_prompt("describe", drafts, EXPERTS) == "describe <theme> park <relations> trees near a pond"
    assert fusion_prompt("describe", drafts, EXPERTS[::-1]) == "describe <relations> trees near a pond <theme> park"
    assert fusion_prompt("describe", {}, EXPERTS).strip() == "describe"


@pytest.mark.parametrize(
    ("generated", "prompts"),
    [
        (
            "<theme> name the port <objects> count the ships <relations> what is near the pier",
            {"theme": "name the port", "objects": "count the ships", "relations": "what is near the pier"},
        ),
        ("<objects> count the ships", {"objects": "count the ships"}),
        ("<theme> <objects> count the ships", {"objects": "count the ships"}),
        ("count the ships", {}),
        ("", {}),
    ],
    ids=["all", "one", "empty part", "no marker", "nothing"],
)
def test_experts_that_the_router_left_out_have_no_prompt(generated: str, prompts: dict[str, str]) -> None:
    backend = FakeBackend({ROUTER: generated})
    routed = route(backend, [0, 1], [1, 0], ["describe", "any ships?"], 16)
    assert [split_parts(one.text, DEFAULT_EXPERTS) for one in routed] == [prompts] * 2
    assert backend.turns == [Turn(1, ROUTER, "describe"), Turn(0, ROUTER, "any ships?")]
    assert backend.max_tokens == [16]


def echo(image: int, turn: Turn) -> str:
    return f"{turn.role} reads {turn.prompt} of image {image}"


def test_every_expert_answers_its_own_prompt_about_its_own_image() -> None:
    backend = FakeBackend(dict.fromkeys(DEFAULT_EXPERTS, echo), confidence=0.5)
    prompts = [{"theme": "name it", "objects": "count"}, {}, {"relations": "compare", "theme": "what"}]
    drafts = draft(backend, [70, 80, 90], [2, 0, 1], prompts, 8)
    texts = [{name: one.text for name, one in own.items()} for own in drafts]
    assert texts == [
        {"theme": "theme reads name it of image 90", "objects": "objects reads count of image 90"},
        {},
        {"relations": "relations reads compare of image 80", "theme": "theme reads what of image 80"},
    ]
    assert drafts[0]["theme"] == Generation("theme reads name it of image 90", 0.5, 7)
    assert backend.max_tokens == [8], "all experts generate in one batch"


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("a pond, some trees, a pond", "a pond, some trees"),
        ("trees near sea; trees near sea", "trees near sea"),
        ("a road , a road, two cars; a road", "a road, two cars"),
        ("farmland", "farmland"),
        ("", ""),
    ],
)
def test_a_repeated_phrase_is_dropped(text: str, once: str) -> None:
    assert without_repeats(Generation(text, 0.25, 9)) == Generation(once, 0.25, 9)


DRAFTS = {"relations": Generation("trees near a pond"), "theme": Generation("park")}


def test_fusion_reads_instruction_and_drafts() -> None:
    backend = FakeBackend({FUSION: lambda image, turn: f"{turn.prompt} {image}"}, confidence=0.5)
    fused = fuse(backend, [7, 8], [1, 0], ["describe", "name"], [DRAFTS, {}], 12)
    assert fused == [Generation("describe 8", 0.5, 2), Generation("name 7", 0.5, 2)]
    assert backend.turns == [
        Turn(1, FUSION, "describe", {"relations": "trees near a pond", "theme": "park"}),
        Turn(0, FUSION, "name", {}),
    ]
    assert backend.max_tokens == [12]


def test_images_are_fused_independently(tiny_engine: Engine, images: list[np.ndarray]) -> None:
    encoded = tiny_engine.backend.encode([Request(image) for image in images[:2]])
    drafts = [DRAFTS, {"objects": Generation("many buildings and some green trees")}]
    together = fuse(tiny_engine.backend, encoded, [0, 1], ["describe the picture"] * 2, drafts, 8)
    for image in range(2):
        (alone,) = fuse(tiny_engine.backend, encoded, [image], ["describe the picture"], [drafts[image]], 8)
        assert together[image].text == alone.text


def test_drafts_change_what_the_native_model_generates(tiny_engine: Engine, images: list[np.ndarray]) -> None:
    encoded = tiny_engine.backend.encode([Request(images[0])])
    drafts = [DRAFTS, {"objects": Generation("many airplanes")}]
    fused = fuse(tiny_engine.backend, encoded, [0, 0], ["describe"] * 2, drafts, 8)
    assert fused[0].text != fused[1].text
