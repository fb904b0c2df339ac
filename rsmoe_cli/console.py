"""What the command line prints: results on stdout, everything else on stderr, so that stdout holds data only."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer

SOME_FAILED = 3
"""Exit code of a run in which some tiles failed."""
INTERRUPTED = 130
"""Exit code of a run that was interrupted."""
_PACKAGES = ("rsmoe_cli", "rsmoe_core")
_MAX_LINES = 10
"""Lines of a long list that are printed."""
_WHITESPACE = "\n\t\u00a0\u3000"
"""Characters that `str.isprintable` rejects, but that do no harm on a terminal."""
_COLOURS = {logging.WARNING: typer.colors.YELLOW, logging.ERROR: typer.colors.RED}
_debug = False


class _TerminalHandler(logging.Handler):
    """Prints one line per message to whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        typer.secho(prefix + printable(record.getMessage()), fg=_COLOURS.get(record.levelno), err=True)


def set_level(level: int) -> None:
    """Print messages of rsmoe from this level on; at DEBUG, those of its libraries too."""
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [_TerminalHandler() if level <= logging.DEBUG else logging.NullHandler()]
    for name in _PACKAGES:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_TerminalHandler()], False
        logger.setLevel(level)


def set_debug(enabled: bool) -> None:
    """Whether `print_error` prints tracebacks."""
    global _debug
    _debug = enabled


def shows_progress() -> bool:
    """Whether progress bars are shown: the run is not quiet, and stderr is a terminal."""
    return not _is_quiet() and sys.stderr.isatty()


@contextmanager
def progress_bar(total: int, unit: str) -> Iterator[Callable[[int], object]]:
    """A function that advances a progress bar, which is shown if `shows_progress`."""
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, disable=not shows_progress()) as bar:
        yield bar.update


def print_result(text: str) -> None:
    """Print what the command was asked for, on stdout."""
    typer.echo(printable(text))


def print_note(text: str) -> None:
    """Print a message on stderr, unless the run is quiet."""
    if not _is_quiet():
        typer.secho(printable(text), err=True)


def print_error(message: str) -> None:
    """Print in one line on stderr why a command fails; with `--debug`, after the traceback."""
    if _debug and sys.exc_info()[0] is not None:
        typer.secho(printable(traceback.format_exc()), err=True)
    typer.secho(f"error: {printable(' '.join(message.split()))}", fg=typer.colors.RED, err=True)


def shortened(lines: Sequence[str]) -> Iterator[str]:
    """The first lines of a long list, then how many more there are."""
    yield from lines[:_MAX_LINES]
    if len(lines) > _MAX_LINES:
        yield f"{len(lines) - _MAX_LINES} more"


def printable(text: str) -> str:
    """Text from files, models and data sets with terminal control characters and direction overrides escaped.

    Such characters become Python escapes (`\\x1b`); line breaks and tabs stay.
    """
    return "".join(c if c.isprintable() or c in _WHITESPACE else c.encode("unicode_escape").decode() for c in text)


def _is_quiet() -> bool:
    return logging.getLogger(_PACKAGES[0]).getEffectiveLevel() > logging.WARNING
