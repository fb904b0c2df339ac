"""Captions → facts: which objects they name, how many, with which attributes, and how the objects are related.

Sentences are read word by word with the fixed `lexicon`; nothing is learned. The facts are used to derive training
targets (`expert_targets`) and to make questions with right answers (`rsmoe_core.data.qa`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rsmoe_core.words.grammar import article, plural
from rsmoe_core.words.lexicon import (
    ATTRIBUTES,
    COUNTED,
    LONGEST_SPELLING,
    MASS,
    NAMES,
    PRONOUNS,
    QUANTITIES,
    RELATIONS,
    SINGULAR_IN_S,
)

MAX_RELATIONS = 2
"""Number of relations in the facts."""
_WORDS_BEFORE = 4
"""Words before an object's name that may hold its amount and attributes."""
_GAP = 6
"""Words that may stand between an object and the relation it takes part in."""


@dataclass(frozen=True)
class CaptionFacts:
    """What the captions of one image say about single objects."""

    named: Mapping[str, int]
    """Object → number of sentences that name it, in the order in which they are first named."""
    amounts: Mapping[str, Sequence[str]]
    """Object → the word of each sentence that gives its amount."""
    attributes: Mapping[str, Sequence[str]]
    """Object → the adjective of each sentence that gives it one."""
    relations: Sequence[tuple[str, str, str]]
    """(object, relation, object), most frequent first; plural where there are several."""
    singular: Mapping[str, str]
    """Name of an object as it stands in the relations → its singular."""
    phrases: Mapping[str, str]
    """Object → its most frequent amount and attribute with its name: "two white airplanes"."""

    @property
    def ranked(self) -> list[str]:
        """Objects by the number of sentences that name them; ties go to what is named first."""
        return sorted(self.named, key=lambda name: -self.named[name])


def read_captions(captions: Sequence[str]) -> CaptionFacts:
    """What the sentences say, object by object."""
    sentences = [_read(caption) for caption in captions]
    mentions = [mention for sentence in sentences for mention in sentence.objects]
    amounts: dict[str, list[str]] = defaultdict(list)
    attributes: dict[str, list[str]] = defaultdict(list)
    for mention in mentions:
        if mention.quantity:
            amounts[mention.name].append(mention.quantity)
        if mention.attribute:
            attributes[mention.name].append(mention.attribute)
    named = Counter(name for sentence in sentences for name in dict.fromkeys(m.name for m in sentence.objects))
    return CaptionFacts(
        named=named,
        amounts=amounts,
        attributes=attributes,
        relations=_relations(sentences),
        singular={_numbered(m): m.name for m in mentions},
        phrases={name: _phrase(name, mentions) for name in named},
    )


@dataclass(frozen=True)
class _Mention:
    """An object named in a sentence."""

    name: str
    start: int
    """Position of its first word."""
    stop: int
    """Position after its last word."""
    quantity: str
    """"" where the sentence gives none."""
    attribute: str
    """"" where the sentence gives none."""


@dataclass(frozen=True)
class _Link:
    """Words of a sentence that relate what is named before them to what is named after them."""

    relation: str
    start: int
    """Position of its first word."""
    stop: int
    """Position after its last word."""


@dataclass(frozen=True)
class _Sentence:
    """What was understood of a sentence; objects and links from left to right, never overlapping."""

    words: Sequence[str]
    objects: Sequence[_Mention]
    links: Sequence[_Link]


def _read(caption: str) -> _Sentence:
    """Names and relations by their longest spellings: "in the center of" does not name a center."""
    words = re.findall(r"[a-z][a-z'-]*|\d+", caption.lower())
    objects: list[_Mention] = []
    links: list[_Link] = []
    position = 0
    while position < len(words):
        for stop in range(min(position + LONGEST_SPELLING, len(words)), position, -1):
            spelling = " ".join(words[position:stop])
            if spelling in RELATIONS:
                links.append(_Link(RELATIONS[spelling], position, stop))
                break
            # "a square building": a name that is an attribute of the next one
            is_attribute = spelling in ATTRIBUTES and stop < len(words) and words[stop] in NAMES
            if spelling in NAMES and not is_attribute:
                previous_stop = objects[-1].stop if objects else 0
                objects.append(_mention(NAMES[spelling], words, previous_stop, position, stop))
                break
        position = stop  # one word on where nothing starts here
    return _Sentence(words, objects, links)


