"""A question in people's words → what it asks for. Free of torch.

    text  ──▶  one line  ──▶  symbols  ──▶  the pattern that fits all of them  ──▶  ParsedQuestion
                              question_words      _PATTERNS

Every word of a question has to be accounted for: where one is left over, the question is `unknown`, for an answer that
overlooks a word would be an answer to another question. The reason says which word it was and what to ask instead.
"""

from __future__ import annotations

import difflib
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence

from rsmoe_core.errors import UsageError
from rsmoe_core.questions.lexer import Thing, Wording, wording_of
from rsmoe_core.questions.types import Kind, ParsedQuestion, canonical_question
from rsmoe_core.words.lexicon import MASS, NAMES

MAX_CHARACTERS = 500
"""Of a question."""

_EXAMPLE = "how many ships are there?"
_COMMON_THINGS = ("ship", "airplane", "car", "building", "tree")

_A, _B, _ANY = r"<(?P<thing>\d+)>", r"<(?P<other>\d+)>", r"<\d+>"
_IN = r"\{(?:in|on)\}"
_LIGHT = "(?:is|can|do|you|see|have|picture|place)"
# What may stand before and after a question: "in the port, how many ships (do you see in the water)".
_LEAD = rf"(?:{_IN} {_ANY} )?(?:if )?"
_REST = rf"(?: {_LIGHT}| count| {_IN} {_ANY})*"
_N = "(?:number of )?"
_R_MORE = "(?P<relation>more|fewer|greater|lesser)"
_R_EQUAL = "(?P<relation>equal|same|as many)"
_DISTRICT = "(?:rural|urban)(?: place)?"

_PATTERNS: Mapping[Kind, Sequence[str]] = {
    "theme": (
        rf"(?:what )?(?:is )?(?:picture |place )?(?:theme|kind)(?: kind| of (?:place|theme|picture))*(?: {_LIGHT})*",
        rf"what is place|what place(?: {_LIGHT})+|classify (?:picture|place)",
    ),
    "rural_urban": (rf"(?:if )?(?:what )?(?:{_LIGHT} )*(?:of )?{_DISTRICT}(?: or (?:is )?{_DISTRICT})?(?: {_LIGHT})*",),
    "comparison": (
        rf"{_LEAD}(?:{_LIGHT} )*{_R_MORE} {_N}{_A} than {_N}{_B}{_REST}",
        rf"{_LEAD}is {_N}{_A} {_R_MORE} than {_N}{_B}{_REST}",
        rf"{_LEAD}do {_A} (?P<relation>outnumber) {_B}{_REST}",
        rf"{_LEAD}(?:{_LIGHT} )*{_R_EQUAL} {_N}{_A} (?:as|and) {_N}{_B}{_REST}",
        rf"{_LEAD}is {_N}{_A} (?:as )?{_R_EQUAL} (?:to|as) {_N}{_B}{_REST}",
        rf"{_LEAD}is {_N}{_A} and {_N}{_B} {_R_EQUAL}(?: {_IN} number)?",
    ),
    "count": (
        rf"{_LEAD}(?:what )?(?:is )?(?:count )?(?:how many|number|count)(?: number)?(?: of)? {_A}{_REST}",
        rf"{_LEAD}(?:what is )?{_A} (?:count|number){_REST}",
    ),
    "location": (
        rf"{_LEAD}where (?:{_LIGHT} )*{_A}{_REST}",
        rf"{_LEAD}(?:what is )?(?:location of|locate) {_A}{_REST}",
        rf"(?:what is )?{_A} location",
        rf"(?:{_IN} )?what (?:part|place|location) (?:{_LIGHT} )*{_A}(?: {_IN})?{_REST}",
    ),
    "color": (
        rf"{_LEAD}(?:what )?(?:is )?color (?:of |is |do )*{_A}{_REST}",
        rf"(?:what is )?{_A} color",
    ),
    "relation": (
        rf"(?:describe )?what (?:thing )?(?:{_LIGHT} )*\{{(?P<relation>[^}}]+)\}} {_A}{_REST}",
        rf"what (?:thing )?is {_A} \{{(?P<relation>near|next to|beside)\}}",
        rf"what (?:thing )?is {_A} \{{surrounded by\}}",  # that is, what is around it
    ),
    "description": (
        rf"(?:have )?describe(?: {_LIGHT}| of| what| thing| about)*",
        rf"what(?: {_LIGHT}| thing| of)+(?: about)?|about (?:picture|place)",
    ),
    "presence": (
        rf"{_LEAD}(?:{_LIGHT} )*(?:presence )?(?:of )?{_A}{_REST}",
        rf"do {_ANY} have {_A}",
    ),
}
"""The symbols of a question of each kind, from the first to the last. The first pattern that fits counts."""

_COMPILED = [(kind, re.compile(pattern)) for kind, patterns in _PATTERNS.items() for pattern in patterns]
_FEWER = ("fewer", "lesser")
_EQUAL = ("equal", "same", "as many")


