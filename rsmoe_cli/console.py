"""What the command line prints: results on stdout, everything else on stderr, so that stdout holds data only."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import typer

from rsmoe_core import progress
from rsmoe_core.progress import Advance, Progress

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
_PROGRESS_SECONDS = 30.0
"""Least time between two lines of progress, where stderr is a log."""
_debug = False
_last_progress = 0.0
"""When progress was last printed or began, by the monotonic clock; all scenes of a run share it."""


class _TerminalHandler(logging.Handler):
    """Prints one line per message to whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        _print(prefix + printable(record.getMessage()), _COLOURS.get(record.levelno))


def set_level(level: int) -> None:
    """Print messages of rsmoe from this level on; at DEBUG, those of its libraries too."""
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [_TerminalHandler() if level <= logging.DEBUG else logging.NullHandler()]
    # torch prints by itself what torchao makes it complain of
    logging.getLogger("torch.utils._pytree").setLevel(level if level <= logging.DEBUG else logging.ERROR)
    for name in _PACKAGES:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_TerminalHandler()], False
        logger.setLevel(level)


def set_debug(enabled: bool) -> None:
    """Whether `print_error` prints tracebacks."""
    global _debug
    _debug = enabled


def shows_progress() -> bool:
    """Whether progress is shown: the run is not quiet."""
    return not _is_quiet()


@contextmanager
def progress_bar(total: int, unit: str, label: str = "", done: int = 0, shown: bool = True) -> Iterator[Advance]:
    """A function that advances progress by some units: a bar on a terminal, and a line now and then in a log.

    `done` units of the total were done before. Nothing is shown if `shown` is false or the run is quiet.
    """
    if not (shown and shows_progress()):
        show: Progress = progress.no_progress
    else:
        show = progress.progress_bar if _is_terminal() else _progress_lines
    with show(total, unit, label, done) as advance:
        yield advance


@contextmanager
def _progress_lines(total: int, unit: str, label: str = "", done: int = 0) -> Iterator[Advance]:
    """Counts units, and prints a line if none has been printed for a while."""
    global _last_progress
    _last_progress = _last_progress or time.monotonic()

    def advance(units: int, note: str = "") -> None:
        nonlocal done
        global _last_progress
        done += units
        if (now := time.monotonic()) - _last_progress >= _PROGRESS_SECONDS:
            _last_progress = now
            state = f"{label or 'progress'}: {done:,} of {total:,} {unit}s ({done / max(1, total):.0%})"
            print_note(", ".join(filter(None, (state, note))))

    yield advance


def _is_terminal() -> bool:
    """Whether stderr is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _print(text: str, colour: str | None = None) -> None:
    """Print a line on stderr; in colour on a terminal, unless the environment asks for none (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    with _bars_cleared():
        typer.secho(text, fg=colour, err=True, color=False if plain else None)


@contextmanager
def _bars_cleared() -> Iterator[None]:
    """Bars make room for what the block prints, and appear again below it."""
    with sys.modules["tqdm"].tqdm.external_write_mode() if "tqdm" in sys.modules else nullcontext():
        yield


def print_result(text: str) -> None:
    """Print what the command was asked for, on stdout."""
    print_data(printable(text))


def print_data(text: str) -> None:
    """Print a line for other programs on stdout, as it is."""
    with _bars_cleared():
        typer.echo(text)


def print_note(text: str) -> None:
    """Print a message on stderr, unless the run is quiet."""
    if not _is_quiet():
        _print(printable(text))


def print_error(message: str) -> None:
    """Print in one line on stderr why a command fails; with `--debug`, after the traceback."""
    if _debug and sys.exc_info()[0] is not None:
        _print(printable(traceback.format_exc()))
    _print(f"error: {printable(' '.join(message.split()))}", typer.colors.RED)


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
