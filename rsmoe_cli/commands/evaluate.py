"""`rsmoe evaluate`: score a model's captions on annotated pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rsmoe_core.data import Sample
    from rsmoe_core.evaluation import Evaluation
    from rsmoe_core.types import Description


def evaluate(
    data: Annotated[Path, typer.Option(help="Folder of annotated pictures.", show_default=False)],
    split: Annotated[str, typer.Option(help="Which split of it.")] = "test",
    model: options.Model = "nano",
    device: options.Device = "auto",
    batch_size: options.BatchSize = None,
    tokenizer: Annotated[str, typer.Option(help="How words are told apart: simple, or ptb (needs Java).")] = "simple",
    limit: Annotated[int | None, typer.Option(min=2, help="Score the first so many pictures only.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write what router, experts and fusion said of each picture (JSON lines)."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Draw the best and the worst pictures to a .png or .jpg.")
    ] = None,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Score the model without each of its parts too: one table of all.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Caption the pictures of a data set and print BLEU, ROUGE-L, CIDEr, and METEOR where Java exists."""
    import json as json_format

    from tqdm import tqdm

    from rsmoe_core.data import read_dataset
    from rsmoe_core.errors import UsageError
    from rsmoe_core.metrics.captions import check_metrics

    check_metrics(tokenizer)
    for option, path in (("--predictions", predictions), ("--sheet", sheet)):
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"no folder {path.parent}; create it first, or give another {option}")
    if sheet is not None and sheet.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"{sheet}: a contact sheet is a .png or .jpg; give another --sheet")
    dataset = read_dataset(data)
    samples = dataset.captioned(split)[:limit]
    for problem in console.shortened(dataset.problems):
        console.note(f"left out: {problem}")

    from rsmoe_core import load
    from rsmoe_core.contact_sheet import contact_sheet
    from rsmoe_core.evaluation import describe_samples, score
    from rsmoe_core.variants import WHOLE, ablations

    engine = load(model, device=device)
    engine.batch_size = batch_size or engine.batch_size
    variants = ablations(engine.experts) if ablate else (WHOLE,)
    with tqdm(total=len(samples), unit="picture", disable=not console.shows_progress()) as bar:
        described = describe_samples(engine, samples, variants, bar.update)
    if predictions is not None:
        _write_predictions(predictions, samples, described[0])
    results = {
        variant.name: score(dataset, samples, said, tokenizer)
        for variant, said in zip(variants, described, strict=True)
    }
    whole = results[WHOLE.name]
    if sheet is not None:
        contact_sheet(samples, [text.caption for text in described[0]], whole.cider).save(sheet)
    if json:
        header = {"model": engine.name, "revision": engine.revision, "data": str(data), "split": split}
        parts = {"ablation": {name: _summary(result) for name, result in results.items()}} if ablate else {}
        figures = {name: value for name, value in vars(whole).items() if name != "cider"}
        typer.echo(json_format.dumps(header | figures | parts, indent=2))
        return
    title = f"{engine.name} on {data.name}, {split}: {whole.pictures} pictures"
    _print_table(whole, title)
    if ablate:
        _print_ablation(results, title)


def _write_predictions(path: Path, samples: Sequence[Sample], described: Sequence[Description]) -> None:
    """One JSON object a line: what router, experts and fusion said of a picture, and what people did."""
    import json

    with path.open("w", encoding="utf-8") as lines:
        for sample, said in zip(samples, described, strict=True):
            row = {
                "image": sample.image.name,
                **vars(said),
                "prompts": dict(said.prompts),
                "references": list(sample.captions),
            }
            lines.write(json.dumps(row) + "\n")


def _summary(result: Evaluation) -> dict[str, object]:
    return {"scores": result.scores, "interval_95": result.interval_95}


def _print_table(result: Evaluation, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "score", "95 % interval", "baseline", title=title)
    for metric, value in result.scores.items():
        low_high = result.interval_95.get(metric)
        interval = f"{low_high[0]:.3f} - {low_high[1]:.3f}" if low_high else ""
        table.add_row(metric, f"{value:.4f}", interval, f"{result.baseline[metric]:.4f}")
    Console().print(table)
    if result.theme_accuracy is not None:
        typer.echo(f"kind of place named by the theme expert: {result.theme_accuracy:.1%}")
    typer.echo(f"different captions: {result.different_captions}")
    console.note(f"tokenizer: {result.tokenizer}; baseline: '{result.baseline_caption}' said of every picture")


def _print_ablation(results: Mapping[str, Evaluation], title: str) -> None:
    """As Markdown, so that it can be kept."""
    metrics = list(next(iter(results.values())).scores)
    typer.echo(f"\n{title}\n\n| | {' | '.join(metrics)} | CIDEr, 95 % |\n|---|{'---|' * (len(metrics) + 1)}")
    for name, result in results.items():
        low, high = result.interval_95["CIDEr"]
        scores = " | ".join(f"{result.scores[metric]:.3f}" for metric in metrics)
        typer.echo(f"| {name} | {scores} | {low:.3f} - {high:.3f} |")
