"""What a question asks for, and the one wording in which the model is asked for it. Free of torch.

    question_reader.read_inquiry("How many red vesels are in the harbour?")
        ──▶  Inquiry(kind="count", thing="ship", attribute="red", plain="how many red ships are there?")

Different wordings of one question give the same Inquiry but for its `text`, so they get the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rsmoe_core.grammar import plural

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
"""What can be asked for, in the words of `rsmoe_core.data.questions`; `unknown` is what no picture can answer."""


@dataclass(frozen=True)
class Inquiry:
    """What a question asks for."""

    text: str
    """The question as it was put, on one line."""
    kind: Kind
    plain: str
    """The question in the one wording that the model was taught for it; of `unknown`, empty."""
    thing: str | None = None
    """What is asked about: a name of `rsmoe_core.data.lexicon`, singular. In a comparison what may be more."""
    other: str | None = None
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


def plain_question(
    kind: Kind,
    thing: str | None = None,
    other: str | None = None,
    relation: str | None = None,
    attribute: str | None = None,
) -> str:
    """The wording that the model is taught for a question; the parts are those of an `Inquiry` that is not `unknown`.

    >>> plain_question("count", "car", attribute="red")
    'how many red cars are there?'
    """
    wording = _EQUAL if (kind, relation) == ("comparison", "equal") else _PLAIN[kind]
    described = " ".join(filter(None, (attribute, thing)))
    return wording.format(thing=described, things=plural(described), others=plural(other or ""), relation=relation)
