"""Annotated pictures → questions with right answers, by documented rules, in the one wording that the model is taught.

    presence      yes: a sentence names the thing, or boxes show it. no: no sentence does, and the kind of place is none
                  where the thing may be without being told (`_MAY_HIDE`, `_ONLY_ABSENT_FROM`). Each thing gets as many
                  no as yes, so that neither is the cheap answer
    count         by boxes; by sentences where at least half of those that name the thing give one and the same number;
                  0 for a thing that is absent by the rule above
    comparison    a thing that is there against one that is absent, either way round
    location      of boxed things, on a grid of three by three
    relation      "what is near the stadium?", from what the sentences relate
    color         the colour that sentences give to a thing
    theme, rural_urban    from the kind of place

Questions that people asked of a picture come first, with the answers that people gave. They are read by
`question_reader`, so that each is put in the one wording too; what it cannot read is left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rsmoe_core.data.base import Boxes, Question, Sample, read_size
from rsmoe_core.data.targets import Told, told
from rsmoe_core.errors import UsageError
from rsmoe_core.metrics import answer_text
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.questions.types import Kind, canonical_question
from rsmoe_core.roles import ANSWERING
from rsmoe_core.words import locations
from rsmoe_core.words.lexicon import MASS

_WATERSIDE = ("port", "river", "beach", "sea", "coast", "resort", "bridge", "pond", "lake")
_GREEN = ("forest", "mountain", "river", "meadow", "park", "resort", "pond", "golf course", "chaparral", "farmland")
_SPORTS = (
    "baseball field",
    "golf course",
    "park",
    "playground",
    "school",
    "stadium",
    "tennis court",
    "center building",
)
_ROADS = ("viaduct", "overpass", "intersection", "freeway", "bridge", "railway station")
_TOWN = ("commercial area", "industrial area", "square", "school", "church", "center building", "stadium", "park")
_HOMES = ("dense residential area", "medium residential area", "sparse residential area", "mobile home park", "resort")

_MAY_HIDE: dict[str, tuple[str, ...]] = {
    "airplane": ("airport", "runway"),
    "airport": ("airport", "runway"),
    "baseball field": _SPORTS,
    "basketball court": (*_SPORTS, *_HOMES, *_TOWN),
    "beach": _WATERSIDE,
    "bridge": (*_WATERSIDE, *_ROADS, "park", "golf course"),
    "church": (*_TOWN, *_HOMES),
    "desert": ("desert", "bare land", "mountain", "chaparral"),
    "farmland": (*_GREEN, "bare land", "sparse residential area"),
    "football field": _SPORTS,
    "forest": (*_GREEN, "sparse residential area", "bridge"),
    "golf course": _GREEN,
    "mountain": (*_GREEN, "desert", "bare land", "beach"),
    "playground": (*_SPORTS, *_HOMES),
    "pond": (*_GREEN, *_WATERSIDE, *_HOMES, "square"),
    "port": _WATERSIDE,
    "railway": ("railway station", "industrial area", *_ROADS),
    "railway station": ("railway station",),
    "river": (*_GREEN, *_WATERSIDE),
    "runway": ("airport", "runway"),
    "sea": _WATERSIDE,
    "ship": _WATERSIDE,
    "stadium": _SPORTS,
    "storage tank": ("storage tanks", "industrial area", "port"),
    "swimming pool": (*_HOMES, *_TOWN, *_SPORTS, "beach", "pond"),
    "tennis court": (*_SPORTS, *_HOMES, *_TOWN),
    "viaduct": _ROADS,
}
"""Things that people tell of when they see them, and the kinds of place where they may have been passed over."""

_ONLY_ABSENT_FROM: dict[str, tuple[str, ...]] = {
    "building": ("desert", "sea", "forest", "chaparral", "bare land", "mountain"),
    "car": ("desert", "sea", "forest", "chaparral", "mountain", "meadow"),
    "grassland": ("desert", "sea"),
    "house": ("desert", "sea", "forest", "chaparral", "mountain", "runway"),
    "road": ("sea", "chaparral"),
    "tree": ("desert", "sea", "runway"),
    "water": ("desert", "runway", "chaparral", "dense residential area", "parking lot", "commercial area"),
}
"""Things so common that people do not tell of them, and the kinds of place where there are none."""

_URBAN = frozenset(_TOWN[:-1]) | {
    "city",
    "dense residential area",
    "medium residential area",
    "mobile home park",
    "parking lot",
    "railway station",
    "viaduct",
}
_RURAL = frozenset(("farmland", "forest", "meadow", "mountain", "desert", "bare land", "chaparral", "green land"))

_ONE_NAME = {"boat": "ship"}
"""Things that sentences tell apart and questions do not."""

_COLORS = frozenset(("green", "white", "yellow", "red", "blue", "gray", "grey", "brown", "black"))
_MOST_PARTS = 3


@dataclass(frozen=True)
class _Facts:
    """What is known of a picture."""

    sample: Sample
    told: Told

    @property
    def present(self) -> tuple[str, ...]:
        """Things that are there."""
        boxes = self.sample.boxes
        named = [_ONE_NAME.get(name, name) for name in self.told.named]
        return tuple(dict.fromkeys([*named, *([boxes.label] if boxes and boxes.cxcywh else [])]))

    def lacks(self, thing: str) -> bool:
        """Whether the thing is absent for certain."""
        scene, boxes = self.sample.scene_class, self.sample.boxes
        if thing in self.present:
            return False
        if boxes is not None and boxes.label == thing:
            return not boxes.cxcywh
        if scene is None:
            return False
        if thing in _MAY_HIDE:
            return scene not in _MAY_HIDE[thing]
        return scene in _ONLY_ABSENT_FROM.get(thing, ())


def questions_of(samples: Sequence[Sample], seed: int = 0) -> list[tuple[Question, ...]]:
    """For each sample its questions in the model's wording, each text once; those of people come first."""
    rng = np.random.default_rng(seed)
    facts = [_Facts(sample, told(sample.captions)) for sample in samples]
    asked: list[list[Question]] = [[*_of_people(f.sample), *_of_one(f)] for f in facts]
    for number, question in _absences(facts, rng):
        asked[number].append(question)
    return [tuple({q.text: q for q in reversed(own)}.values())[::-1] for own in asked]


