"""Numbers in answers: one canonical spelling for equal answers, and the count that an answer states.

case, spaces, punctuation, articles    "The Center." is "center"
number words, to ninety-nine           "twenty-two" is "22"; "1,000" is "1000"
yes and no with an ending              "yes.", "Yes, there are two" are "yes"
ranges as RSVQA has them               "0-10", "from 0 to 10" are "between 0 and 10"; "> 1000", "over 1000" are
                                       "more than 1000"
areas                                  "45m2", "45 m²", "45 square meters" are "45"
counts                                 the only number of the answer: "about 12", "There are 12 ships."; "none" and
                                       "no ships" are 0
"""

from __future__ import annotations

import re

_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {word: number for number, word in enumerate((*_ONES, *_TEENS))}
_NUMBERS |= {word: number for number, word in zip(range(20, 100, 10), _TENS, strict=True)}
NUMBER_WORDS = tuple(_NUMBERS)
"""Words for single numbers, from zero to ninety."""

_YES_OR_NO = re.compile(r"(yes|no)(?:\s*[,.;:!].*| (?:there|it|they|this|these|that) .*)?", re.DOTALL)
# The order matters: a later rule may rely on the result of an earlier one.
_RULES = (
    (re.compile("²"), "2"),
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),
    (re.compile(r"\b(?:a|an|the)\b"), " "),
    (re.compile(rf"\b({'|'.join(_TENS)})[- ]+({'|'.join(_ONES[1:10])})\b"), lambda m: str(_value(m[1]) + _value(m[2]))),
    (re.compile(rf"\b(?:{'|'.join(_NUMBERS)})\b"), lambda m: str(_value(m[0]))),
    (re.compile(r"(?<=\d)\s*(?:m2|m\^2|sq\.? ?m|square met(?:er|re)s?)(?!\w)"), ""),
    (re.compile(r"\b(?:between )?(?:from )?(\d+)\s*(?:-|–|to)\s*(\d+)\b"), r"between \1 and \2"),
    (re.compile(r"(?:>|\bover\b|\b(?:greater|larger) than\b)\s*(?=\d)"), "more than "),
    (re.compile(r"(?<!\d)\.|\.(?!\d)|[^\w\s.]"), " "),
)
RANGE = re.compile(r"between (\d+) and (\d+)|more than (\d+)")
"""A range in canonical spelling: its limits, or the limit that it exceeds."""
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b")


def normalised(text: str) -> str:
    """The answer in the canonical spelling that equal answers share."""
    text = text.lower().strip()
    if short := _YES_OR_NO.fullmatch(text):
        return short[1]
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


def number(text: str) -> float | None:
    """The count that an answer states; None where it states none, several, or a range."""
    text = normalised(text)
    if re.match(r"(?:no|none)\b", text):
        return 0.0
    found = _NUMBER.findall(text)
    return float(found[0]) if len(found) == 1 and not RANGE.search(text) else None


def _value(word: str) -> int:
    return _NUMBERS[word]
