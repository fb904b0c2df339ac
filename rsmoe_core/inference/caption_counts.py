"""What was written of a picture + what the detectors find on it → the same words with the right numbers.

    "Two ships are on the open sea." + five ships found → "Five ships are on the open sea."

Vision tokens show that there are ships; how many of a few pixels each, they do not. So where the ground sample distance
is known, and with it which detector to ask, amounts that were written are put right by what is found. Nothing else
changes: what is not spoken of is not added, and what is not found stays, since detectors miss things.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable

from rsmoe_core.data.templates import amount, counted
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.types import SURE, Description, Request
from rsmoe_core.words.lexicon import ATTRIBUTES

_THINGS = {"ship": "ship", "vessel": "ship", "boat": "ship", "airplane": "airplane", "plane": "airplane"}
"""Words for things that are found one by one → what the detectors call them."""
_ONE = ("a", "an", amount(1))
_AMOUNTS = (*_ONE, *(amount(number) for number in range(2, 11)), "some", "several", "many")

_NAME = re.compile(rf"\b({'|'.join(_THINGS)})s?\b", re.IGNORECASE)
_PHRASE = re.compile(
    rf"\b(?P<there>there (?:is|are) )?\b(?P<amount>{'|'.join(_AMOUNTS)}) "
    rf"(?P<look>(?:(?:{'|'.join(sorted(ATTRIBUTES))}) )*)"
    rf"(?P<name>{'|'.join(_THINGS)})s?\b(?P<verb> (?:is|are)\b)?",
    re.IGNORECASE,
)


def with_detected_counts(said: Description, request: Request, detectors: Detectors) -> Description:
    """The description with the amounts of what can be found one by one at the request's ground sample distance.

    As it was said where that distance is not known.
    """
    if request.metres_per_pixel is None:
        return said
    known: dict[str, int] = {}

    def count(thing: str) -> int:
        if thing not in known:
            cls = detectors.class_for(thing, request.metres_per_pixel)
            found = detectors.find(request, cls) if cls is not None else ()
            known[thing] = sum(one.confidence >= SURE for one in found)
        return known[thing]

    return dataclasses.replace(
        said,
        caption=with_counts(said.caption, count),
        objects=with_counts(said.objects, count),
        relations=with_counts(said.relations, count),
    )


def with_counts(text: str, count: Callable[[str], int]) -> str:
    """A text in which the amount of each thing that it names once is put right.

    `count` gives the number of a thing by its singular name, 0 where none was found or none can be; it is asked for
    nothing but things of which the text gives an amount.
    """
    named = Counter(_THINGS[name[1].lower()] for name in _NAME.finditer(text))

    def put_right(phrase: re.Match[str]) -> str:
        thing = _THINGS[phrase["name"].lower()]
        found = count(thing) if named[thing] == 1 else 0
        return _phrase_with(found, phrase) if found else phrase[0]

    return _PHRASE.sub(put_right, text)


def _phrase_with(found: int, phrase: re.Match[str]) -> str:
    """ "There is one white ship" with three found: "There are three white ships"."""
    if found == 1 and phrase["amount"].lower() in _ONE:
        return phrase[0]
    verb = "is" if found == 1 else "are"
    things = counted(found, phrase["look"].lower() + phrase["name"].lower())
    words = f"there {verb} {things}" if phrase["there"] else things
    words += f" {verb}" if phrase["verb"] else ""
    return words[0].upper() + words[1:] if phrase[0][0].isupper() else words
