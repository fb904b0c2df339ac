"""English, as far as names of things need it."""

from __future__ import annotations


def plural(name: str) -> str:
    """The plural of a thing's name."""
    if name.endswith(("ss", "sh", "ch")):
        return name + "es"
    if name.endswith("y") and name[-2] not in "aeiou":
        return name[:-1] + "ies"
    return name if name.endswith("s") else name + "s"


def article(name: str) -> str:
    """ "a" or "an", by the name's first letter."""
    return "an" if name[0] in "aeiou" else "a"
