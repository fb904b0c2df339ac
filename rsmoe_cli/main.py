"""The `rsmoe` command: its sub-commands, and how every error becomes one line and an exit code.

0 done   1 error   2 usage   3 some tiles failed, or a server stopped working   130 interrupted (Ctrl-C, SIGTERM)
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from rsmoe_cli import console, options
from rsmoe_cli.commands import data, evaluate, models
from rsmoe_cli.commands.ask import ask
from rsmoe_cli.commands.bench import bench
from rsmoe_cli.commands.caption import caption
from rsmoe_cli.commands.finetune import finetune
from rsmoe_cli.commands.plan import plan
from rsmoe_cli.commands.train import train
from rsmoe_core.errors import BackendError, RsmoeError, UsageError

_GRACE = 2.0
"""Seconds from an interruption to a forced exit, in case something blocks, such as a reader that waits for a server."""
_M_ARENA_MAX = -8
"""The option of mallopt for the number of arenas, from glibc's malloc.h."""
_MAX_ARENAS = 2


class _HelpfulGroup(TyperGroup):
    """Prints its help where no command is given, as `--help` does: exit code 0, on stdout."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])


class _Group(_HelpfulGroup):
    """Turns errors into exit codes, for the command line and for tests alike."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RsmoeError as error:
            console.print_error(str(error))
            raise typer.Exit(_exit_code(error)) from None
        except KeyboardInterrupt as interrupt:
            console.print_error(str(interrupt) or "interrupted")
            raise typer.Exit(console.INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if hasattr(error, "exit_code"):  # typer's own errors, about the command line
                raise
            console.print_error(f"unexpected {type(error).__name__}: {error}; run again with --debug and report it")
            raise typer.Exit(1) from None


def _exit_code(error: RsmoeError) -> int:
    if isinstance(error, BackendError):
        return console.SOME_FAILED
    return 2 if isinstance(error, UsageError) else 1


app = typer.Typer(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},  # of all commands
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"rsmoe {version('rsmoe')}")
        raise typer.Exit


@app.callback()
def rsmoe(
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Describe satellite and aerial scenes: captions, answers and counts as map layers."""
    console.set_debug(debug)
    console.set_level(logging.ERROR if quiet else logging.DEBUG if verbose else logging.WARNING)


app.command()(caption)
app.command()(ask)
app.command()(train)
app.command()(finetune)
app.command()(bench)
app.command()(plan)
app.add_typer(evaluate.app, name="evaluate", cls=_HelpfulGroup)
app.add_typer(data.app, name="data", cls=_HelpfulGroup)
app.add_typer(models.app, name="models", cls=_HelpfulGroup)


def _interrupt(number: int, frame: object) -> NoReturn:
    """Ends the work in good order, and exits in any case soon."""

    def force_exit() -> None:
        console.print_error("interrupted; finished work is kept")
        os._exit(console.INTERRUPTED)

    timer = threading.Timer(_GRACE, force_exit)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def limit_malloc_arenas() -> None:
    """Let all threads allocate from two arenas; call it before there are threads.

    By default glibc gives each thread an arena, which keeps the memory that its threads have freed. With many readers
    and workers that was a good part of all memory. Has no effect with other C libraries.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _MAX_ARENAS)


def main() -> None:
    """Entry point of the `rsmoe` script."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    limit_malloc_arenas()
    try:
        app()
    except SystemExit as end:
        if end.code == console.INTERRUPTED:  # without waiting for threads, as Python itself would
            sys.stdout.flush()
            os._exit(console.INTERRUPTED)
        raise


if __name__ == "__main__":
    main()
