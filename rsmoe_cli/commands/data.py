"""`rsmoe data`: turn labelled material into a folder that `rsmoe train --data` reads, and see what is in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options

if TYPE_CHECKING:
    from rsmoe_core.data.base import Dataset, Sample
    from rsmoe_core.data.summary import Summary

app = typer.Typer(help="Prepare pictures to learn from, and look into them.", no_args_is_help=True)

PORTS = "ports"
"""What `prepare` takes beside the formats: satellite scenes, which are no annotated pictures yet."""

_MOST_SCENES = 12


@app.callback()
def data() -> None:
    """Prepare pictures to learn from, and look into them."""


@app.command()
def prepare(
    layout: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="plain, nwpu, karpathy, rsicap, rsieval, rsvqa, vrsbench, boxes, ucm or rsivqa; or ports for "
            "satellite scenes NAME.tif with NAME.vessels.json.",
            show_default=False,
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder that holds the data.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for pictures and annotations.jsonl.")],
    leave_out: Annotated[
        list[str] | None, typer.Option(help="ports: one that goes to the split val; may be given several times.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="ports: which windows are cut; with --colours: which are borrowed.", show_default="0"),
    ] = None,
    scenes: Annotated[
        Path | None,
        typer.Option(
            help="Kinds of place that somebody saw. boxes: CSV with the columns image, scene and maybe split; ports: "
            "JSON with a map of the ground of each scene."
        ),
    ] = None,
    colours: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Not for ports: folder of annotated pictures; grey ones take the colours of those of like places.",
        ),
    ] = None,
) -> None:
    """Turn a data set of a known format, or scenes of ports, into a folder that rsmoe train reads."""
    from rsmoe_core.errors import UsageError

    if scenes is not None and layout not in ("boxes", PORTS):
        raise UsageError(f"--scenes is for boxes and {PORTS} only; leave it out for {layout}")
    if layout == PORTS:
        if colours is not None:
            raise UsageError(f"--colours is for grey pictures; leave it out for {PORTS}")
        from rsmoe_cli.prepare.ports import prepare_ports

        count = prepare_ports(
            source, out, seed=seed or 0, leave_out=tuple(leave_out or ()), scenes=scenes, say=console.print_note
        )
    else:
        from rsmoe_cli.prepare.convert import prepare as prepare_dataset
        from rsmoe_core.data.formats.registry import FORMATS

        if layout not in FORMATS:
            raise UsageError(f"no format '{layout}'; choose from: {', '.join((*FORMATS, PORTS))}")
        if leave_out or (seed is not None and colours is None):
            raise UsageError(
                f"--leave-out is for {PORTS} only, --seed for {PORTS} and --colours; leave them out for {layout}"
            )
        dataset = prepare_dataset(layout, source, out, scenes, colours=colours, seed=seed or 0)
        for line in console.shortened(dataset.problems):
            console.print_note(f"left out: {line}")
        count = len(dataset.samples)
    console.print_note(f"{count} pictures in {out}")


@app.command()
def inspect(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of annotated pictures.", show_default=False)],
    samples: Annotated[int, typer.Option(min=0, help="Pictures of each split to show.")] = 1,
    json: options.Json = False,
) -> None:
    """Print what is in a folder of annotated pictures: counts, splits, samples and problems."""
    import dataclasses
    import json as json_format

    from rsmoe_core.data.formats import plain
    from rsmoe_core.data.formats.registry import find_format, read_dataset
    from rsmoe_core.data.summary import summarise

    name, _ = find_format(folder)
    dataset = read_dataset(folder, name)
    summary = summarise(dataset)
    shown = [sample for split in summary.splits for sample in dataset.split(split)[:samples]]
    if json:
        content = {"folder": str(folder), "format": name, **dataclasses.asdict(summary)}
        content["samples"] = [plain.row(dataset.root, sample) for sample in shown]
        typer.echo(json_format.dumps(content, indent=2))
    else:
        _print_tables(summary, f"{folder}: {name}")
        for line in _described(dataset, shown):
            console.print_result(line)
        for line in console.shortened(summary.problems):
            console.print_result(f"problem: {line}")


def _print_tables(summary: Summary, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("split", "pictures", "captions", "questions", title=console.printable(title))
    for split, counts in summary.splits.items():
        table.add_row(split, f"{counts.pictures:,}", f"{counts.captions:,}", f"{counts.questions:,}")
    Console(markup=False).print(table)
    shortest, longest = summary.sides
    typer.echo(f"sides: {shortest} to {longest} px")
    for name, counted in (("questions", summary.questions), ("scenes", summary.scenes)):
        if counted:
            listed = [f"{what} {count:,}" for what, count in counted.items()]
            rest = [f"{len(listed) - _MOST_SCENES} more"] if len(listed) > _MOST_SCENES else []
            console.print_result(f"{name}: {', '.join(listed[:_MOST_SCENES] + rest)}")
    typer.echo(f"problems: {len(summary.problems):,}")


def _described(dataset: Dataset, samples: Sequence[Sample]) -> Iterator[str]:
    """Samples for people to read."""
    for sample in samples:
        yield f"\n{sample.split}: {sample.image.relative_to(dataset.root)}" + (
            f" ({sample.scene_class})" if sample.scene_class else ""
        )
        yield from (f"    {caption}" for caption in sample.captions)
        yield from (f"    {question.type}: {question.text} {question.answer}" for question in sample.questions)
