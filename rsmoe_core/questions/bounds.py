"""Numbers that a question asks about: "more than five ships" → "[at least 6] ships".

"at least three"    ──▶  "[at least 3]"
"fewer than 3"      ──▶  "[at most 2]"
"no"                ──▶  "[no]"
"at least one"      ──▶  ""              which is what "any" means
"""

from __future__ import annotations

import re

from rsmoe_core.words.numbers import NUMBER_WORDS, number

NONE = "no"
"""The bound of a question whether an object is absent."""

_NUMBER = rf"(?:\d{{1,6}}(?![\d,.]*\d)|{'|'.join(NUMBER_WORDS)})(?!\s*(?:%|per ?cent))\b"
_AT_LEAST = "at least|no less than|not less than|no fewer than|not fewer than|a minimum of"
_AT_MOST = "at most|no more than|not more than|up to|a maximum of"
_BOUND = re.compile(
    rf"\b(?:(?P<at_least>{_AT_LEAST})|(?P<at_most>{_AT_MOST})|(?P<above>(?:more|greater|higher|larger) than|over|above)"
    rf"|(?P<below>(?:fewer|less|lower|smaller) than|under|below)) (?P<number>{_NUMBER})"
    rf"|\b(?P<first>{_NUMBER}) or (?:(?P<or_more>more)|(?:fewer|less))\b"
    r"|\b(?P<none>no)(?= [a-z])"
)


def with_bounds(question: str) -> str:
    """A question in lower case with its bounds in brackets."""
    return _BOUND.sub(_bracketed, question)


def limits(bound: str) -> tuple[int, int | None]:
    """The least and the greatest number that a bound allows; None where there is no greatest.

    >>> limits("at least 6"), limits("at most 2"), limits("no")
    ((6, None), (0, 2), (0, 0))
    """
    if bound == NONE:
        return 0, 0
    value = int(bound.split()[-1])
    return (value, None) if bound.startswith("at least") else (0, value)


def _bracketed(match: re.Match[str]) -> str:
    if match["none"]:
        return f"[{NONE}]"
    value = int(number(match["number"] or match["first"]) or 0)
    if match["at_least"] or match["above"] or match["or_more"]:
        least = value + bool(match["above"])
        return match[0] if least == 0 else "" if least == 1 else f"[at least {least}]"
    most = value - bool(match["below"])
    return match[0] if most < 0 else f"[{NONE}]" if most == 0 else f"[at most {most}]"
