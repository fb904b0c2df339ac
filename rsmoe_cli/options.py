"""Options that several commands share."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rsmoe_cli import console
from rsmoe_cli.formats.registry import suffixes
from rsmoe_core.errors import UsageError

TABLES = "rsmoe tables"
"""Where a command's context has the tables of its TOML file, by name."""


def _load_config(context: typer.Context, path: Path | None) -> None:
    """Use the values of the file as defaults, so that an option on the command line takes precedence."""
    _load_file(context, path, ())


def _load_training_config(context: typer.Context, path: Path | None) -> None:
    """The same, and keep the tables of settings for the command."""
    from rsmoe_core.training.settings import TABLES as known_tables

    _load_file(context, path, known_tables)


def _load_file(context: typer.Context, path: Path | None, tables: Sequence[str]) -> None:
    if path is None:
        return
    import tomllib

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as TOML ({error}); write one 'option = value' a line") from error
    context.meta[TABLES] = {name: values.pop(name) for name in tables if name in values}
    named = {
        option.removeprefix("--"): parameter.name
        for parameter in context.command.params
        for option in parameter.opts
        if option.startswith("--") and option != "--config"
    }
    if unknown := sorted(set(values) - set(named)):
        known = ", ".join([*sorted(named), *(f"[{name}]" for name in tables)])
        raise UsageError(f"{path}: no option '{unknown[0]}'; choose from: {known}")
    context.default_map = {named[key]: value for key, value in values.items()}


def _quiet(asked: bool) -> bool:
    if asked:
        console.set_level(logging.ERROR)
    return asked


def _verbose(asked: bool) -> bool:
    if asked:
        console.set_level(logging.DEBUG)
    return asked


def _debug(asked: bool) -> bool:
    if asked:
        console.set_debug(True)
    return asked


Scenes = Annotated[
    list[str],
    typer.Argument(
        metavar="SCENE",
        help="Rasters that GDAL reads: files, folders, patterns, https://, s3:// or /vsi...",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("-o", "--out", help=f"Output file: {suffixes()}.")]
OptionalOut = Annotated[
    Path | None, typer.Option("-o", "--out", help=f"Also write what the answers are based on: {suffixes()}.")
]
Model = Annotated[
    str, typer.Option(help="Built-in name, folder, or hub id (owner/name) of a model; with --endpoint, its name there.")
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a model on the hub.")]
Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="OpenAI-compatible server, such as http://127.0.0.1:8000/v1; its key is read from RSMOE_API_KEY or "
        "OPENAI_API_KEY.",
    ),
]
ServedRoles = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="ROLE=NAME", help="With --endpoint: the served LoRA adapter of a role."),
]
Concurrency = Annotated[int, typer.Option(min=1, help="With --endpoint: requests at a time.")]
MixtureName = Annotated[
    str,
    typer.Option(
        metavar="full|experts|direct",
        help="full: router, experts and fusion; experts: fixed prompts and fusion; direct: one text for each tile.",
    ),
]
Words = Annotated[int | None, typer.Option(min=3, help="Most words of a caption; by default 20, or 60 in full detail.")]
Detail = Annotated[
    str, typer.Option(metavar="brief|full", help="One sentence or a few, by a model that follows instructions.")
]
Quantize = Annotated[
    str | None,
    typer.Option(metavar="int8|8bit|4bit", help="Weights of fewer bits: int8 on a processor, 8bit or 4bit on a GPU."),
]
Prompt = Annotated[
    str | None,
    typer.Option(help='What to write about, such as "Describe damage to buildings"; needs a model that can take it.'),
]
ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Built-in name, model folder, or hub id (owner/name).", show_default=False),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Images per batch; by default chosen by speed and memory.")]
Bands = Annotated[
    str | None, typer.Option(metavar="R,G,B", help="Bands to use as red, green and blue, such as 3,2,1; or one band.")
]
Stretch = Annotated[
    str, typer.Option(metavar="auto|none|LOW,HIGH", help="Percentiles of the valid pixels that become black and white.")
]
Nodata = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE|none",
        help="Value that is no data though no file declares it, such as -9999; by default such values are found.",
    ),
]
TileSize = Annotated[
    str | None,
    typer.Option(
        metavar="PIXELS|METRESm",
        help="Side of a tile, such as 224 or 500m; by default close to the input size of the model.",
    ),
]
TrainingQuantize = Annotated[
    str | None,
    typer.Option(
        "--quantize",
        metavar="4bit|8bit|int8",
        help="Mixtures on a base: its weights in fewer bits (QLoRA); 4bit and 8bit need the extra 'gpu'.",
    ),
]
GradientCheckpointing = Annotated[
    bool,
    typer.Option(
        "--gradient-checkpointing",
        help="Mixtures on a base: compute activations twice instead of keeping them, which takes a third longer.",
    ),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs of each phase, instead of its default.")]
Patience = Annotated[
    int | None, typer.Option(min=1, help="End a phase after this many epochs without a better validation score.")
]
Accumulate = Annotated[
    int, typer.Option(min=1, help="Gradient accumulation: parts of each batch, of which one is in memory at a time.")
]
Views = Annotated[int, typer.Option(min=1, help="Views of each image: the image itself and random augmentations.")]
ValidationSplit = Annotated[
    float, typer.Option(min=0.0, max=0.5, help="Share of the images that are held out for validation, in whole groups.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")]
Precision = Annotated[str, typer.Option(help="auto (measured), bf16 or fp32.")]
Config = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        is_eager=True,
        callback=_load_config,
        help="TOML file of options, such as: epochs = 3; options on the command line take precedence.",
    ),
]
TrainingConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        dir_okay=False,
        is_eager=True,
        callback=_load_training_config,
        help="TOML file of options, such as: epochs = 3; and of tables of further settings, such as [lora] and "
        "[phases.align]. Options on the command line take precedence.",
    ),
]
Overlap = Annotated[
    int | None, typer.Option(min=0, help="Pixels that neighbouring tiles share; `ask` defaults to a quarter of a tile.")
]
DstCrs = Annotated[
    str | None, typer.Option(metavar="CRS", help="CRS of the footprints; GeoJSON is always in longitude and latitude.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an output that exists, and the journal of an earlier run.")
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Run again what failed in an output, and nothing else.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object on stdout.")]
AllowExternal = Annotated[
    bool,
    typer.Option("--allow-external", help="Allow a scene to refer to files outside its folder, and to the network."),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", callback=_quiet, help="Print errors only.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", callback=_verbose, help="Print more messages, including those of libraries.")
]
Debug = Annotated[bool, typer.Option("--debug", callback=_debug, help="Print a traceback with each error.")]
