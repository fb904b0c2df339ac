"""What each expert should write for an annotated image, and what the router should ask it, derived by rule.

    theme       the scene class; where there is none, the scene class that most sentences name
    objects     the objects named, most often named first, each with its most frequent amount and attribute:
                "two white airplanes, many cars, a runway"
    relations   where objects lie relative to each other, most frequent first: "trees around playground"

The router's prompts follow from these drafts: which family of scene classes to choose from, which objects to count or
to describe, which relation to look at. A rule that finds nothing gives an empty text, and the image is then left out of
that expert's training. `rsmoe_core.roles` registers these functions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rsmoe_core.words.grammar import plural
from rsmoe_core.words.lexicon import ASKS_ABOUT_SUBJECT, COUNTED, FAMILIES, MASS, QUESTIONS
from rsmoe_core.words.sentences import CaptionFacts, read_captions

MAX_OBJECTS = 4
"""Objects that a draft lists."""


@dataclass(frozen=True)
class AnnotationFacts:
    """What the annotations of one image say."""

    scene_class: str | None
    """The annotated scene class."""
    objects: str | None
    """The objects draft, where the annotation is exact (boxes); None derives it from the captions."""
    captions: CaptionFacts

    @classmethod
    def of(cls, captions: Sequence[str], scene_class: str | None = None, objects: str | None = None) -> AnnotationFacts:
        """From the annotations as they are."""
        return cls(scene_class, objects, read_captions(captions))


def theme_target(facts: AnnotationFacts) -> str:
    """The scene class."""
    return facts.scene_class or next((name for name in facts.captions.ranked if name in FAMILIES), "")


def objects_target(facts: AnnotationFacts) -> str:
    """The list of objects."""
    return facts.objects or ", ".join(facts.captions.phrases[name] for name in facts.captions.ranked[:MAX_OBJECTS])


def relations_target(facts: AnnotationFacts) -> str:
    """The relations."""
    return "; ".join(" ".join(triple) for triple in facts.captions.relations)


def theme_prompt(facts: AnnotationFacts) -> str:
    """The family of scene classes to choose from; empty where it is unknown."""
    family = FAMILIES.get(theme_target(facts))
    return f"name the kind of {family}" if family else ""


def objects_prompt(facts: AnnotationFacts) -> str:
    """ "count the airplanes and cars, describe the runway"; empty where no object is named."""
    requests: dict[str, list[str]] = defaultdict(list)
    for name in facts.captions.ranked[:3]:
        countable = facts.captions.phrases[name].split()[0] in COUNTED and name not in MASS
        requests["count the" if countable else "describe the"].append(plural(name) if countable else name)
    return ", ".join(f"{verb} {' and '.join(names)}" for verb, names in requests.items())


def relations_prompt(facts: AnnotationFacts) -> str:
    """A question about the most frequent relation that has one; empty where none has."""
    for left, relation, right in facts.captions.relations:
        if relation in QUESTIONS:
            return QUESTIONS[relation].format(left if relation in ASKS_ABOUT_SUBJECT else right)
    return ""
