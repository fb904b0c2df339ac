"""`rsmoe ask`: questions about whole scenes, answered with evidence."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options
from rsmoe_cli.option_groups import EngineOptions, MessageOptions, OutputOptions, TilingOptions, grouped
from rsmoe_core.errors import UsageError

if TYPE_CHECKING:
    from rsmoe_cli.asking.run import SceneReply
    from rsmoe_cli.pipeline.run import Engine

_EXAMPLE = 'such as: rsmoe ask scene.tif "How many ships are there?"'


@grouped
def ask(
    scenes: Annotated[
        list[str],
        typer.Argument(
            metavar='SCENE... "QUESTION"',
            help="Rasters that GDAL reads (files, folders, patterns), then the question.",
            show_default=False,
        ),
    ],
    questions: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Ask the questions in this file, one a line; lines with # are comments."),
    ] = None,
    out: options.OptionalOut = None,
    engine: EngineOptions = EngineOptions(),
    tiling: TilingOptions = TilingOptions(overlap=None),
    output: OutputOptions = OutputOptions(),
    json: Annotated[bool, typer.Option("--json", help="Print each answer as one JSON object a line.")] = False,
    messages: MessageOptions = MessageOptions(),
) -> None:
    """Ask about whole scenes: how many, whether, where, more or fewer, what scene class, rural or urban.

    To continue a run with --out that was interrupted or killed, run the same command again.
    """
    from rsmoe_cli.asking.layer import ANSWERS
    from rsmoe_cli.asking.run import AskJob, ask_scenes
    from rsmoe_cli.pipeline.inputs import find_scenes
    from rsmoe_cli.pipeline.session import open_session
    from rsmoe_core.questions.parser import parse_question

    paths, texts = split_arguments(scenes, questions)
    job = AskJob(find_scenes(paths), tiling, tuple(dict.fromkeys(map(parse_question, texts))))
    if job.has_other_words and engine.takes_any_words():
        job = job.opened()
    load = engine.load if job.asked else None
    with open_session(job, load, ANSWERS, out, output, console.shows_progress()) as session:
        for reply in ask_scenes(session, job):
            if json:
                _print_json(reply, session.engine)
            else:
                _print_text(reply, headings=len(job.scenes) * len(job.questions) > 1)
        if session.output is not None:
            console.print_note(str(session.output.path))
        if session.finish("the answers are without them"):
            raise typer.Exit(console.SOME_FAILED)


def _print_text(reply: SceneReply, headings: bool) -> None:
    for answer in reply.answers:
        console.print_result(f"{reply.scene}: {answer.question}\n{answer}\n" if headings else str(answer))


def _print_json(reply: SceneReply, engine: Engine | None) -> None:
    import json

    model = {"model": engine.name if engine else None, "model_revision": engine.revision if engine else None}
    for answer in reply.answers:
        scene = {"seconds": reply.seconds, "warnings": list(reply.warnings)}
        line = {"scene": reply.scene, **answer.facts(), **model, **scene}
        console.print_data(json.dumps(line, ensure_ascii=False, allow_nan=False))


def split_arguments(arguments: Sequence[str], file: Path | None) -> tuple[list[str], list[str]]:
    """Scenes and questions: the last argument is the question, unless there is a file of questions.

    The words of a question without quotes are joined, where nothing but the arguments before them can be scenes.

    Raises:
        UsageError: there is no question, or words of a question without quotes among scenes.
    """
    if file is not None:
        return list(arguments), read_questions(file)
    first = next((number for number, word in enumerate(arguments) if not _may_be_scene(word)), len(arguments))
    words = arguments[first:]
    if first and len(words) > 1 and not any(" " in word for word in words):
        if any(_may_be_scene(word, exists=False) for word in words):
            raise UsageError(f"put the question last, in quotes, {_EXAMPLE}")
        return list(arguments[:first]), [" ".join(words)]
    *scenes, question = arguments
    if not scenes:
        raise UsageError(f"give a question after the scene, or --questions FILE, {_EXAMPLE}")
    if os.path.exists(question):  # Path.exists fails for questions that are longer than a file name may be
        raise UsageError(f"{question} looks like a scene; put the question last, in quotes, {_EXAMPLE}")
    return scenes, [question]


def _may_be_scene(word: str, exists: bool = True) -> bool:
    """Whether an argument is written as a file, pattern or address; or, if `exists`, is the name of anything."""
    written = re.search(r"[/\\*:\[\]]|\w\.\w", word) is not None
    return written or (exists and os.path.exists(word))


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
