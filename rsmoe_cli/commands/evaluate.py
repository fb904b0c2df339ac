"""`rsmoe evaluate`: score a model, or the predictions of any program, on annotated images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options
from rsmoe_cli.option_groups import EngineOptions, grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rsmoe_cli.reports import Report
    from rsmoe_core.data.base import Dataset, Sample
    from rsmoe_core.engine import Engine
    from rsmoe_core.types import Description

app = typer.Typer(help="Score a model, or the predictions of any program, on annotated images.", no_args_is_help=True)

CaptionPredictions = Annotated[
    Path | None,
    typer.Option(
        "--predictions",
        metavar="FILE",
        help="Score these captions instead of a model's: JSON lines of image, caption, optionally theme, confidence.",
    ),
]
AnswerPredictions = Annotated[
    Path | None,
    typer.Option(
        "--predictions",
        metavar="FILE",
        help="Score these answers instead of a model's: JSON lines of image, question, answer, optionally confidence.",
    ),
]
SavePredictions = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="Write the caption, drafts and prompts of each image (JSON lines), which --predictions reads.",
    ),
]
_MODEL_OPTIONS = ("model", "device", "precision", "batch_size", "ablate", "save_predictions")
"""Options without meaning where the predictions are given."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What is scored, and where the scores go."""

    data: Annotated[Path, typer.Option(help="Folder of annotated images.", show_default=False)]
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "test"
    limit: Annotated[int | None, typer.Option(min=2, help="Score only this many images, the first ones.")] = None
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Write all tables to a .md, with how they were made."),
    ] = None
    json: options.Json = False


@app.callback()
def evaluate() -> None:
    """Score a model, or the predictions of any program, on annotated images."""


@app.command()
@grouped
def captions(
    context: typer.Context,
    evaluation: EvaluationOptions,
    engine: EngineOptions = EngineOptions(),
    predictions: CaptionPredictions = None,
    save_predictions: SavePredictions = None,
    tokenizer: Annotated[
        str, typer.Option(help="How captions are split into words: simple, or ptb (needs Java).")
    ] = "simple",
    spice: Annotated[
        bool, typer.Option("--spice", help="Compute SPICE too: takes minutes, and needs Java and Stanford CoreNLP.")
    ] = False,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Score the model without each of its parts too, in one table.")
    ] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Draw the best and the worst images to a .png or .jpg."),
    ] = None,
) -> None:
    """Score captions against reference captions: BLEU, ROUGE-L, CIDEr, and METEOR where Java exists."""
    from rsmoe_cli.reports import caption_report
    from rsmoe_core.evaluation.captions import evaluate_captions
    from rsmoe_core.inference.ablations import FULL_MODEL
    from rsmoe_core.metrics.captions import check_metrics

    _check_options(context)
    _check_sheet(sheet)
    check_metrics(tokenizer, spice=spice)
    dataset = _read_dataset(evaluation.data)
    samples = dataset.captioned(evaluation.split)[: evaluation.limit]
    described, source = _described(predictions, dataset, samples, evaluation, engine, ablate)
    _save(save_predictions, samples, described[FULL_MODEL.name])
    results = {
        name: evaluate_captions(dataset, samples, descriptions, tokenizer, spice)
        for name, descriptions in described.items()
    }
    if sheet is not None:
        from rsmoe_core.evaluation.contact_sheet import contact_sheet

        texts = [description.caption for description in described[FULL_MODEL.name]]
        contact_sheet(samples, texts, results[FULL_MODEL.name].cider).save(sheet)
    _output(context, caption_report(results, _title(context)), source)


@app.command()
@grouped
def answers(
    context: typer.Context,
    evaluation: EvaluationOptions,
    engine: EngineOptions = EngineOptions(),
    predictions: AnswerPredictions = None,
) -> None:
    """Score answers to the questions about the images: accuracy by question type, errors of counts, calibration."""
    from rsmoe_cli.reports import answer_report
    from rsmoe_core.evaluation.answers import evaluate_answers
    from rsmoe_core.evaluation.predictions import ask_samples, read_answers, samples_with

    _check_options(context)
    dataset = _read_dataset(evaluation.data)
    samples = samples_with(dataset, evaluation.split, "questions")[: evaluation.limit]
    problems: Sequence[str] = ()
    if predictions is not None:
        source = {"predictions": str(predictions)}
        read = read_answers(predictions, dataset, evaluation.split)
        given, problems = read.values, read.problems
        _print_left_out(problems)
    else:
        loaded = engine.load()
        source = _source(loaded)
        with console.progress_bar(sum(len(sample.questions) for sample in samples), "question") as advance:
            given = ask_samples(loaded, samples, advance)
    report = answer_report(evaluate_answers(dataset, samples, given), _title(context), len(problems))
    _output(context, report, source)


