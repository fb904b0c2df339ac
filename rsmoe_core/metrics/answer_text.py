"""When two answers are equal despite their spelling.

    case, spaces, punctuation, articles    "The Center." is "center"
    number words, to ninety-nine           "twenty-two" is "22"; "1,000" is "1000"
    yes and no with an ending              "yes.", "Yes, there are two" are "yes"
    ranges as in RSVQA                     "0-10", "from 0 to 10" are "between 0 and 10"; "> 1000", "over 1000" are
                                           "more than 1000"; a number is right if it lies in the true range, which
                                           includes its upper limit and excludes its lower one
    areas                                  "45m2", "45 m²", "45 square meters" are "45"
    counts                                 the one number in the answer: "about 12", "There are 12 ships."; "none" and
                                           "no ships" are 0
    themes                                 equal names of scene classes: `rsmoe_core.words.scene_classes`

In all other question types a plural or a synonym is a different answer, as in RSVQA's own scores.
"""

from __future__ import annotations

import re

from rsmoe_core.words.scene_classes import same_place

_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {word: number for number, word in enumerate((*_ONES, *_TEENS))}
_NUMBERS |= {word: number for number, word in zip(range(20, 100, 10), _TENS, strict=True)}

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
_RANGE = re.compile(r"between (\d+) and (\d+)|more than (\d+)")
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
    return float(found[0]) if len(found) == 1 and not _RANGE.search(text) else None


def is_correct(question_type: str, truth: str, prediction: str) -> bool:
    """Whether the predicted answer to a question of this type is right."""
    if question_type == "count" and (count := number(truth)) is not None:
        return number(prediction) == count
    right, answer = normalised(truth), normalised(prediction)
    if right == answer:
        return True
    if (limits := _RANGE.fullmatch(right)) and (value := number(prediction)) is not None:
        low, high, least = limits.groups()
        return int(low) < value <= int(high) if low else value > int(least)
    return question_type == "theme" and same_place(right, answer)


def _value(word: str) -> int:
    return _NUMBERS[word]
