"""`rsmoe data prepare`: turn labelled material into a folder that `rsmoe train --data` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsmoe_cli import console

app = typer.Typer(help="Prepare pictures to learn from.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Prepare pictures to learn from."""


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="Folder of NAME.tif with NAME.vessels.json.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for pictures and annotations.jsonl.")],
    leave_out: Annotated[
        list[str] | None, typer.Option(help="A port that goes to the split val; may be given several times.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which windows are cut.")] = 0,
) -> None:
    """Cut windows with sentences out of satellite scenes of ports whose ships are labelled."""
    from rsmoe_cli.ports import prepare_ports

    count = prepare_ports(source, out, seed=seed, leave_out=tuple(leave_out or ()))
    console.note(f"{count} pictures in {out}")
