"""What a question asks for, and the one wording in which the model is asked for it. Free of torch.

    question_reader.parse_question("How many red vesels are in the harbour?")
        ──▶  ParsedQuestion(kind="count", thing="ship", attribute="red", plain="how many red ships are there?")

Different wordings of one question give the same ParsedQuestion but for its `text`, so they get the same answer.

Kinds of questions, in the field's words: the same kind has one name, whatever a data set calls it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rsmoe_core.words.grammar import plural

Kind = Literal[
    "presence",
    "count",
    "comparison",
    "theme",
    "rural_urban",
    "location",
    "relation",
    "color",
    "description",
    "unknown",
]
"""What can be asked for, in the words of `rsmoe_core.questions.types`; `unknown` is what no picture can answer."""


@dataclass(frozen=True)
class ParsedQuestion:
    """What a question asks for."""

    text: str
    """The question as it was put, on one line."""
    type: Kind
    canonical: str
    """The question in the one wording that the model was taught for it; of `unknown`, empty."""
    subject: str | None = None
    """What is asked about: a name of `rsmoe_core.words.lexicon`, singular. In a comparison what may be more."""
    compared_with: str | None = None
    """The second thing of a comparison."""
    relation: str | None = None
    """Of a comparison `more` or `equal`; of a relation one of `lexicon.RELATIONS`' names."""
    attribute: str | None = None
    """An adjective of `lexicon.ATTRIBUTES` before the thing. None in a comparison."""
    reason: str = ""
    """Of `unknown`: one line that says why it cannot be answered, and what could be asked instead."""


_PLAIN: dict[Kind, str] = {
    "presence": "is there any {thing}?",
    "count": "how many {things} are there?",
    "comparison": "are there {relation} {things} than {others}?",
    "theme": "what kind of place is this?",
    "rural_urban": "is this a rural or an urban area?",
    "location": "where is the {thing}?",
    "relation": "what is {relation} the {thing}?",
    "color": "what color is the {thing}?",
    "description": "describe the picture",
}
"""The wording of each kind; `{things}` is the plural."""

_EQUAL = "are there as many {things} as {others}?"


def canonical_question(
    kind: Kind,
    thing: str | None = None,
    other: str | None = None,
    relation: str | None = None,
    attribute: str | None = None,
) -> str:
    """The wording that the model is taught for a question; the parts are those of an `ParsedQuestion` that is not `unknown`.

    >>> canonical_question("count", "car", attribute="red")
    'how many red cars are there?'
    """
    wording = _EQUAL if (kind, relation) == ("comparison", "equal") else _PLAIN[kind]
    described = " ".join(filter(None, (attribute, thing)))
    return wording.format(thing=described, things=plural(described), others=plural(other or ""), relation=relation)


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


def question_type(text: object, given: object = None) -> str:
    """What a question asks for: by the type that the data set gives, else by the wording, else `other`.

    A type that is not in the list of synonyms keeps its own name.
    """
    if given is not None and (name := str(given).strip().lower()):
        return _KINDS.get(name, "_".join(name.split()))
    wording = str(text).strip().lower()
    return next((kind for kind, pattern in _WORDINGS if re.search(pattern, wording)), "other")
