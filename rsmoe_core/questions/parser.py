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
from rsmoe_core.questions.bounds import NONE
from rsmoe_core.questions.lexer import LexedQuestion, ObjectMention, lex
from rsmoe_core.questions.types import QUESTION_TYPES, UNPARSED, ParsedQuestion, canonical_question
from rsmoe_core.questions.vocabulary import FOREIGN, KINDS, STATES
from rsmoe_core.words.grammar import plural
from rsmoe_core.words.lexicon import MASS, NAMES

MAX_CHARACTERS = 500
"""Length of the longest question that is read."""

_EXAMPLE = "how many ships are there?"
_ONLY_ENGLISH = f"only English is understood; ask something like: {_EXAMPLE}"
_MAX_WORDS = 20
"""Words of a question among which the one too many is looked for."""
_RELATED = re.compile(
    r"<\d+>.* \{(?P<relation>[^}]+)\} <(?P<object>\d+)>"  # ships in the port
    r"|^(?:if )?\{(?P<before>[^}]+)\} <(?P<place>\d+)>"  # in the port, how many ships
    r"|^(?:if )?do <(?P<whole>\d+)> have <"  # does the port have ships
)
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
        return _unparsed(line, _ONLY_ENGLISH)
    lexed = lex(letters)
    if strange := _without_a_known_word(lexed):
        return _unparsed(line, f"{strange} is not understood; ask in English, something like: {_EXAMPLE}")
    if found := _match(lexed):
        type, groups = found
        return _parsed(line, type, lexed.mentions, groups)
    if reason := _beyond_images(lexed):
        return _unparsed(line, reason, beyond_images=True)
    return _unparsed(line, _why_not_understood(letters, lexed))


def _match(lexed: LexedQuestion) -> tuple[str, Mapping[str, str | None]] | None:
    """The first type with a pattern that matches, and the groups of the match."""
    for question_type in QUESTION_TYPES.values():
        for pattern in question_type.patterns:
            if match := re.fullmatch(pattern, lexed.tokens):
                return question_type.name, match.groupdict()
    return None


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
    if type == "threshold" and relation != NONE and subject and subject.name in MASS:
        return _unparsed(line, f"{subject.name} is not counted; ask, for example: {_suggestion(mentions)}")
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
    if foreign := _foreign(mentions):
        return foreign
    if kind := _kind(mentions):
        return kind
    for mention in (subject, compared_with):
        if mention and not mention.known:
            names = ", ".join(_similar_names(mention.name))
            return f"the model was not trained to recognise {_quoted(mention)}; ask about one of: {names}"
    if _unknown_words(mentions):
        return _unknown_reason(mentions)
    if subject and compared_with and subject.name == compared_with.name:
        return f"that compares an object with itself; ask, for example: {_suggestion(mentions)}"
    if subject and compared_with and (subject.attribute or compared_with.attribute):
        suggestion = canonical_question("comparison", subject.name, compared_with.name, "more")
        return f"objects are compared without their colour or size; ask, for example: {suggestion}"
    return ""


def _beyond_images(lexed: LexedQuestion) -> str:
    """Why no image shows what a question asks for; empty where one may."""
    tokens, suggestion = lexed.tokens, _suggestion(lexed.mentions)
    if _foreign(lexed.mentions):
        return ""
    if re.search(r"\b(?:who|when|why)\b", tokens):
        return f"an image does not show who, when or why; ask, for example: {suggestion}"
    if "measured" in tokens:
        return f"sizes, distances, ages and amounts are not measured; ask, for example: {suggestion}"
    if re.search(r"^what (?:is )?(?:urban|rural)\b", tokens) and not _unknown_words(lexed.mentions):
        return "an image does not show names; ask, for example: is this a rural or an urban area?"
    return ""


def _why_not_understood(letters: str, lexed: LexedQuestion) -> str:
    """Why no pattern matches a question."""
    tokens, mentions = lexed.tokens, lexed.mentions
    suggestion = _suggestion(mentions)
    if foreign := _foreign(mentions):
        return foreign
    if kind := _kind(mentions):
        return kind
    if _unknown_words(mentions):
        return _unknown_reason(mentions)
    if related := _RELATED.search(tokens):
        relation, number = related["relation"] or related["before"] or "in", related["object"] or related["place"]
        return _not_in_parts(letters, relation, mentions[int(number or related["whole"])].name)
    if re.search(r"\b(?:greater|lesser)\b", tokens):
        return f"sizes are not compared; ask, for example: {suggestion}"
    if len(mentions) > 1:
        return f"only one object can be asked about at a time; ask, for example: {suggestion}"
    if mentions and (word := _word_too_many(letters)):
        return f'"{word}" changes the question, and is not understood here; ask, for example: {suggestion}'
    return f"the question is not understood; ask something like: {suggestion}"


