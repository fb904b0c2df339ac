"""The words of a question → a few symbols, whatever the spelling.

    "How many white vesels can you see in the harbour?"  ──▶  "how many <0> can you see {in} <1>"
                                                              <0> = white ship, <1> = port

Words without a meaning in `question_vocabulary` count as things that the model was not taught.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rsmoe_core.questions.spelling import corrected
from rsmoe_core.questions.vocabulary import ADJECTIVES, KNOWN_WORDS, LONGEST, MEANINGS, TYPED_AMISS, names_thing
from rsmoe_core.words.lexicon import ATTRIBUTES


@dataclass(frozen=True)
class Thing:
    """A thing named in a question."""

    name: str
    """As in `lexicon`; of a thing that the model was not taught, as it was written."""
    attribute: str | None
    """The adjective right before it."""
    taught: bool
    """Whether the model was taught to recognise it."""


@dataclass(frozen=True)
class Wording:
    """A question in symbols."""

    symbols: str
    """Separated by single spaces; `<1>` is the thing at position 1."""
    things: Sequence[Thing]
    """All different things, in the order in which they are named."""


_IS = re.compile(r"\b(?:(what|where|there|that|here|how|who)'?s|(it)'s)\b")
_POSSESSIVE = re.compile(r"'(?:s\b|(?= |$))")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+")
# "in this picture" says nothing, but "what kind of place" asks
_IN_PICTURE = re.compile(r"(?<!kind)(?:^| )(?:of|for|from|\{in\}|\{on\}) (?:picture|place)(?= |$)")
_REQUEST = re.compile(r"^can you (?!see)")
_REPEATED = re.compile(r"(<\d+>) (?:and|or) \1(?= |$)")


def wording_of(question: str) -> Wording:
    """The question, which is in small letters, in symbols."""
    question = _POSSESSIVE.sub(" ", _IS.sub(r"\1\2 is", question))
    words = [word if word in KNOWN_WORDS else corrected(word, TYPED_AMISS) for word in _WORD.findall(question)]
    symbols: list[str] = []
    things: list[Thing] = []
    for meaning in _meanings(words):
        if meaning[0] not in "<?":
            symbols.append(meaning)
            continue
        attribute = symbols.pop() if symbols and symbols[-1] in ATTRIBUTES else None
        thing = Thing(meaning.strip("<?>"), attribute, taught=meaning[0] == "<")
        if thing not in things:
            things.append(thing)
        symbols.append(f"<{things.index(thing)}>")
    return Wording(_without_padding(" ".join(symbols)), things)


def _meanings(words: Sequence[str]) -> list[str]:
    """Of the longest spellings, without padding; "?polar bear" are words in a row that have none."""
    meanings: list[str] = []
    position = 0
    while position < len(words):
        stop, meaning = _longest(words, position)
        if meaning.startswith("?") and meanings and meanings[-1].startswith("?"):
            meanings[-1] += f" {words[position]}"
        elif meaning:
            meanings.append(meaning)
        position = stop
    return meanings


def _longest(words: Sequence[str], start: int) -> tuple[int, str]:
    """Where the longest spelling from here ends, and its meaning."""
    for stop in range(min(start + LONGEST, len(words)), start, -1):
        spelling = " ".join(words[start:stop])
        if spelling in ADJECTIVES and stop < len(words) and names_thing(words[stop]):
            return stop, spelling if spelling in ATTRIBUTES else f"?{spelling}"
        if spelling in MEANINGS:
            return stop, MEANINGS[spelling]
    return start + 1, f"?{words[start]}"


def _without_padding(symbols: str) -> str:
    symbols = _IN_PICTURE.sub("", symbols).strip()
    return _REPEATED.sub(r"\1", _REQUEST.sub("", symbols))
