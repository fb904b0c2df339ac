"""RSIVQA (Zheng et al. 2021): text files with one question per line, several lines for each image.

    1.tif:what is the theme of this picture?residential
    1.tif:does this picture contain trees?yes

A folder holds one such `*.txt`: the set's five sources number their images alike, so each needs its own folder. The
question types follow from keywords. There is no official split: `hashed_split` of the image's name. The reader follows
a description of the layout and was not tried on the data set itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from itertools import islice
from pathlib import Path

from rsmoe_core.data.base import Dataset, Question, Sample, hashed_split
from rsmoe_core.data.formats.common import Collector, checked_question, find_image, lines
from rsmoe_core.errors import DataError
from rsmoe_core.questions.types import question_type

RECOGNISED_BY = "*.txt with lines NAME.tif:QUESTION?ANSWER"

_LINE = re.compile(r"\s*([^:]+\.\w+)\s*:(.*\?)([^?]*)")
_PEEKED = 10
"""A text file counts as annotations if one of this many first lines has their form."""
_LONGEST = 2000
"""Characters of the longest line that is read."""


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None if there is none.

    Raises:
        DataError: there are several.
    """
    found = [path for path in sorted(root.glob("*.txt")) if _is_annotations(path)]
    if len(found) > 1:
        raise DataError(f"{root}: {found[0].name} and {found[1].name} both hold questions; give each its own folder")
    return found[0] if found else None


def read(annotations: Path) -> Dataset:
    """Every image with its questions, in the order in which images first occur."""
    collector = Collector(annotations.parent)
    questions: dict[str, list[tuple[str, Question]]] = defaultdict(list)
    for position, line in lines(annotations):
        with collector.reading(position):
            name, question = _parsed(line)
            questions[name].append((position, question))
    for name, rows in questions.items():
        image = find_image(annotations.parent, name)
        collector.add(rows[0][0], Sample(image, hashed_split(name), (), group=image.stem), questions=rows)
    return collector.dataset()


def _is_annotations(path: Path) -> bool:
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
