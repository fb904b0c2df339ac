"""What each part of the model should write for a picture, derived from its annotations by rule.

The sentences are read word by word with the fixed `lexicon`; nothing is learned and nothing is guessed from pixels.

    theme       the scene class; where there is none, the kind of place that most sentences name
    objects     the things named, most often named first, each with its commonest amount and attribute:
                "two white airplanes, many cars, a runway"
    relations   what stands where to what, most often said first: "trees around playground; cars in parking lot"
    prompts     what the Instruction Router should ask each expert. They follow from the drafts above: which family of
                places, which things to count or describe, which relation to look at.

A rule that finds nothing gives an empty text, and the picture is then left out of that expert's lessons.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rsmoe_core.data.base import Sample
from rsmoe_core.roles import DEFAULT_PROMPTS
from rsmoe_core.words.grammar import plural
from rsmoe_core.words.lexicon import (
    ASKS_ABOUT_SUBJECT,
    ATTRIBUTES,
    COUNTED,
    FAMILIES,
    LONGEST_SPELLING,
    MASS,
    NAMES,
    PRONOUNS,
    QUANTITIES,
    QUESTIONS,
    RELATIONS,
    SINGULAR_IN_S,
)

MAX_OBJECTS = 4
MAX_RELATIONS = 2

# How many words before a thing may hold its amount and attributes.
_REACH = 4
# How many words may stand between a thing and the relation it takes part in.
_GAP = 6


@dataclass(frozen=True)
class Targets:
    """Texts to learn from for one picture; an empty text means that the annotation does not say."""

    theme: str
    objects: str
    relations: str
    prompts: Mapping[str, str]
    """Router prompt for each expert, by name."""


@dataclass(frozen=True)
class _Mention:
    """A thing named in a sentence."""

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
    """What was understood of a sentence; things and links from left to right, never overlapping."""

    words: Sequence[str]
    things: Sequence[_Mention]
    links: Sequence[_Link]


@dataclass(frozen=True)
class Told:
    """What the sentences about a picture say of single things."""

    named: Mapping[str, int]
    """Thing → number of sentences that name it."""
    amounts: Mapping[str, Sequence[str]]
    """Thing → the word of each sentence that says how many."""
    attributes: Mapping[str, Sequence[str]]
    """Thing → the adjective of each sentence that gives it one."""
    relations: Sequence[tuple[str, str, str]]
    """(thing, relation, thing), most often said first; plural where there are several."""
    singular: Mapping[str, str]
    """The name of a thing as it stands in the relations → its singular."""


def told(captions: Sequence[str]) -> Told:
    """What sentences say, thing by thing."""
    sentences = [_read(caption) for caption in captions]
    mentions = [mention for sentence in sentences for mention in sentence.things]
    amounts: dict[str, list[str]] = defaultdict(list)
    attributes: dict[str, list[str]] = defaultdict(list)
    for mention in mentions:
        if mention.quantity:
            amounts[mention.name].append(mention.quantity)
        if mention.attribute:
            attributes[mention.name].append(mention.attribute)
    return Told(
        named=Counter(name for sentence in sentences for name in dict.fromkeys(m.name for m in sentence.things)),
        amounts=amounts,
        attributes=attributes,
        relations=_relations(sentences),
        singular={_numbered(m): m.name for m in mentions},
    )


def derive(sample: Sample) -> Targets:
    """All targets of one sample."""
    sentences = [_read(caption) for caption in sample.captions]
    mentions = [sentence.things for sentence in sentences]
    ranked = _ranked_things(mentions)
    relations = _relations(sentences)
    theme = sample.scene or next((name for name in ranked if name in FAMILIES), "")
    phrases = [_phrase(name, mentions) for name in ranked[:MAX_OBJECTS]]
    prompts = {
        "theme": _theme_prompt(theme),
        "objects": _objects_prompt(ranked[:MAX_OBJECTS], phrases),
        "relations": _relations_prompt(relations),
    }
    return Targets(
        theme=theme,
        objects=sample.objects or ", ".join(phrases),
        relations="; ".join(" ".join(triple) for triple in relations),
        prompts=prompts,
    )


def _read(caption: str) -> _Sentence:
    """Names and relations by their longest spellings: in "in the center of" nobody named a center."""
    words = re.findall(r"[a-z][a-z'-]*|\d+", caption.lower())
    things: list[_Mention] = []
    links: list[_Link] = []
    position = 0
    while position < len(words):
        for stop in range(min(position + LONGEST_SPELLING, len(words)), position, -1):
            spelling = " ".join(words[position:stop])
            if spelling in RELATIONS:
                links.append(_Link(RELATIONS[spelling], position, stop))
                break
            # "a square building": a name that is an attribute of the next
            is_attribute = spelling in ATTRIBUTES and stop < len(words) and words[stop] in NAMES
            if spelling in NAMES and not is_attribute:
                things.append(_mention(NAMES[spelling], words, things[-1].stop if things else 0, position, stop))
                break
        position = stop  # one word on where nothing starts here
    return _Sentence(words, things, links)


def _mention(name: str, words: Sequence[str], reach: int, start: int, stop: int) -> _Mention:
    """A thing with the amount nearest before it and the attribute nearest between the two.

    "a large number of small cars" are many small cars. `reach` is where the last thing's words end.
    """
    before = words[max(reach, start - _REACH) : start]
    amount_at = next((i for i in reversed(range(len(before))) if before[i] in QUANTITIES), None)
    quantity = "" if amount_at is None else QUANTITIES[before[amount_at]]
    own = before if amount_at is None else before[amount_at + 1 :]
    attribute = next((w for w in reversed(own) if w in ATTRIBUTES), "")
    plural = words[stop - 1].endswith("s") and words[stop - 1] not in SINGULAR_IN_S
    if plural and quantity in ("", "a", "one"):  # "a row of cars", "cars": more than one, nobody said how many
        quantity = "some"
    return _Mention(name, start, stop, quantity, attribute)


def _ranked_things(mentions: Sequence[Sequence[_Mention]]) -> list[str]:
    """Names by the number of sentences that hold them; ties go to what is named first."""
    counts: Counter[str] = Counter()
    for sentence in mentions:
        counts.update({m.name: None for m in sentence}.keys())
    return [name for name, _ in counts.most_common()]


def _phrase(name: str, mentions: Sequence[Sequence[_Mention]]) -> str:
    """ "two white airplanes": the commonest amount and attribute with which the thing is named."""
    own = [m for sentence in mentions for m in sentence if m.name == name]
    quantity = _commonest(m.quantity for m in own)
    attribute = _commonest(m.attribute for m in own)
    attribute = "" if attribute in name.split() else attribute
    if name in MASS:
        return " ".join(filter(None, (attribute, name)))
    many = quantity in COUNTED
    article = quantity if many else "an" if (attribute or name)[0] in "aeiou" else "a"
    return " ".join(filter(None, (article, attribute, plural(name) if many else name)))


def _commonest(values: Iterable[str]) -> str:
    counts = Counter(value for value in values if value)
    return counts.most_common(1)[0][0] if counts else ""


def _relations(sentences: Sequence[_Sentence]) -> list[tuple[str, str, str]]:
    """(thing, relation, thing), by the number of sentences that say it."""
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
        left = [t for t in sentence.things if t.stop <= link.start and link.start - t.stop <= _GAP]
        right = [t for t in sentence.things if t.start >= link.stop and t.start - link.stop <= _GAP]
        if left and right and left[-1].name != right[0].name:
            triples.append((_joined(left[-2:], words), link.relation, _numbered(right[0])))
    return triples


def _joined(things: Sequence[_Mention], words: Sequence[str]) -> str:
    """ "buildings and trees" where the last two things are joined by "and", else the last thing."""
    last = things[-1]
    if len(things) == 2 and "and" in words[things[0].stop : last.start] and things[0].name != last.name:
        return f"{_numbered(things[0])} and {_numbered(last)}"
    return _numbered(last)


def _numbered(thing: _Mention) -> str:
    return plural(thing.name) if thing.quantity in COUNTED and thing.name not in MASS else thing.name


def _theme_prompt(theme: str) -> str:
    family = FAMILIES.get(theme)
    return f"name the kind of {family}" if family else DEFAULT_PROMPTS["theme"]


def _objects_prompt(names: Sequence[str], phrases: Sequence[str]) -> str:
    """ "count the airplanes and cars, describe the runway"."""
    asked: dict[str, list[str]] = defaultdict(list)
    for name, phrase in zip(names[:3], phrases, strict=False):
        countable = phrase.split()[0] in COUNTED and name not in MASS
        asked["count the" if countable else "describe the"].append(plural(name) if countable else name)
    wishes = [f"{verb} {' and '.join(things)}" for verb, things in asked.items()]
    return ", ".join(wishes) or DEFAULT_PROMPTS["objects"]


def _relations_prompt(relations: Sequence[tuple[str, str, str]]) -> str:
    for left, relation, right in relations:
        if relation in QUESTIONS:
            return QUESTIONS[relation].format(left if relation in ASKS_ABOUT_SUBJECT else right)
    return DEFAULT_PROMPTS["relations"]
