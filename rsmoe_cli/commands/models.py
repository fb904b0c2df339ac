"""`rsmoe models`: list models, show or check one, merge its adapters, or import one from an older release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options
from rsmoe_cli.commands.check_model import check_model
from rsmoe_cli.commands.import_model import import_model

if TYPE_CHECKING:
    from rsmoe_core.checkpoint.catalogue import ModelSummary

app = typer.Typer(help="List models, show or check one, merge its adapters, or import one.", no_args_is_help=True)
app.command("check")(check_model)
app.command("import")(import_model)


@app.callback()
def models() -> None:
    """List models, show or check one, merge its adapters, or import one."""


@app.command("list")
def list_models(json: options.Json = False) -> None:
    """Print the built-in models."""
    import json as json_format

    from rsmoe_core.checkpoint.catalogue import built_in_models, summarise

    summaries = [summarise(name) for name in built_in_models()]
    if json:
        typer.echo(json_format.dumps([_figures(summary) for summary in summaries], indent=2))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table("model", "parameters", "size", "revision")
    for summary in summaries:
        table.add_row(summary.name, f"{summary.parameters:,}", _megabytes(summary.size), summary.revision)
    Console(markup=False).print(table)


@app.command()
def show(model: options.ModelName, json: options.Json = False) -> None:
    """Print a model's parts, its configuration and the start of its card."""
    import json as json_format

    from rsmoe_core.checkpoint.catalogue import summarise
    from rsmoe_core.loading import is_native

    if not is_native(model):
        _show_base(model, json)
        return
    summary = summarise(model)
    config = summary.config.to_dict()
    if json:
        typer.echo(json_format.dumps({**_figures(summary), "config": config, "card": summary.card}, indent=2))
        return

    console.print_result(
        f"{summary.name}: {_megabytes(summary.size)}, revision {summary.revision}, in {summary.folder}"
    )
    _print_parts(summary.parts)
    for name, value in config.items():
        console.print_result(f"{name}: {_readable(value)}")
    if summary.card:
        console.print_result(f"\n{summary.card}")


def _show_base(model: str, json: bool) -> None:
    import json as json_format

    from rsmoe_cli.commands.show_base import summarise_base

    summary = summarise_base(model)
    if json:
        typer.echo(json_format.dumps(summary.figures(), indent=2))
        return
    for line in summary.lines():
        console.print_result(line)
    _print_parts(summary.parts)


def _print_parts(parts: dict[str, int]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("part", "parameters")
    for part, count in {**parts, "all": sum(parts.values())}.items():
        table.add_row(part, f"{count:,}")
    Console(markup=False).print(table)


@app.command()
def export(
    model: options.ModelName,
    out: Annotated[Path, typer.Option("--out", "-o", help="New model folder.", show_default=False)],
    half: Annotated[bool, typer.Option("--half", help="Store matrices in float16.")] = False,
) -> None:
    """Write a form that needs nothing else, and check that the captions stay the same.

    A native model has each adapter merged into a full copy of its language model. A mixture has a copy of its base,
    with the trained connector, in OUT/base, and its adapters beside it, as servers such as vLLM load them.
    """
    from rsmoe_cli.atomic import atomic_folder
    from rsmoe_core.checkpoint.catalogue import find_model
    from rsmoe_core.checkpoint.export import export_merged, export_with_base
    from rsmoe_core.checkpoint.mixture import is_mixture
    from rsmoe_core.errors import UsageError
    from rsmoe_core.loading import find_folder
    from rsmoe_core.training.start import refuse_base

    refuse_base(find_folder(model), model)
    source = find_model(model)
    if half and is_mixture(source):
        raise UsageError("--half is for native models; the base of a mixture is written as it is; leave it out")
    with atomic_folder(out) as folder:
        if is_mixture(source):
            descriptions, forms = export_with_base(source, folder), "with its base and without"
        else:
            descriptions, forms = export_merged(source, folder, half=half), "merged and unmerged"
    for description in descriptions:
        console.print_note(f"both forms: {description.caption}")
    console.print_note(f"{len(descriptions)} images: the same prompts, drafts and captions, {forms}; written to {out}")


def _figures(summary: ModelSummary) -> dict[str, object]:
    return {
        "model": summary.name,
        "folder": str(summary.folder),
        "revision": summary.revision,
        "bytes": summary.size,
        "parameters": summary.parameters,
        "parts": summary.parts,
    }


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _readable(value: object) -> str:
    """A value of the configuration, for people to read."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(part)}" for name, part in value.items())
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
