"""How the texts for several experts stand in one text: each headed by its expert's marker, such as `<theme>`.

    {"theme": "a port", "objects": "two ships"}  ◀──▶  "<theme> a port <objects> two ships"

The router writes its prompts in this form, and fusion reads the drafts in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


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
