"""The mixture of experts: encoded images + instructions ─route─▶ RoutedPrompts ─draft─▶ ExpertDrafts ─fuse─▶ text.

The texts for several experts stand in one text, each headed by its expert's marker:

    {"theme": "a port", "objects": "two ships"}  ◀──▶  "<theme> a port <objects> two ships"

The router writes its prompts in this form, and fusion reads the drafts in it. Which model looks at the images and
generates the texts is up to the `Backend`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from rsmoe_core.backends.base import Backend, Encoded, Turn
from rsmoe_core.roles import FUSION, ROUTER
from rsmoe_core.types import Generation
from rsmoe_core.words.replies import ReplyForm

RoutedPrompts = dict[str, str]
"""Expert → the prompt that the router wrote for it; experts that it left out are missing."""
ExpertDrafts = dict[str, Generation]
"""Expert → what it wrote to its prompt."""


def marker(expert: str) -> str:
    """What heads the part of an expert; a special token of the native tokenizer."""
    return f"<{expert}>"


def join_parts(parts: Mapping[str, str], experts: Sequence[str]) -> str:
    """One text of the parts of several experts, in the order of `experts`."""
    return " ".join(f"{marker(name)} {parts[name]}" for name in experts if name in parts)


def split_parts(text: str, experts: Sequence[str]) -> dict[str, str]:
    """The inverse of `join_parts`; parts that are missing or empty are left out, and so is what no marker heads."""
    pieces = re.split(f"({'|'.join(re.escape(marker(name)) for name in experts)})", text)
    by_marker = {marker(name): name for name in experts}
    parts: dict[str, str] = {}
    for head, part in zip(pieces[1::2], pieces[2::2], strict=True):
        parts[by_marker[head]] = parts.get(by_marker[head], "") + part
    return {name: part.strip() for name, part in parts.items() if part.strip()}


def fusion_prompt(instruction: str, drafts: Mapping[str, str], experts: Sequence[str]) -> str:
    """What fusion reads beside the image: the instruction, then each draft under its expert's marker."""
    return f"{instruction} {join_parts(drafts, experts)}"


def route(
    backend: Backend, encoded: Encoded, images: Sequence[int], instructions: Sequence[str], max_tokens: int
) -> list[Generation]:
    """What the router writes to each instruction: the experts' prompts in one text, to be split by `split_parts`.

    `images` gives the index of the image that each instruction is about.
    """
    turns = [Turn(image, ROUTER, text) for image, text in zip(images, instructions, strict=True)]
    return backend.generate(encoded, turns, max_tokens)


def draft(
    backend: Backend,
    encoded: Encoded,
    images: Sequence[int],
    prompts: Sequence[RoutedPrompts],
    max_tokens: int,
    forms: Sequence[ReplyForm] | None = None,
) -> list[ExpertDrafts]:
    """What each expert writes to its prompt; `images` gives the index of the image of each set of prompts, and `forms`
    the form of its replies, where that is not the one of the expert.
    """
    rows = [(number, name) for number, routed in enumerate(prompts) for name in routed]
    turns = [
        Turn(images[number], name, prompts[number][name], form=forms[number] if forms is not None else None)
        for number, name in rows
    ]
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
