"""RSIVQA (Zheng et al. 2021): text files with a question a line, several lines for each picture.

    1.tif:what is the theme of this picture?residential
    1.tif:does this picture contain trees?yes

One folder holds one such `*.txt`: the set's five sources number their pictures alike, so each needs its own folder. The
kind of a question follows from its wording. There is no official split: `hashed_split` of the picture's name. Generation
from a description of the layout; it was not tried on the data itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from itertools import islice
from pathlib import Path

from rsmoe_core.data.base import Dataset, Question, Sample, hashed_split
from rsmoe_core.data.formats.common import Collector, checked_question, find_picture, lines
from rsmoe_core.errors import DataError
from rsmoe_core.questions.types import question_type

RECOGNISED_BY = "*.txt with lines NAME.tif:QUESTION?ANSWER"

_LINE = re.compile(r"\s*([^:]+\.\w+)\s*:(.*\?)([^?]*)")
# A text is taken for annotations if one of so many first lines looks like it.
_PEEKED = 10
_LONGEST = 2000
"""Letters of a line."""


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None where there is none. Raises DataError where there are several."""
    found = [path for path in sorted(root.glob("*.txt")) if _looks_right(path)]
    if len(found) > 1:
        raise DataError(f"{root}: {found[0].name} and {found[1].name} both hold questions; give each its own folder")
    return found[0] if found else None


def read(annotations: Path) -> Dataset:
    """Every picture with the questions asked of it, in the order in which pictures first occur."""
    collector = Collector(annotations.parent)
    asked: dict[str, list[tuple[str, Question]]] = defaultdict(list)
    for place, line in lines(annotations):
        with collector.reading(place):
            name, question = _parsed(line)
            asked[name].append((place, question))
    for name, rows in asked.items():
        image = find_picture(annotations.parent, name)
        collector.add(rows[0][0], Sample(image, hashed_split(name), (), group=image.stem), asked=rows)
    return collector.dataset()


def _looks_right(path: Path) -> bool:
    if not path.is_file():
        return False
    with suppress(OSError), path.open(encoding="utf-8-sig", errors="replace") as file:
        return any(_LINE.fullmatch(line[:_LONGEST].strip()) for line in islice(file, _PEEKED))
    return False


def _parsed(line: str) -> tuple[str, Question]:
    found = _LINE.fullmatch(line.strip()) if len(line) <= _LONGEST else None
    if not found:
        raise ValueError(f"expected NAME.tif:QUESTION?ANSWER, found '{line.strip()}'")
    name, text, answer = found.groups()
    return name, checked_question(Question(text, answer, question_type(text)))
