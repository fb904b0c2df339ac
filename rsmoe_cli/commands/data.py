"""`rsmoe data`: turn labelled data into a folder that `rsmoe train --data` reads, and inspect such folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options
from rsmoe_core.data.formats.registry import format_names

if TYPE_CHECKING:
    from rsmoe_core.data.base import Dataset, DatasetSummary, Sample

app = typer.Typer(help="Prepare annotated images for training, and inspect them.", no_args_is_help=True)

Source = Annotated[Path, typer.Argument(metavar="SRC", help="Folder with the data.", show_default=False)]
Target = Annotated[
    Path, typer.Option("--out", "-o", help="New folder for images and annotations.jsonl.", show_default=False)
]

_MAX_CLASSES = 12
"""Question types or scene classes that are listed."""


@app.callback()
def data() -> None:
    """Prepare annotated images for training, and inspect them."""


@app.command()
def prepare(
    name: Annotated[
        str, typer.Argument(metavar="FORMAT", help=f"One of: {', '.join(format_names())}.", show_default=False)
    ],
    source: Source,
    out: Target,
    scene_classes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Only for boxes: CSV with the columns image, scene_class and maybe split."),
    ] = None,
    colours: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Folder of annotated images; grey images get colours from its images of the same scene class.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="With --colours: seed of the choice of colours.", show_default="0")
    ] = None,
) -> None:
    """Turn a data set of a known format into a folder that rsmoe train reads."""
    from rsmoe_cli.prepare.convert import prepare_dataset
    from rsmoe_core.errors import UsageError

    if name not in format_names():
        raise UsageError(
            f"no format '{name}'; choose from: {', '.join(format_names())}; for scenes of ports use rsmoe data ports"
        )
    if scene_classes is not None and name != "boxes":
        raise UsageError(f"--scene-classes is for the format boxes only; leave it out for {name}")
    if seed is not None and colours is None:
        raise UsageError("--seed has no meaning without --colours; leave it out")
    dataset = prepare_dataset(name, source, out, scene_classes, colours=colours, seed=seed or 0)
    for line in console.shortened(dataset.problems):
        console.print_note(f"left out: {line}")
    console.print_note(f"{len(dataset.samples)} images in {out}")


@app.command()
def ports(
    source: Source,
    out: Target,
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="PORT", help="Port for the split val; may be given several times.")
    ] = None,
    land_cover: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON with a land-cover map of each scene, or of some.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice of windows.")] = 0,
) -> None:
    """Cut satellite scenes of ports, NAME.tif with ships in NAME.vessels.json, into images for rsmoe train."""
    from rsmoe_cli.prepare.ports import prepare_ports

    count = prepare_ports(
        source, out, seed=seed, leave_out=tuple(leave_out or ()), land_cover=land_cover, warn=console.print_note
    )
    console.print_note(f"{count} images in {out}")


@app.command()
def inspect(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of annotated images.", show_default=False)],
    samples: Annotated[int, typer.Option(min=0, help="Images of each split to show.")] = 1,
    json: options.Json = False,
) -> None:
    """Print what is in a folder of annotated images: counts, splits, samples and problems."""
    import dataclasses
    import json as json_format

    from rsmoe_core.data.base import summarise
    from rsmoe_core.data.formats import plain
    from rsmoe_core.data.formats.registry import find_format, read_dataset

    name, _ = find_format(folder)
    dataset = read_dataset(folder, name)
    summary = summarise(dataset)
    shown = [sample for split in summary.splits for sample in dataset.split(split)[:samples]]
    if json:
        content = {"folder": str(folder), "format": name, **dataclasses.asdict(summary)}
        content["samples"] = [plain.row(dataset.root, sample) for sample in shown]
        typer.echo(json_format.dumps(content, indent=2))
    else:
        _print_summary(summary, f"{folder}: {name}")
        for line in _sample_lines(dataset, shown):
            console.print_result(line)
        for line in console.shortened(summary.problems):
            console.print_result(f"problem: {line}")


def _print_summary(summary: DatasetSummary, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("split", "images", "captions", "questions", title=console.printable(title))
    for split, counts in summary.splits.items():
        table.add_row(split, f"{counts.images:,}", f"{counts.captions:,}", f"{counts.questions:,}")
    Console(markup=False).print(table)
    shortest, longest = summary.sides
    typer.echo(f"sides: {shortest} to {longest} px")
    for name, counted in (("questions", summary.questions), ("scene classes", summary.scene_classes)):
        if counted:
            listed = [f"{item} {count:,}" for item, count in counted.items()]
            rest = [f"{len(listed) - _MAX_CLASSES} more"] if len(listed) > _MAX_CLASSES else []
            console.print_result(f"{name}: {', '.join(listed[:_MAX_CLASSES] + rest)}")
    typer.echo(f"problems: {len(summary.problems):,}")


def _sample_lines(dataset: Dataset, samples: Sequence[Sample]) -> Iterator[str]:
    """Samples for people to read."""
    for sample in samples:
        yield f"\n{sample.split}: {sample.image.relative_to(dataset.root)}" + (
            f" ({sample.scene_class})" if sample.scene_class else ""
        )
        yield from (f"    {caption}" for caption in sample.captions)
        yield from (f"    {question.type}: {question.text} {question.answer}" for question in sample.questions)