def _not_in_parts(letters: str, relation: str, name: str) -> str:
    suggestion = canonical_question("relation", name, relation=relation)
    place = f'"{_as_written(letters, relation, name)}" cannot be answered'
    return f"{place}: objects are found and counted in whole images only; ask, for example: {suggestion}"


def _as_written(letters: str, relation: str, name: str) -> str:
    """The words of a question that mean this relation to this object."""
    words = letters.rstrip(" ?.!").split()[:_MAX_WORDS]
    for length in range(2, 6):
        for start in range(len(words) - length + 1):
            phrase = " ".join(words[start : start + length]).strip(",;:")
            lexed = lex(phrase)
            if lexed.tokens == f"{{{relation}}} <0>" and lexed.mentions[0].name == name:
                return phrase
    return f"{relation} the {name}"


def _word_too_many(letters: str) -> str | None:
    """The word, or the two in a row, without which a question would be understood."""
    words = letters.rstrip(" ?.!").split()[:_MAX_WORDS]
    for length in (1, 2):
        for start in range(len(words) - length + 1):
            if _match(lex(" ".join(words[:start] + words[start + length :]))):
                return " ".join(words[start : start + length]).strip(",;:")
    return None


def _foreign(mentions: Sequence[ObjectMention]) -> str:
    """The reason where several unknown words are those of another language; else empty."""
    words = {word for mention in mentions if not mention.known for word in mention.name.split()}
    return _ONLY_ENGLISH if len(words & FOREIGN) > 1 else ""


def _kind(mentions: Sequence[ObjectMention]) -> str:
    """The reason where a kind or a part of an object is named; else empty."""
    for mention in mentions:
        if name := KINDS.get(mention.name) if not mention.known else None:
            example = canonical_question("count", name)
            return f"the model knows {plural(name)} in general, but not {_quoted(mention)}; ask, for example: {example}"
    return ""


def _without_a_known_word(lexed: LexedQuestion) -> str:
    """A question of which no word is known, unless it may be a name of two words; else empty."""
    if lexed.tokens != "<0>" or lexed.mentions[0].known or _foreign(lexed.mentions):
        return ""
    words = set(lexed.mentions[0].name.split())
    is_foreign = len(words) > 1 and not FOREIGN.isdisjoint(words)
    return _quoted(lexed.mentions[0]) if len(words) > 2 or is_foreign else ""


def _unknown_reason(mentions: Sequence[ObjectMention]) -> str:
    suggestion, unknown = _suggestion(mentions), _unknown_words(mentions)
    if all(mention.known or mention.name in STATES for mention in mentions):
        return f"what objects do, such as {' and '.join(unknown)}, cannot be answered; ask, for example: {suggestion}"
    verb = "is" if len(unknown) == 1 else "are"
    return f"{' and '.join(unknown)} {verb} not understood; ask, for example: {suggestion}"


def _unknown_words(mentions: Sequence[ObjectMention]) -> list[str]:
    return [_quoted(mention) for mention in mentions if not mention.known]


def _quoted(mention: ObjectMention) -> str:
    return f'"{textwrap.shorten(mention.name, 40, placeholder="…")}"'


def _suggestion(mentions: Sequence[ObjectMention]) -> str:
    """A question that can be answered, about the first known object."""
    mention = next((mention for mention in mentions if mention.known), None)
    if mention is None:
        return _EXAMPLE
    return canonical_question("presence" if mention.name in MASS else "count", mention.name)


def _similar_names(word: str) -> list[str]:
    """Names of known objects: those that are spelled most like the word, and common ones."""
    similar = difflib.get_close_matches(word, sorted(set(NAMES.values()) - {"boat"}), n=2)
    return list(dict.fromkeys((*similar, *_COMMON_OBJECTS)))


def _unparsed(line: str, reason: str, beyond_images: bool = False) -> ParsedQuestion:
    return ParsedQuestion(line, UNPARSED, "", reason=reason, beyond_images=beyond_images)
