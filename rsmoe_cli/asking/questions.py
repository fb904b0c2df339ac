"""Arguments of `rsmoe ask` → scenes and questions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rsmoe_core.errors import UsageError

_EXAMPLE = 'such as: rsmoe ask scene.tif "How many ships are there?"'


def split_arguments(arguments: Sequence[str], file: Path | None) -> tuple[list[str], list[str]]:
    """Scenes and questions: the last argument is the question, unless there is a file of questions.

    Raises:
        UsageError: there is no question.
    """
    if file is not None:
        return list(arguments), read_questions(file)
    *scenes, question = arguments
    if not scenes:
        raise UsageError(f"give a question after the scene, or --questions FILE, {_EXAMPLE}")
    if os.path.exists(question):  # Path.exists fails for questions that are longer than a file name may be
        raise UsageError(f"{question} looks like a scene; put the question last, in quotes, {_EXAMPLE}")
    return scenes, [question]


def read_questions(file: Path) -> list[str]:
    """The questions in a text file, one a line, without blank lines and those that begin with #.

    Raises:
        UsageError: the file cannot be read, or has no question.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read questions from {file} ({error}); name a text file in UTF-8") from error
    questions = [line for line in lines if line and not line.startswith("#")]
    if not questions:
        raise UsageError(f"{file} has no question; write one a line")
    return questions