def asked_of(samples: Sequence[Sample]) -> tuple[list[tuple[Question, ...]], list[str]]:
    """For each sample the questions that people asked of it, in the model's wording; and the texts of those that no
    expert could answer, which are left out.
    """
    read = [[(question.text, _in_one_wording(question)) for question in sample.questions] for sample in samples]
    unread = [text for own in read for text, question in own if question is None]
    return [tuple(question for _, question in own if question is not None) for own in read], unread


def lacking(sample: Sample, things: Iterable[str]) -> list[str]:
    """Those of the things that a picture lacks for certain."""
    facts = _Facts(sample, told(sample.captions))
    return [thing for thing in things if facts.lacks(thing)]


def where(boxes: Boxes, width: int, height: int) -> str:
    """The parts of a picture of this size that hold the most things: "upper left, center"."""
    named = locations.words(((x, y) for x, y, _, _ in boxes.cxcywh), width, height)
    return ", ".join(named[:_MOST_PARTS])


def _of_people(sample: Sample) -> Iterator[Question]:
    read = (_in_one_wording(question) for question in sample.questions)
    # Themes follow from the kind of place, in one naming.
    return (question for question in read if question is not None and question.type != "theme")


def _in_one_wording(question: Question) -> Question | None:
    """None where the question cannot be read, or is not one for experts, as a picture is described by fusion."""
    try:
        parsed = parse_question(question.text)
    except UsageError:
        return None
    return Question(parsed.canonical, _in_digits(question), parsed.type) if parsed.type in ANSWERING else None


def _in_digits(question: Question) -> str:
    value = answer_text.number(question.answer) if question.type == "count" else None
    return question.answer if value is None else f"{value:.0f}"


def _question(kind: Kind, answer: str, thing: str | None = None, **parts: str) -> Question:
    return Question(canonical_question(kind, thing, **parts), answer, kind)


def _of_one(facts: _Facts) -> Iterator[Question]:
    """What a picture says by itself."""
    sample = facts.sample
    if sample.scene_class:
        yield _question("theme", sample.scene_class)
        if sample.scene_class in _URBAN | _RURAL:
            yield _question("rural_urban", "urban" if sample.scene_class in _URBAN else "rural")
    for thing in facts.present:
        if thing in _MAY_HIDE or thing in _ONLY_ABSENT_FROM:
            yield _question("presence", "yes", thing)
    if sample.boxes is not None:
        yield from _of_boxes(sample, sample.boxes)
    yield from _of_sentences(facts.told)


def _of_boxes(sample: Sample, boxes: Boxes) -> Iterator[Question]:
    yield _question("count", str(len(boxes.cxcywh)), boxes.label)
    if boxes.cxcywh:
        yield _question("location", where(boxes, *read_size(sample.image)), boxes.label)


def _of_sentences(said: Told) -> Iterator[Question]:
    for name, words in said.attributes.items():
        colors = [word for word in words if word in _COLORS]
        if colors:
            yield _question("color", Counter(colors).most_common(1)[0][0], _ONE_NAME.get(name, name))
    for name, words in said.amounts.items():
        word, times = Counter(words).most_common(1)[0]
        number = answer_text.number(word)
        # "one" and "a" are said of what is told of, and not of how many there are
        if number is not None and number > 1 and 2 * times >= said.named[name]:
            yield _question("count", f"{number:.0f}", _ONE_NAME.get(name, name))
    for left, relation, right in said.relations:
        thing = re.sub(r"^the ", "", right)
        if thing in said.singular:
            name = said.singular[thing]
            yield _question("relation", left, _ONE_NAME.get(name, name), relation=relation)


def _absences(facts: Sequence[_Facts], rng: np.random.Generator) -> Iterator[tuple[int, Question]]:
    """(number of the picture, question) about things that are not there: for each yes one no, of the same thing."""
    present: dict[str, list[int]] = defaultdict(list)
    for number, own in enumerate(facts):
        for thing in own.present:
            present[thing].append(number)
    for thing in sorted((*_MAY_HIDE, *_ONLY_ABSENT_FROM)):
        lacking = np.array([number for number, own in enumerate(facts) if own.lacks(thing)])
        for number in rng.permutation(lacking)[: len(present[thing])].tolist():
            yield number, _question("presence", "no", thing)
            if thing in ("ship", "airplane"):
                yield number, _question("count", "0", thing)
            others = [name for name in facts[number].present if name in _ONLY_ABSENT_FROM or name in _MAY_HIDE]
            others = [name for name in others if name not in MASS]
            if others and thing not in MASS:
                other = others[int(rng.integers(len(others)))]
                more, less = (thing, other) if rng.random() < 0.5 else (other, thing)
                answer = "no" if more == thing else "yes"
                yield number, _question("comparison", answer, more, other=less, relation="more")
