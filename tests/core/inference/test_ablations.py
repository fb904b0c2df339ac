from __future__ import annotations

import numpy as np

from rsmoe_core.engine import Engine
from rsmoe_core.inference.ablations import FULL_MODEL, ablations
from rsmoe_core.inference.captions import as_sentence
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, DEFAULT_EXPERTS, FUSION, ROUTER, default_prompts
from rsmoe_core.types import Description, Request
from tests.core.fakes import FakeBackend

NAMES = (
    "full model",
    "no router",
    *(f"no {name}" for name in DEFAULT_EXPERTS),
    *(f"{name} alone" for name in DEFAULT_EXPERTS),
    "join instead of fusion",
    "stage 1 only",
)


def drafts(descriptions: list[Description], names: tuple[str, ...] = DEFAULT_EXPERTS) -> list[list[str]]:
    return [[one.draft(name) for name in names] for one in descriptions]


def test_every_part_has_an_ablation() -> None:
    assert tuple(ablation.name for ablation in ablations(DEFAULT_EXPERTS)) == NAMES
    assert ablations(DEFAULT_EXPERTS)[0] == FULL_MODEL


def test_every_ablation_leaves_out_its_part_and_nothing_else(tiny_engine: Engine, images: list[np.ndarray]) -> None:
    compared = tiny_engine.compare([Request(image) for image in images], ablations(tiny_engine.experts))
    described = dict(zip(NAMES, compared, strict=True))
    full = described["full model"]
    assert full == tiny_engine.caption(images)
    assert [dict(one.prompts) for one in described["no router"]] == [default_prompts(DEFAULT_EXPERTS)] * len(images)
    for name in DEFAULT_EXPERTS:
        others = tuple(other for other in DEFAULT_EXPERTS if other != name)
        assert all(name not in one.drafts for one in described[f"no {name}"])
        assert drafts(described[f"no {name}"], others) == drafts(full, others)
        assert all(set(one.drafts) == {name} for one in described[f"{name} alone"])
        assert drafts(described[f"{name} alone"], (name,)) == drafts(full, (name,))
    joined = [as_sentence(", ".join(filter(None, of_image))) for of_image in drafts(full)]
    assert [one.caption for one in described["join instead of fusion"]] == joined
    assert all(one.confidence is None for one in described["join instead of fusion"])
    assert [one.caption for one in described["stage 1 only"]] != [one.caption for one in full]


def test_what_ablations_share_is_generated_once() -> None:
    texts = {ROUTER: "", FUSION: "a port .", BASE: "a harbour .", **{name: name for name in DEFAULT_EXPERTS}}
    backend = FakeBackend(texts)
    image = np.zeros((8, 8, 3), np.uint8)
    compared = Engine(backend).compare([Request(image)], ablations(DEFAULT_EXPERTS))
    assert backend.encoded == [1]
    assert len(backend.turns_of(ROUTER)) == 1
    assert [len(backend.turns_of(name)) for name in DEFAULT_EXPERTS] == [2, 2, 2], "with the router and without"
    assert [turn.prompt for turn in backend.turns_of(BASE)] == [CAPTION_INSTRUCTION]
    captions = [description.caption for (description,) in compared]
    assert captions[-2:] == ["Theme, objects, relations.", "A harbour."]
    assert set(captions[:-2]) == {"A port."}
