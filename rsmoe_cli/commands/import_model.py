"""`rsmoe models import`: a release in pickled `.bin` shards becomes safetensors, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsmoe_cli import console, options


def import_model(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder or hub id with pytorch_model*.bin.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="New model folder.", show_default=False)],
    revision: options.Revision = None,
    vision_tower: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|ID",
            help="Image encoder of a release in LLaVA's layout; by default the one that it names.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Turn the weights of an older release (.bin files, such as GeoChat's) into safetensors, without running any code.

    A release in the layout of LLaVA-1.5 becomes a model of transformers, which the other commands take as it is.
    """
    import dataclasses
    import json as json_format

    from rsmoe_cli.atomic import atomic_folder
    from rsmoe_core.checkpoint import hub
    from rsmoe_core.checkpoint.base_checks import check_base
    from rsmoe_core.checkpoint.older_releases import import_release
    from rsmoe_core.errors import ModelError, UsageError

    if not Path(source).is_dir() and not hub.is_hub_id(source):
        raise UsageError(f"no folder '{source}'; give the folder or the hub id (owner/name) of a release")
    with atomic_folder(out) as folder:
        found = Path(source) if Path(source).is_dir() else hub.fetch(source, revision, hub.SHARDS)
        result = import_release(found, folder, vision_tower, console.progress_bar)
        try:
            check_base(folder, str(out))
        except ModelError as error:
            result = dataclasses.replace(result, notes=(*result.notes, f"cannot be used as a base yet: {error}"))
    for note in result.notes:
        console.print_note(note)
    what = "a LLaVA model of transformers" if result.layout == "llava" else "the same names as before"
    console.print_note(
        f"{result.tensors} tensors ({result.bytes / 1e9:.2f} GB) from {result.files} files, {what}; written to {out}"
    )
    if json:
        typer.echo(json_format.dumps({"folder": str(out), **dataclasses.asdict(result)}))
