"""Description + detections in its image → the same description with corrected amounts.

    "Two ships are on the open sea." + five ships detected → "Five ships are on the open sea."

Vision tokens show that there are ships, but not how many there are of a few pixels each. So where the ground sample
distance is known, and with it the right detector class, amounts in generated texts are replaced by the number of
detections. Nothing else changes: objects that a text does not mention are not added, and amounts of objects without any
detection stay, since detectors miss objects.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable
from types import MappingProxyType

from rsmoe_core.inference.detection import Detectors
from rsmoe_core.types import SURE, Description, Request
from rsmoe_core.words.grammar import amount, counted
from rsmoe_core.words.lexicon import ATTRIBUTES

_LABELS = {"ship": "ship", "vessel": "ship", "boat": "ship", "airplane": "airplane", "plane": "airplane"}
"""Names of countable objects in captions → the detectors' label for them."""
_SINGULAR = ("a", "an", amount(1))
_AMOUNTS = (*_SINGULAR, *(amount(number) for number in range(2, 11)), "some", "several", "many")
_ROLES_WITHOUT_AMOUNTS = frozenset(("theme",))
"""Experts whose drafts are left alone: a scene class has no amounts."""

_NAME = re.compile(rf"\b({'|'.join(_LABELS)})s?\b", re.IGNORECASE)
_PHRASE = re.compile(
    rf"\b(?P<there>there (?:is|are) )?\b(?P<amount>{'|'.join(_AMOUNTS)}) "
    rf"(?P<attributes>(?:(?:{'|'.join(sorted(ATTRIBUTES))}) )*)"
    rf"(?P<name>{'|'.join(_LABELS)})s?\b(?P<verb> (?:is|are)\b)?",
    re.IGNORECASE,
)


def with_detected_counts(description: Description, request: Request, detectors: Detectors) -> Description:
    """The description with the amounts of all objects that can be detected at the request's ground sample distance.

    Unchanged where that distance is not known.
    """
    if request.metres_per_pixel is None:
        return description
    counts: dict[str, int] = {}

    def count(label: str) -> int:
        if label not in counts:
            class_name = detectors.class_for(label, request.metres_per_pixel)
            found = detectors.detect(request, class_name) if class_name is not None else ()
            counts[label] = sum(detection.confidence >= SURE for detection in found)
        return counts[label]

    drafts = {
        role: draft
        if role in _ROLES_WITHOUT_AMOUNTS
        else dataclasses.replace(draft, text=with_counts(draft.text, count))
        for role, draft in description.drafts.items()
    }
    caption = with_counts(description.caption, count)
    return dataclasses.replace(description, caption=caption, drafts=MappingProxyType(drafts))


def with_counts(text: str, count: Callable[[str], int]) -> str:
    """A text with the corrected amount of every object that it mentions exactly once.

    `count` gives the number of detections for a label, 0 where there are none or no detector applies. It is called only
    for objects whose amount the text gives.
    """
    mentions = Counter(_LABELS[name[1].lower()] for name in _NAME.finditer(text))

    def corrected(phrase: re.Match[str]) -> str:
        label = _LABELS[phrase["name"].lower()]
        number = count(label) if mentions[label] == 1 else 0
        return _phrase_with(number, phrase) if number else phrase[0]

    return _PHRASE.sub(corrected, text)


def _phrase_with(number: int, phrase: re.Match[str]) -> str:
    """ "There is one white ship" with three found: "There are three white ships"."""
    if number == 1 and phrase["amount"].lower() in _SINGULAR:
        return phrase[0]
    verb = "is" if number == 1 else "are"
    objects = counted(number, phrase["attributes"].lower() + phrase["name"].lower())
    words = f"there {verb} {objects}" if phrase["there"] else objects
    words += f" {verb}" if phrase["verb"] else ""
    return words[0].upper() + words[1:] if phrase[0][0].isupper() else words
