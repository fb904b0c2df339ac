"""The words of a question → a line of tokens, whatever the spelling.

    "How many white vesels can you see in the harbour?"  ──▶  "how many <0> can you see {in} <1>"
                                                              <0> = white ship, <1> = port
    "Are there more than five ships?"                    ──▶  "is [at least 6] <0>"

Words that are not in the vocabulary count as objects that the model cannot recognise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rsmoe_core.questions.bounds import with_bounds
from rsmoe_core.questions.spelling import corrected
from rsmoe_core.questions.vocabulary import ADJECTIVES, Vocabulary, names_object, vocabulary
from rsmoe_core.words.lexicon import ATTRIBUTES


@dataclass(frozen=True)
class ObjectMention:
    """An object named in a question."""

    name: str
    """As in `lexicon`; if the object is not known, as it was written."""
    attribute: str | None
    """The adjective right before it."""
    known: bool
    """Whether the lexicon has it, so that the model may recognise it."""


@dataclass(frozen=True)
class LexedQuestion:
    """A question in tokens."""

    tokens: str
    """Separated by single spaces; `<1>` is the mention at position 1."""
    mentions: Sequence[ObjectMention]
    """All different objects, in the order in which they are named."""


_IS = re.compile(r"\b(?:(what|where|there|that|here|how|who)'?s|(it)'s)\b")
_BRACKET = re.compile(r"[][]")
_POSSESSIVE = re.compile(r"'(?:s\b|(?= |$))")
_WORD = re.compile(r"\[[^\]]*\]|[a-z]+(?:'[a-z]+)?|\d+")
# "in this picture" adds nothing, but "what kind of place" is the question itself
_IN_PICTURE = re.compile(r"(?<!kind)(?<!all)(?:^| )(?:of|for|from|\{in\}|\{on\}) (?:all )?(?:picture|place)(?= |$)")
_REQUEST = re.compile(r"^can you (?!see)")
_REPEATED = re.compile(r"(<\d+>) (?:and|or) \1(?= |$)")


def lex(question: str) -> LexedQuestion:
    """The tokens of a question in lower case."""
    question = with_bounds(_POSSESSIVE.sub(" ", _IS.sub(r"\1\2 is", _BRACKET.sub(" ", question))))
    known = vocabulary()
    words = [
        word if word in known.known_words else corrected(word, known.correctable) for word in _WORD.findall(question)
    ]
    tokens: list[str] = []
    mentions: list[ObjectMention] = []
    for token in _tokens(words, known):
        if token[0] not in "<?":
            tokens.append(token)
            continue
        attribute = tokens.pop() if tokens and tokens[-1] in ATTRIBUTES else None
        mention = ObjectMention(token.strip("<?>"), attribute, known=token[0] == "<")
        if mention not in mentions:
            mentions.append(mention)
        tokens.append(f"<{mentions.index(mention)}>")
    return LexedQuestion(_on_the_water(_without_padding(" ".join(tokens)), mentions), mentions)


def _tokens(words: Sequence[str], known: Vocabulary) -> list[str]:
    """The tokens of the longest spellings, without padding; "?polar bear" stands for unknown words in a row."""
    tokens: list[str] = []
    position = 0
    while position < len(words):
        stop, token = _longest(words, position, known)
        if token.startswith("?") and tokens and tokens[-1].startswith("?"):
            tokens[-1] += f" {token[1:]}"
        elif token:
            tokens.append(token)
        position = stop
    return tokens


def _longest(words: Sequence[str], start: int, known: Vocabulary) -> tuple[int, str]:
    """The end of the longest spelling from `start`, and its token."""
    if words[start].startswith("["):
        return start + 1, words[start]
    for stop in range(min(start + known.longest, len(words)), start, -1):
        spelling = " ".join(words[start:stop])
        if spelling in ADJECTIVES and stop < len(words) and names_object(words[stop]):
            return stop, spelling if spelling in ATTRIBUTES else f"?{spelling}"
        if spelling in known.tokens:
            return stop, known.tokens[spelling]
    return start + 1, f"?{words[start]}"


def _on_the_water(tokens: str, mentions: Sequence[ObjectMention]) -> str:
    """Without "on the water" where it is said of ships, which are nowhere else."""
    names = [mention.name for mention in mentions]
    if sorted(names) != ["ship", "water"]:
        return tokens
    return re.sub(rf"(?:^| )\{{(?:in|on)\}} <{names.index('water')}>(?= |$)", "", tokens).strip()


def _without_padding(tokens: str) -> str:
    tokens = _IN_PICTURE.sub("", tokens).strip()
    return _REPEATED.sub(r"\1", _REQUEST.sub("", tokens))
