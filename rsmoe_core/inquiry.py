"""A question in people's words → what it asks for. Free of torch.

    "How many vesels are in the harbour?"  ──▶  Inquiry(kind="count", thing="ship", plain="how many ships are there?")

Different wordings of one question give the same Inquiry but for its `text`, so they get the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    """What is asked about: a name of `rsmoe_core.data.lexicon`, singular. In a comparison, what may be more."""
    other: str | None = None
    """The second thing of a comparison."""
    relation: str | None = None
    """Of a comparison `more` or `equal`; of a relation one of `lexicon.RELATIONS`' names."""
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