def _mention(name: str, words: Sequence[str], previous_stop: int, start: int, stop: int) -> _Mention:
    """An object with the amount nearest before it and the attribute nearest between the two.

    "a large number of small cars" are many small cars. `previous_stop` is the position after the previous object.
    """
    before = words[max(previous_stop, start - _WORDS_BEFORE) : start]
    amount_at = next((i for i in reversed(range(len(before))) if before[i] in QUANTITIES), None)
    quantity = "" if amount_at is None else QUANTITIES[before[amount_at]]
    between = before if amount_at is None else before[amount_at + 1 :]
    attribute = next((w for w in reversed(between) if w in ATTRIBUTES), "")
    is_plural = words[stop - 1].endswith("s") and words[stop - 1] not in SINGULAR_IN_S
    if is_plural and quantity in ("", "a", "one"):  # "a row of cars", "cars": more than one, number unknown
        quantity = "some"
    return _Mention(name, start, stop, quantity, attribute)


def _phrase(name: str, mentions: Sequence[_Mention]) -> str:
    """ "two white airplanes": the most frequent amount and attribute of an object with its name."""
    same = [m for m in mentions if m.name == name]
    quantity = _most_frequent(m.quantity for m in same)
    attribute = _most_frequent(m.attribute for m in same)
    attribute = "" if attribute in name.split() else attribute
    if name in MASS:
        return " ".join(filter(None, (attribute, name)))
    many = quantity in COUNTED
    determiner = quantity if many else article(attribute or name)
    return " ".join(filter(None, (determiner, attribute, plural(name) if many else name)))


def _most_frequent(values: Iterable[str]) -> str:
    counts = Counter(value for value in values if value)
    return counts.most_common(1)[0][0] if counts else ""


def _relations(sentences: Sequence[_Sentence]) -> list[tuple[str, str, str]]:
    """(object, relation, object), by the number of sentences that state it."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for sentence in sentences:
        counts.update(dict.fromkeys(_relations_in(sentence)).keys())
    chosen: list[tuple[str, str, str]] = []
    for triple, _ in counts.most_common():
        if len(chosen) < MAX_RELATIONS and not any({triple[0], triple[2]} == {t[0], t[2]} for t in chosen):
            chosen.append(triple)
    return chosen


def _relations_in(sentence: _Sentence) -> list[tuple[str, str, str]]:
    words, triples = sentence.words, []
    for link in sentence.links:
        if link.stop < len(words) and words[link.stop] in PRONOUNS:
            continue
        left = [t for t in sentence.objects if t.stop <= link.start and link.start - t.stop <= _GAP]
        right = [t for t in sentence.objects if t.start >= link.stop and t.start - link.stop <= _GAP]
        if left and right and left[-1].name != right[0].name:
            triples.append((_joined(left[-2:], words), link.relation, _numbered(right[0])))
    return triples


def _joined(objects: Sequence[_Mention], words: Sequence[str]) -> str:
    """ "buildings and trees" where "and" joins the last two objects, else the last object."""
    first, last = objects[0], objects[-1]
    if len(objects) == 2 and "and" in words[first.stop : last.start] and first.name != last.name:
        return f"{_numbered(first)} and {_numbered(last)}"
    return _numbered(last)


def _numbered(mention: _Mention) -> str:
    """The name, plural where there are several."""
    return plural(mention.name) if mention.quantity in COUNTED and mention.name not in MASS else mention.name
