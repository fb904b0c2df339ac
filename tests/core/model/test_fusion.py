from __future__ import annotations

import numpy as np

from rsmoe_core.engine import Engine
from rsmoe_core.model.fusion import fuse
from rsmoe_core.model.language.base import Turn
from rsmoe_core.roles import FUSION
from rsmoe_core.types import Generation, Request
from tests.core.fakes import FakeBackend

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