def parse_question(text: str) -> ParsedQuestion:
    """What is asked for.

    Raises UsageError for an empty question and for one of more than `MAX_CHARACTERS`.
    """
    line = _on_one_line(text)
    letters = _plain_letters(line)
    if any(letter.isalpha() and not letter.isascii() for letter in letters):
        return _unknown(line, f"only English is understood; ask something like: {_EXAMPLE}")
    wording = wording_of(letters)
    for kind, pattern in _COMPILED:
        if match := pattern.fullmatch(wording.symbols):
            return _inquiry(line, kind, wording.things, match.groupdict())
    return _unknown(line, _why_not_understood(wording))


def _on_one_line(text: str) -> str:
    """Without control and format characters. Raises UsageError where nothing or too much is left."""
    visible = (" " if unicodedata.category(letter) in ("Cc", "Cf", "Cs") else letter for letter in text)
    line = " ".join("".join(visible).split())
    if not line:
        raise UsageError("the question is empty; ask something like: How many ships are there?")
    if len(line) > MAX_CHARACTERS:
        raise UsageError(f"the question has {len(line):,} characters; ask one thing in at most {MAX_CHARACTERS}")
    return line


def _plain_letters(line: str) -> str:
    """Small letters without accents."""
    apart = unicodedata.normalize("NFKD", line.replace("’", "'")).lower()
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _inquiry(line: str, kind: Kind, things: Sequence[Thing], parts: Mapping[str, str | None]) -> ParsedQuestion:
    """Of a question that a pattern fits; `parts` are its groups."""
    thing, other = (None if (i := parts.get(part)) is None else things[int(i)] for part in ("thing", "other"))
    relation = parts.get("relation")
    if objection := _objection(things, thing, other):
        return _unknown(line, objection)
    if kind == "comparison":
        thing, other = (other, thing) if relation in _FEWER else (thing, other)
        relation = "equal" if relation in _EQUAL else "more"
    elif kind == "relation":
        relation = relation or "around"
    attribute = thing.attribute if thing else None
    names = (thing.name if thing else None, other.name if other else None)
    return ParsedQuestion(
        line, kind, canonical_question(kind, *names, relation, attribute), *names, relation, attribute
    )


def _objection(things: Sequence[Thing], thing: Thing | None, other: Thing | None) -> str:
    """Why a question that is understood cannot be answered; empty where it can."""
    for asked in (thing, other):
        if asked and not asked.taught:
            names = ", ".join(_names_like(asked.name))
            return f"the model was not taught to recognise {_quoted(asked)}; ask about one of: {names}"
    if strange := _not_understood(things):
        return f"{strange} is not understood; ask, for example: {_instead(things)}"
    if thing and other and thing.name == other.name:
        return f"that compares a thing with itself; ask, for example: {_instead(things)}"
    if thing and other and (thing.attribute or other.attribute):
        instead = canonical_question("comparison", thing.name, other.name, "more")
        return f"things are compared without their color or size; ask, for example: {instead}"
    return ""


def _why_not_understood(wording: Wording) -> str:
    """Of a question that no pattern fits."""
    instead = _instead(wording.things)
    if re.search(r"\b(?:who|when|why)\b", wording.symbols):
        return f"a picture does not show who, when or why; ask, for example: {instead}"
    if "measured" in wording.symbols:
        return f"sizes, distances, ages and amounts are not measured; ask, for example: {instead}"
    if strange := _not_understood(wording.things):
        return f"{strange} is not understood; ask, for example: {instead}"
    if placed := re.search(r"<\d+>.* \{([^}]+)\} <(\d+)>", wording.symbols):
        instead = canonical_question("relation", wording.things[int(placed[2])].name, relation=placed[1])
        return f"things are found and counted in whole pictures only; ask, for example: {instead}"
    if len(wording.things) > 1:
        return f"only one thing can be asked at a time; ask, for example: {instead}"
    return f"the question is not understood; ask something like: {instead}"


def _not_understood(things: Sequence[Thing]) -> str:
    return " and ".join(_quoted(thing) for thing in things if not thing.taught)


def _quoted(thing: Thing) -> str:
    return f'"{textwrap.shorten(thing.name, 40, placeholder="…")}"'


def _instead(things: Sequence[Thing]) -> str:
    """A question that can be answered, about the first known thing of those that were named."""
    thing = next((thing for thing in things if thing.taught), None)
    if thing is None:
        return _EXAMPLE
    kind: Kind = "presence" if thing.name in MASS else "count"
    return canonical_question(kind, thing.name, attribute=thing.attribute)


def _names_like(word: str) -> list[str]:
    """Some names of things: those that are spelled most like the word, and common ones."""
    alike = difflib.get_close_matches(word, sorted(set(NAMES.values()) - {"boat"}), n=2)
    return list(dict.fromkeys((*alike, *_COMMON_THINGS)))


def _unknown(line: str, reason: str) -> ParsedQuestion:
    return ParsedQuestion(line, "unknown", "", reason=reason)
