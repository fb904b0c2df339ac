"""The `rsmoe` command: its subcommands, and how every refusal becomes one line and an exit code.

0 done    1 error    2 usage    3 done, but some tiles failed    130 interrupted, by Ctrl-C or by SIGTERM
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from rsmoe_cli import console, options
from rsmoe_cli.commands import data, models
from rsmoe_cli.commands.ask import ask
from rsmoe_cli.commands.bench import bench
from rsmoe_cli.commands.caption import caption
from rsmoe_cli.commands.evaluate import evaluate
from rsmoe_cli.commands.finetune import finetune
from rsmoe_cli.commands.train import train
from rsmoe_cli.heaps import share_heaps
from rsmoe_core.errors import RsmoeError, UsageError


class _Group(TyperGroup):
    """Turns refusals into exit codes, for the command line and for tests alike."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RsmoeError as error:
            console.print_error(str(error))
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
        except KeyboardInterrupt as stop:
            console.print_error(str(stop) or "interrupted")
            raise typer.Exit(console.INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if hasattr(error, "exit_code"):  # typer's own, about the command line
                raise
            console.print_error(f"unexpected {type(error).__name__}: {error}; run again with --debug and report it")
            raise typer.Exit(1) from None


app = typer.Typer(cls=_Group, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


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
    """Reads whole satellite and aerial scenes and writes, on the map, what is in them."""
    console.set_debug(debug)
    console.set_level(logging.ERROR if quiet else logging.DEBUG if verbose else logging.WARNING)


app.command()(caption)
app.command()(ask)
app.command()(train)
app.command()(finetune)
app.command()(evaluate)
app.command()(bench)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")


_PATIENCE = 2.0
"""Seconds between an interruption and the end, if something does not let go: a reader waiting for the network, say."""


def _interrupt(number: int, frame: object) -> NoReturn:
    """Ends the work in good order, and in any case soon."""

    def give_up() -> None:
        console.print_error("interrupted; what was finished before is kept")
        os._exit(console.INTERRUPTED)

    timer = threading.Timer(_PATIENCE, give_up)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def main() -> None:
    """Entry point of the `rsmoe` script."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    share_heaps()
    try:
        app()
    except SystemExit as end:
        if end.code == console.INTERRUPTED:  # without waiting for threads, which Python itself would do
            sys.stdout.flush()
            os._exit(console.INTERRUPTED)
        raise


if __name__ == "__main__":
    main()
