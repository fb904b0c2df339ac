"""Kinds of questions, in the field's words: the same kind has one name, whatever a data set calls it."""

from __future__ import annotations

import re

# kind → other names that data sets have for it
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "presence": ("object existence", "existence"),
    "count": ("quantity", "object quantity"),
    "comparison": ("comp", "area_comp"),
    "area": (),
    "rural_urban": ("rural or urban",),
    "theme": ("scene", "scene type"),
    "location": ("ab_position", "object position"),
    "relation": ("re_position",),
    "orientation": ("road_ori", "object direction"),
    "category": ("object category",),
    "color": ("object color",),
    "shape": ("object shape",),
    "size": ("object size",),
}
_KINDS = {name: kind for kind, names in _SYNONYMS.items() for name in (kind, *names)}

# What a question's wording says about its kind; the first that fits counts, so the more special stand first.
_WORDINGS = (
    ("rural_urban", r"\brural\b.*\burban\b|\burban\b.*\brural\b"),
    ("comparison", r"\b(more|less|fewer|larger|smaller|equal)\b.*\b(than|to)\b"),
    ("count", r"\bhow many\b|\bnumber of\b"),
    ("theme", r"\btheme\b|\bkind of (place|scene)\b"),
    ("location", r"\blocation\b|\bposition\b|^where\b"),
    ("color", r"\bcolou?r\b"),
    ("area", r"\barea (of|covered)\b|\bhow large\b"),
    ("presence", r"^(is|are|does|do|has|have|can)\b"),
)


def kind_of(text: object, given: object = None) -> str:
    """What a question asks for: by the type that the data set gives, else by the wording, else `other`.

    A type that is not in the list of synonyms keeps its own name.
    """
    if given is not None and (name := str(given).strip().lower()):
        return _KINDS.get(name, "_".join(name.split()))
    wording = str(text).strip().lower()
    return next((kind for kind, pattern in _WORDINGS if re.search(pattern, wording)), "other")
