"""ExpertDrafts → text: fusion reads the image, the instruction and the drafts, and writes the final sentence."""

from __future__ import annotations

from collections.abc import Sequence

from rsmoe_core.model.experts import ExpertDrafts
from rsmoe_core.model.language.base import Backend, Encoded, Turn
from rsmoe_core.roles import FUSION
from rsmoe_core.types import Generation


def fuse(
    backend: Backend,
    encoded: Encoded,
    images: Sequence[int],
    instructions: Sequence[str],
    drafts: Sequence[ExpertDrafts],
    max_tokens: int,
) -> list[Generation]:
    """The final text for each instruction; `images` gives the index of the image that it is about."""
    turns = [
        Turn(image, FUSION, instruction, {name: one.text for name, one in own.items()})
        for image, instruction, own in zip(images, instructions, drafts, strict=True)
    ]
    return backend.generate(encoded, turns, max_tokens)
