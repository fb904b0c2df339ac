"""How the command line talks: on stderr only, so that stdout stays free for data."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, Sequence

import typer

SOME_FAILED = 3
"""Exit code of a run in which some tiles failed."""
INTERRUPTED = 130
"""Exit code of a run that was told to stop."""
_TALKERS = ("rsmoe_cli", "rsmoe_core")
_MOST_LINES = 10
_LAYOUT = "\n\t\u00a0\u3000"
"""Not letters, but harmless."""
_debug = False
_COLOURS = {logging.WARNING: typer.colors.YELLOW, logging.ERROR: typer.colors.RED}


class _Terminal(logging.Handler):
    """Writes one line per message to whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        typer.secho(prefix + printable(record.getMessage()), fg=_COLOURS.get(record.levelno), err=True)


def set_level(level: int) -> None:
    """Lets messages of rsmoe from this level on reach the terminal, and at DEBUG those of its libraries too."""
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [_Terminal() if level <= logging.DEBUG else logging.NullHandler()]
    for name in _TALKERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_Terminal()], False
        logger.setLevel(level)


def shows_progress() -> bool:
    """Whether somebody is there to look at a progress bar."""
    return logging.getLogger(_TALKERS[0]).getEffectiveLevel() <= logging.WARNING and sys.stderr.isatty()


def shortened(lines: Sequence[str]) -> Iterator[str]:
    """The first lines of a long list, then how many more there are."""
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield f"{len(lines) - _MOST_LINES} more"


def note(text: str) -> None:
    """Says something that a quiet run leaves out."""
    if logging.getLogger(_TALKERS[0]).getEffectiveLevel() <= logging.WARNING:
        typer.secho(printable(text), err=True)


def say(text: str) -> None:
    """Says what was asked for, on stdout."""
    typer.echo(printable(text))


def fail(message: str) -> None:
    """Says in one line why a command gives up; with `--debug` after how it came to that."""
    if _debug and sys.exc_info()[0] is not None:
        typer.secho(printable(traceback.format_exc()), err=True)
    typer.secho(f"error: {printable(' '.join(message.split()))}", fg=typer.colors.RED, err=True)


def set_debug(asked: bool) -> None:
    """Lets `fail` show tracebacks, or not."""
    global _debug
    _debug = asked


def printable(text: str) -> str:
    """Text from files, models and data sets without what would command a terminal: escapes, and turns of direction.

    Such characters become what Python writes for them (`\\x1b`); line breaks and tabs stay.
    """
    return "".join(c if c.isprintable() or c in _LAYOUT else c.encode("unicode_escape").decode() for c in text)
