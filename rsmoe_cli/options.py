"""Options that several commands share, named once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from rsmoe_cli import console
from rsmoe_core.errors import UsageError


def _settings(context: typer.Context, path: Path | None) -> None:
    """Take the file's values as defaults, so that a flag on the command line still wins."""
    if path is None:
        return
    import tomllib

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as TOML ({error}); write one 'flag = value' a line") from error
    named = {
        option.removeprefix("--"): parameter.name
        for parameter in context.command.params
        for option in parameter.opts
        if option.startswith("--") and option != "--config"
    }
    if unknown := sorted(set(values) - set(named)):
        raise UsageError(f"{path}: no flag '{unknown[0]}'; choose from: {', '.join(sorted(named))}")
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
        metavar="SCENE...",
        help="Rasters that GDAL reads: files, folders, patterns, https://, s3:// or /vsi...",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("-o", "--out", help="Map to write: .gpkg, .geojson, .fgb or .parquet.")]
Model = Annotated[str, typer.Option(help="Built-in name or model folder.")]
ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Built-in name, model folder, or hub id (owner/name).", show_default=False),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")]
AdaptiveBatchSize = Annotated[
    int | None, typer.Option(min=1, help="Images given to the model at once; by default what suits it.")
]
Bands = Annotated[str | None, typer.Option(metavar="R,G,B", help="Band numbers to draw, such as 3,2,1; or one band.")]
Stretch = Annotated[
    str, typer.Option(metavar="auto|none|LOW,HIGH", help="Percentiles of the valid pixels drawn black and white.")
]
TileSize = Annotated[
    str | None,
    typer.Option(
        metavar="PIXELS|METRESm",
        help="Side of a tile, such as 224 or 500m; by default about what the model sees, so that it fits the scene.",
    ),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Instead of the phases' own number of epochs.")]
Patience = Annotated[
    int | None, typer.Option(min=1, help="End a phase after so many epochs without a better validation score.")
]
Accumulate = Annotated[
    int, typer.Option(min=1, help="Go through each step's pictures in so many parts, of which one is in memory.")
]
Views = Annotated[int, typer.Option(min=1, help="Views of each picture: itself and random others.")]
Holdout = Annotated[float, typer.Option(min=0.0, max=0.5, help="Share of picture series kept to choose by.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides every random choice.")]
Precision = Annotated[str, typer.Option(help="auto (measured), bf16 or fp32.")]
Config = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False, is_eager=True, callback=_settings, help="TOML file of flags, such as: epochs = 3; flags win."
    ),
]
Overlap = Annotated[int, typer.Option(min=0, help="Pixels that neighbouring tiles share.")]
DstCrs = Annotated[str | None, typer.Option(metavar="CRS", help="CRS of the footprints in a GeoPackage.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an output that exists, and the journal of an earlier run.")
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Run again what failed in an output, and nothing else.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object on stdout.")]
AllowExternal = Annotated[
    bool,
    typer.Option("--allow-external", help="Let a scene name files outside of its own folder, and the network."),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", callback=_quiet, help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", callback=_verbose, help="Say more, libraries included.")]
Debug = Annotated[bool, typer.Option("--debug", callback=_debug, help="Show where in the program an error arose.")]
