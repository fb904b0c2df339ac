"""Encoded images + instruction → RoutedPrompts: the Instruction Router writes a prompt for each expert."""

from __future__ import annotations

from collections.abc import Sequence

from rsmoe_core.model.language.base import Backend, Encoded, Turn
from rsmoe_core.model.prompts import split_parts
from rsmoe_core.roles import ROUTER

RoutedPrompts = dict[str, str]
"""Expert → the prompt that the router wrote for it; experts that it left out are missing."""


def route(
    backend: Backend,
    encoded: Encoded,
    images: Sequence[int],
    instructions: Sequence[str],
    experts: Sequence[str],
    max_tokens: int,
) -> list[RoutedPrompts]:
    """The router's prompts for each instruction; `images` gives the index of the image that it is about."""
    turns = [Turn(image, ROUTER, text) for image, text in zip(images, instructions, strict=True)]
    return [split_parts(written.text, experts) for written in backend.generate(encoded, turns, max_tokens)]
