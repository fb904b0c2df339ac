"""Annotated images → questions with right answers, made by documented rules, in the canonical wording.

    presence      yes: a caption names the object, or boxes show it. no: no caption does, and the scene class is none
                  where the object may be present unmentioned (`_MAY_BE_UNMENTIONED`, `_ABSENT_FROM`). Each object gets
                  as many no as yes, so that neither is the better guess
    count         from boxes; from captions if at least half of those that name the object give the same number;
                  0 for an object that is absent by the rule above
    comparison    an object that is present with one that is absent, in either order
    location      of boxed objects, on a grid of three by three cells
    relation      "what is near the stadium?", from the relations in captions
    color         the colour that captions give to an object
    theme, rural_urban    from the scene class

Questions that people asked about an image come first, with the answers that people gave. The parser puts them in the
canonical wording too; what it cannot parse is left out. `TRAINING_QUESTIONS` is the registry of the rules.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rsmoe_core.data.base import Question, Sample, read_size
from rsmoe_core.errors import UsageError
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.questions.types import answering_experts, canonical_question
from rsmoe_core.words import locations
from rsmoe_core.words.lexicon import MASS
from rsmoe_core.words.numbers import number
from rsmoe_core.words.sentences import CaptionFacts, read_captions

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

_MAY_BE_UNMENTIONED: dict[str, tuple[str, ...]] = {
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
"""Objects that people mention when they see them → scene classes of images where they may be present unmentioned."""

_ABSENT_FROM: dict[str, tuple[str, ...]] = {
    "building": ("desert", "sea", "forest", "chaparral", "bare land", "mountain"),
    "car": ("desert", "sea", "forest", "chaparral", "mountain", "meadow"),
    "grassland": ("desert", "sea"),
    "house": ("desert", "sea", "forest", "chaparral", "mountain", "runway"),
    "road": ("sea", "chaparral"),
    "tree": ("desert", "sea", "runway"),
    "water": ("desert", "runway", "chaparral", "dense residential area", "parking lot", "commercial area"),
}
"""Objects so common that people do not mention them → scene classes of images where there are none."""

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

_MERGED = {"boat": "ship"}
"""Objects that captions distinguish and questions do not."""

_COLOURS = frozenset(("green", "white", "yellow", "red", "blue", "gray", "grey", "brown", "black"))


@dataclass(frozen=True)
class ImageFacts:
    """What the annotations of an image say about its objects."""

    sample: Sample
    captions: CaptionFacts

    @classmethod
    def of(cls, sample: Sample) -> ImageFacts:
        """From the annotations as they are."""
        return cls(sample, read_captions(sample.captions))

    @property
    def present(self) -> tuple[str, ...]:
        """Objects that are present."""
        boxes = self.sample.boxes
        named = [_MERGED.get(name, name) for name in self.captions.named]
        return tuple(dict.fromkeys([*named, *([boxes.label] if boxes and boxes.cxcywh else [])]))

    def lacks(self, name: str) -> bool:
        """Whether the object is certainly absent."""
        scene_class, boxes = self.sample.scene_class, self.sample.boxes
        if name in self.present:
            return False
        if boxes is not None and boxes.label == name:
            return not boxes.cxcywh
        if scene_class is None:
            return False
        if name in _MAY_BE_UNMENTIONED:
            return scene_class not in _MAY_BE_UNMENTIONED[name]
        return scene_class in _ABSENT_FROM.get(name, ())


TRAINING_QUESTIONS: list[Callable[[ImageFacts], Iterable[Question]]] = []
"""Functions that make the questions of one type from one image, in the order in which the questions are listed."""


def training_questions(
    make: Callable[[ImageFacts], Iterable[Question]],
) -> Callable[[ImageFacts], Iterable[Question]]:
    """Register a function that makes the training questions of a question type."""
    TRAINING_QUESTIONS.append(make)
    return make


def questions_of(samples: Sequence[Sample], seed: int = 0) -> list[tuple[Question, ...]]:
    """The questions of each sample in canonical wording, each text once; those that people asked come first."""
    rng = np.random.default_rng(seed)
    facts = [ImageFacts.of(sample) for sample in samples]
    questions: list[list[Question]] = [
        [*_asked_by_people(image.sample), *(question for make in TRAINING_QUESTIONS for question in make(image))]
        for image in facts
    ]
    for position, question in _about_absent_objects(facts, rng):
        questions[position].append(question)
    return [tuple({q.text: q for q in reversed(listed)}.values())[::-1] for listed in questions]


def annotated_questions(samples: Sequence[Sample]) -> tuple[list[tuple[Question, ...]], list[str]]:
    """The questions that people asked about each sample, in canonical wording; and the texts of those that are left
    out because no expert can answer them.
    """
    read = [[(question.text, _in_canonical_wording(question)) for question in sample.questions] for sample in samples]
    left_out = [text for pairs in read for text, question in pairs if question is None]
    return [tuple(question for _, question in pairs if question is not None) for pairs in read], left_out


def absent_objects(sample: Sample, names: Iterable[str]) -> list[str]:
    """Those of the objects that are certainly absent from an image."""
    facts = ImageFacts.of(sample)
    return [name for name in names if facts.lacks(name)]


def make_question(type: str, answer: str, subject: str | None = None, **parts: str) -> Question:
    """A question in canonical wording; the parts are those of `canonical_question`."""
    return Question(canonical_question(type, subject, **parts), answer, type)


def _asked_by_people(sample: Sample) -> Iterator[Question]:
    read = (_in_canonical_wording(question) for question in sample.questions)
    # Themes are made from the scene class, so that all data sets name it alike.
    return (question for question in read if question is not None and question.type != "theme")


def _in_canonical_wording(question: Question) -> Question | None:
    """None if the question cannot be parsed or no expert answers its type: descriptions come from the fusion."""
    try:
        parsed = parse_question(question.text)
    except UsageError:
        return None
    return Question(parsed.canonical, _in_digits(question), parsed.type) if answering_experts(parsed.type) else None


def _in_digits(question: Question) -> str:
    value = number(question.answer) if question.type == "count" else None
    return question.answer if value is None else f"{value:.0f}"


@training_questions
def _theme(image: ImageFacts) -> Iterator[Question]:
    if image.sample.scene_class:
        yield make_question("theme", image.sample.scene_class)


@training_questions
def _rural_urban(image: ImageFacts) -> Iterator[Question]:
    if image.sample.scene_class in _URBAN | _RURAL:
        yield make_question("rural_urban", "urban" if image.sample.scene_class in _URBAN else "rural")


@training_questions
def _presence(image: ImageFacts) -> Iterator[Question]:
    for name in image.present:
        if name in _MAY_BE_UNMENTIONED or name in _ABSENT_FROM:
            yield make_question("presence", "yes", name)


@training_questions
def _count_of_boxes(image: ImageFacts) -> Iterator[Question]:
    if (boxes := image.sample.boxes) is not None:
        yield make_question("count", str(len(boxes.cxcywh)), boxes.label)


@training_questions
def _location(image: ImageFacts) -> Iterator[Question]:
    boxes = image.sample.boxes
    if boxes is not None and boxes.cxcywh:
        centres = ((x, y) for x, y, _, _ in boxes.cxcywh)
        yield make_question("location", locations.where(centres, *read_size(image.sample.image)), boxes.label)


@training_questions
def _colour(image: ImageFacts) -> Iterator[Question]:
    for name, attributes in image.captions.attributes.items():
        colours = [attribute for attribute in attributes if attribute in _COLOURS]
        if colours:
            yield make_question("color", Counter(colours).most_common(1)[0][0], _MERGED.get(name, name))


@training_questions
def _count_in_captions(image: ImageFacts) -> Iterator[Question]:
    for name, amounts in image.captions.amounts.items():
        amount, times = Counter(amounts).most_common(1)[0]
        count = number(amount)
        # "one" and "a" introduce an object and do not say how many there are
        if count is not None and count > 1 and 2 * times >= image.captions.named[name]:
            yield make_question("count", f"{count:.0f}", _MERGED.get(name, name))


@training_questions
def _relation(image: ImageFacts) -> Iterator[Question]:
    for left, relation, right in image.captions.relations:
        subject = re.sub(r"^the ", "", right)
        if subject in image.captions.singular:
            name = image.captions.singular[subject]
            yield make_question("relation", left, _MERGED.get(name, name), relation=relation)


def _about_absent_objects(facts: Sequence[ImageFacts], rng: np.random.Generator) -> Iterator[tuple[int, Question]]:
    """(position of the image, question) about absent objects: one no for each yes about the same object."""
    images_with: dict[str, list[int]] = defaultdict(list)
    for position, image in enumerate(facts):
        for name in image.present:
            images_with[name].append(position)
    for name in sorted((*_MAY_BE_UNMENTIONED, *_ABSENT_FROM)):
        without = np.array([position for position, image in enumerate(facts) if image.lacks(name)])
        for position in rng.permutation(without)[: len(images_with[name])].tolist():
            yield position, make_question("presence", "no", name)
            if name in ("ship", "airplane"):
                yield position, make_question("count", "0", name)
            others = [n for n in facts[position].present if n in _ABSENT_FROM or n in _MAY_BE_UNMENTIONED]
            others = [other for other in others if other not in MASS]
            if others and name not in MASS:
                other = others[int(rng.integers(len(others)))]
                more, less = (name, other) if rng.random() < 0.5 else (other, name)
                answer = "no" if more == name else "yes"
                yield position, make_question("comparison", answer, more, compared_with=less, relation="more")
