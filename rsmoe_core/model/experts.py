"""Encoded images + RoutedPrompts → ExpertDrafts: all experts answer their prompts in one batch."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from rsmoe_core.model.language.base import Backend, Encoded, Turn
from rsmoe_core.model.router import RoutedPrompts
from rsmoe_core.types import Generation

ExpertDrafts = dict[str, Generation]
"""Expert → what it wrote."""


def draft(
    backend: Backend, encoded: Encoded, images: Sequence[int], prompts: Sequence[RoutedPrompts], max_tokens: int
) -> list[ExpertDrafts]:
    """What each expert writes to its prompt; `images` gives the index of the image of each set of prompts."""
    rows = [(number, name) for number, routed in enumerate(prompts) for name in routed]
    turns = [Turn(images[number], name, prompts[number][name]) for number, name in rows]
    drafts: list[ExpertDrafts] = [{} for _ in prompts]
    for (number, name), written in zip(rows, backend.generate(encoded, turns, max_tokens), strict=True):
        drafts[number][name] = written
    return drafts


def without_repeats(draft: Generation) -> Generation:
    """The draft with each phrase once: a small model that lists objects is apt to begin the list again."""
    phrases = re.split(r"\s*([,;])\s*", draft.text)
    kept: dict[str, str] = {}
    for separator, phrase in zip(["", *phrases[1::2]], phrases[::2], strict=True):
        kept.setdefault(phrase, separator)
    text = "".join(
        f"{separator} {phrase}" if separator and number else phrase
        for number, (phrase, separator) in enumerate(kept.items())
    )
    return dataclasses.replace(draft, text=text)