@app.command()
@grouped
def scenes(
    context: typer.Context,
    evaluation: EvaluationOptions,
    engine: EngineOptions = EngineOptions(),
    predictions: CaptionPredictions = None,
    save_predictions: SavePredictions = None,
) -> None:
    """Score how often themes and captions name the scene class of an image; needs no reference captions."""
    from rsmoe_cli.reports import scene_report
    from rsmoe_core.evaluation.predictions import samples_with
    from rsmoe_core.evaluation.scenes import evaluate_scenes
    from rsmoe_core.inference.ablations import FULL_MODEL

    _check_options(context)
    dataset = _read_dataset(evaluation.data)
    samples = samples_with(dataset, evaluation.split, "scene_class")[: evaluation.limit]
    described, source = _described(predictions, dataset, samples, evaluation, engine)
    descriptions = described[FULL_MODEL.name]
    _save(save_predictions, samples, descriptions)
    _output(context, scene_report(evaluate_scenes(dataset, samples, descriptions), _title(context)), source)


def _check_options(context: typer.Context) -> None:
    """Refuse, before any work is done, options that would be ignored and files that cannot be read or written.

    Raises:
        UsageError: there is such an option or file.
    """
    from rsmoe_core.errors import UsageError

    predictions = context.params["predictions"]
    if predictions is not None:
        for name in _MODEL_OPTIONS:
            if _is_given(context, name):
                flag = f"--{name.replace('_', '-')}"
                raise UsageError(f"{flag} has no meaning with --predictions; leave out one of them")
        if not predictions.is_file():
            raise UsageError(f"no file {predictions}; give one with a JSON object a line")
    for name in ("save_predictions", "sheet", "markdown"):
        path = context.params.get(name)
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"no folder {path.parent}; create it first, or give another --{name.replace('_', '-')}")


def _check_sheet(sheet: Path | None) -> None:
    from rsmoe_core.errors import UsageError

    if sheet is not None and sheet.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"{sheet}: a contact sheet is a .png or .jpg; give another --sheet")


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _read_dataset(folder: Path) -> Dataset:
    from rsmoe_core.data.formats.registry import read_dataset

    dataset = read_dataset(folder)
    _print_left_out(dataset.problems)
    return dataset


def _described(
    predictions: Path | None,
    dataset: Dataset,
    samples: Sequence[Sample],
    evaluation: EvaluationOptions,
    engine_options: EngineOptions,
    ablate: bool = False,
) -> tuple[dict[str, list[Description]], dict[str, str]]:
    """Name of each ablation → its description of each image; and what they come from, as entries of the report."""
    from rsmoe_core.evaluation.predictions import describe_samples, descriptions_of, read_captions
    from rsmoe_core.inference.ablations import FULL_MODEL, ablations

    if predictions is not None:
        read = read_captions(predictions, dataset, evaluation.split)
        _print_left_out(read.problems)
        return {FULL_MODEL.name: descriptions_of(samples, read, predictions)}, {"predictions": str(predictions)}
    engine = engine_options.load()
    chosen = ablations(engine.experts) if ablate else (FULL_MODEL,)
    with console.progress_bar(len(samples), "image") as advance:
        described = describe_samples(engine, samples, chosen, advance)
    return {ablation.name: texts for ablation, texts in zip(chosen, described, strict=True)}, _source(engine)


def _source(engine: Engine) -> dict[str, str]:
    return {"model": engine.name, "revision": engine.revision}


def _print_left_out(problems: Sequence[str]) -> None:
    for problem in console.shortened(problems):
        console.print_note(f"left out: {problem}")


def _save(path: Path | None, samples: Sequence[Sample], descriptions: Sequence[Description]) -> None:
    from rsmoe_cli.atomic import atomic_write
    from rsmoe_core.evaluation.predictions import caption_lines

    if path is not None:
        atomic_write(path, caption_lines(samples, descriptions))


def _title(context: typer.Context) -> str:
    values = context.params
    predicted_by = values["predictions"].name if values["predictions"] else values["model"]
    return f"{predicted_by} on {values['data'].name}, {values['split']}"


def _output(context: typer.Context, report: Report, source: dict[str, str]) -> None:
    """Print the report, or its figures as JSON, and write it to the Markdown file, if there is one."""
    import json
    from importlib.metadata import version

    from rsmoe_cli.atomic import atomic_write

    values = context.params
    if values["markdown"] is not None:
        made_by = "; ".join(f"{name} {value}" for name, value in source.items())
        provenance = [f"```console\n{_command_line(context)}\n```", f"{made_by}; rsmoe {version('rsmoe')}"]
        atomic_write(values["markdown"], report.markdown(provenance))
    if values["json"]:
        figures = {**source, "data": str(values["data"]), "split": values["split"], **report.figures}
        typer.echo(json.dumps(figures, indent=2))
    else:
        console.print_result(report.text())


def _command_line(context: typer.Context) -> str:
    """The command, with the options that were given."""
    import shlex

    words = ["rsmoe", "evaluate", str(context.info_name)]
    for parameter in context.command.params:
        if parameter.name is not None and _is_given(context, parameter.name):
            value = context.params[parameter.name]
            words += [parameter.opts[0]] if value is True else [parameter.opts[0], str(value)]
    return shlex.join(words)
