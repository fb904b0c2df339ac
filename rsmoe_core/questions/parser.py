"""A question as people ask it → what it asks for. Free of torch.

    text  ──▶  one line  ──▶  tokens  ──▶  the first pattern that matches all tokens  ──▶  ParsedQuestion
                              lexer        QuestionType.patterns

A pattern has to account for every word of a question. If a word is left over, the question is not parsed, because an
answer that ignores a word would answer another question. The reason names that word and suggests what to ask instead.
"""

from __future__ import annotations

import difflib
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence

from rsmoe_core.errors import UsageError
from rsmoe_core.questions.lexer import LexedQuestion, ObjectMention, lex
from rsmoe_core.questions.types import QUESTION_TYPES, UNPARSED, ParsedQuestion, canonical_question
from rsmoe_core.words.lexicon import MASS, NAMES

MAX_CHARACTERS = 500
"""Length of the longest question that is read."""

_EXAMPLE = "how many ships are there?"
_COMMON_OBJECTS = ("ship", "airplane", "car", "building", "tree")
_FEWER = ("fewer", "lesser")
_EQUAL = ("equal", "same", "as many")


def parse_question(text: str) -> ParsedQuestion:
    """What a question asks for.

    Raises:
        UsageError: the question is empty or has more than `MAX_CHARACTERS`.
    """
    line = _on_one_line(text)
    letters = _without_accents(line)
    if any(letter.isalpha() and not letter.isascii() for letter in letters):
        return _unparsed(line, f"only English is understood; ask something like: {_EXAMPLE}")
    lexed = lex(letters)
    for question_type in QUESTION_TYPES.values():
        for pattern in question_type.patterns:
            if match := re.fullmatch(pattern, lexed.tokens):
                return _parsed(line, question_type.name, lexed.mentions, match.groupdict())
    return _unparsed(line, _why_not_understood(lexed))


def _on_one_line(text: str) -> str:
    """Without control and format characters.

    Raises:
        UsageError: nothing is left, or too much.
    """
    visible = (" " if unicodedata.category(letter) in ("Cc", "Cf", "Cs") else letter for letter in text)
    line = " ".join("".join(visible).split())
    if not line:
        raise UsageError("the question is empty; ask something like: How many ships are there?")
    if len(line) > MAX_CHARACTERS:
        raise UsageError(f"the question has {len(line):,} characters; ask one thing in at most {MAX_CHARACTERS}")
    return line


def _without_accents(line: str) -> str:
    """Lower-case letters without accents."""
    decomposed = unicodedata.normalize("NFKD", line.replace("’", "'")).lower()
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _parsed(
    line: str, type: str, mentions: Sequence[ObjectMention], groups: Mapping[str, str | None]
) -> ParsedQuestion:
    """A question that a pattern of this type matches with these groups."""
    subject, compared_with = (
        None if (number := groups.get(name)) is None else mentions[int(number)] for name in ("subject", "compared_with")
    )
    relation = groups.get("relation")
    if objection := _objection(mentions, subject, compared_with):
        return _unparsed(line, objection)
    if type == "comparison":
        if relation in _FEWER:
            subject, compared_with = compared_with, subject
        relation = "equal" if relation in _EQUAL else "more"
    elif type == "relation":
        relation = relation or "around"
    attribute = subject.attribute if subject else None
    names = (subject.name if subject else None, compared_with.name if compared_with else None)
    canonical = canonical_question(type, *names, relation, attribute)
    return ParsedQuestion(line, type, canonical, *names, relation, attribute)


def _objection(
    mentions: Sequence[ObjectMention], subject: ObjectMention | None, compared_with: ObjectMention | None
) -> str:
    """Why a question that is understood cannot be answered; empty where it can."""
    for mention in (subject, compared_with):
        if mention and not mention.known:
            names = ", ".join(_similar_names(mention.name))
            return f"the model was not trained to recognise {_quoted(mention)}; ask about one of: {names}"
    if unknown := _unknown_words(mentions):
        return f"{unknown} is not understood; ask, for example: {_suggestion(mentions)}"
    if subject and compared_with and subject.name == compared_with.name:
        return f"that compares an object with itself; ask, for example: {_suggestion(mentions)}"
    if subject and compared_with and (subject.attribute or compared_with.attribute):
        suggestion = canonical_question("comparison", subject.name, compared_with.name, "more")
        return f"objects are compared without their color or size; ask, for example: {suggestion}"
    return ""


def _why_not_understood(lexed: LexedQuestion) -> str:
    """Why no pattern matches a question."""
    tokens, mentions = lexed.tokens, lexed.mentions
    suggestion = _suggestion(mentions)
    if re.search(r"\b(?:who|when|why)\b", tokens):
        return f"an image does not show who, when or why; ask, for example: {suggestion}"
    if "measured" in tokens:
        return f"sizes, distances, ages and amounts are not measured; ask, for example: {suggestion}"
    if unknown := _unknown_words(mentions):
        return f"{unknown} is not understood; ask, for example: {suggestion}"
    if related := re.search(r"<\d+>.* \{([^}]+)\} <(\d+)>", tokens):
        suggestion = canonical_question("relation", mentions[int(related[2])].name, relation=related[1])
        return f"objects are found and counted in whole images only; ask, for example: {suggestion}"
    if len(mentions) > 1:
        return f"only one object can be asked about at a time; ask, for example: {suggestion}"
    return f"the question is not understood; ask something like: {suggestion}"


def _unknown_words(mentions: Sequence[ObjectMention]) -> str:
    return " and ".join(_quoted(mention) for mention in mentions if not mention.known)


def _quoted(mention: ObjectMention) -> str:
    return f'"{textwrap.shorten(mention.name, 40, placeholder="…")}"'


def _suggestion(mentions: Sequence[ObjectMention]) -> str:
    """A question that can be answered, about the first known object."""
    mention = next((mention for mention in mentions if mention.known), None)
    if mention is None:
        return _EXAMPLE
    type = "presence" if mention.name in MASS else "count"
    return canonical_question(type, mention.name, attribute=mention.attribute)


def _similar_names(word: str) -> list[str]:
    """Names of known objects: those that are spelled most like the word, and common ones."""
    similar = difflib.get_close_matches(word, sorted(set(NAMES.values()) - {"boat"}), n=2)
    return list(dict.fromkeys((*similar, *_COMMON_OBJECTS)))


def _unparsed(line: str, reason: str) -> ParsedQuestion:
    return ParsedQuestion(line, UNPARSED, "", reason=reason)
