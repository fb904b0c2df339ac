"""Whether an answer is right despite another spelling.

    any type    equal in the canonical spelling of `rsmoe_core.words.numbers`: "The Center." is "center"
    counts      the same number: "There are 12 ships." is "12"
    ranges      a number is right if it lies in the true range, which includes its upper limit but not its lower one
    themes      equal names of scene classes: `rsmoe_core.words.scene_classes`

In all other question types a plural or a synonym is a different answer, as in RSVQA's own scores.
"""

from __future__ import annotations

from rsmoe_core.words.numbers import RANGE, normalised, number
from rsmoe_core.words.scene_classes import same_scene_class


def is_correct(question_type: str, truth: str, prediction: str) -> bool:
    """Whether the predicted answer to a question of this type is right."""
    if question_type == "count" and (count := number(truth)) is not None:
        return number(prediction) == count
    right, answer = normalised(truth), normalised(prediction)
    if right == answer:
        return True
    if (limits := RANGE.fullmatch(right)) and (value := number(prediction)) is not None:
        low, high, least = limits.groups()
        return int(low) < value <= int(high) if low else value > int(least)
    return question_type == "theme" and same_scene_class(right, answer)
