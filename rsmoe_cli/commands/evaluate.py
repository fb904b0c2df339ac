"""`rsmoe evaluate`: score a model, or what any program said, on annotated pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rsmoe_cli.reports import Report
    from rsmoe_core.data.base import Dataset, Sample
    from rsmoe_core.engine import Engine
    from rsmoe_core.types import Description

_OF_MODELS = ("model", "device", "batch_size", "predictions", "ablate")
_OF_CAPTIONS = ("tokenizer", "spice", "sheet", "ablate")
_EXCLUDED = {
    "ask": ("predictions", "ablate", *_OF_CAPTIONS, "captions", "scenes", "answers"),
    "answers": (*_OF_MODELS, *_OF_CAPTIONS, "captions", "scenes"),
    "captions": _OF_MODELS,
    "scenes": _OF_CAPTIONS,
}
"""Option → the options that mean nothing beside it."""


def evaluate(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="Folder of annotated pictures.", show_default=False)],
    split: Annotated[str, typer.Option(help="Which split of it.")] = "test",
    model: options.Model = "nano",
    ask: Annotated[
        bool, typer.Option("--ask", help="Score the model's answers to the questions about the pictures.")
    ] = False,
    answers: Annotated[
        Path | None,
        typer.Option(help="Score these answers to the questions: JSON lines of image, question, answer, confidence."),
    ] = None,
    captions: Annotated[
        Path | None, typer.Option(help="Score these captions instead of a model's: JSON lines of image, caption.")
    ] = None,
    scenes: Annotated[
        bool, typer.Option("--scenes", help="Score which kinds of place are named, in a set without captions too.")
    ] = False,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    batch_size: options.AdaptiveBatchSize = None,
    tokenizer: Annotated[str, typer.Option(help="How words are told apart: simple, or ptb (needs Java).")] = "simple",
    spice: Annotated[
        bool, typer.Option("--spice", help="SPICE too: takes minutes, and needs Java and Stanford CoreNLP.")
    ] = False,
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
    markdown: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the tables to a .md, with how they were made.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Caption the pictures of a data set and print BLEU, ROUGE-L, CIDEr, and METEOR where Java exists.

    Or score its answers to questions, answers or captions that any program wrote, or the kinds of place that are named.
    """
    import json as json_format

    from rsmoe_cli.atomic import atomic_write
    from rsmoe_core.data.formats.registry import read_dataset
    from rsmoe_core.evaluation.captions import usable
    from rsmoe_core.metrics.captions import check_metrics

    _check_options(context)
    _check_files([answers, captions], {"--predictions": predictions, "--sheet": sheet, "--markdown": markdown})
    if not (answers or scenes or ask):
        check_metrics(tokenizer, spice=spice)
    dataset = read_dataset(data)
    _tell_left_out(dataset.problems)
    place = f"{data.name}, {split}"
    source: dict[str, str]
    if ask:
        engine = _load(model, device, precision, batch_size)
        source = {"model": engine.name, "revision": engine.revision}
        report = _of_asking(engine, dataset, split, limit, f"{model} on {place}")
    elif answers is not None:
        source = {"answers": str(answers)}
        report = _of_answers(answers, dataset, split, limit, f"{answers.name} on {place}")
    else:
        samples = (usable(dataset, split, "scene_class") if scenes else dataset.captioned(split))[:limit]
        if captions is not None:
            source, described = {"captions": str(captions)}, {"whole": _read(captions, dataset, split, samples)}
        else:
            engine = _load(model, device, precision, batch_size)
            source = {"model": engine.name, "revision": engine.revision}
            described = _describe(engine, samples, ablate)
        if predictions is not None:
            atomic_write(predictions, _predictions(samples, described["whole"]))
        title = f"{captions.name if captions else model} on {place}"
        if scenes:
            report = _of_places(dataset, samples, described["whole"], title)
        else:
            report = _of_captions(dataset, samples, described, title, tokenizer, spice, sheet)
    if markdown is not None:
        made_by = f"{'; '.join(f'{what} {which}' for what, which in source.items())}; rsmoe {_version()}"
        atomic_write(markdown, report.document([f"```console\n{_command(context)}\n```", made_by]))
    if json:
        typer.echo(json_format.dumps({**source, "data": str(data), "split": split, **report.figures}, indent=2))
    else:
        console.print_result(report.shown())


def _of_answers(answers: Path, dataset: Dataset, split: str, limit: int | None, title: str) -> Report:
    from rsmoe_cli.reports import answer_report
    from rsmoe_core.evaluation.answers import evaluate_answers
    from rsmoe_core.evaluation.captions import usable
    from rsmoe_core.evaluation.predictions import read_answers

    samples = usable(dataset, split, "questions")[:limit]
    saved = read_answers(answers, dataset, split)
    _tell_left_out(saved.problems)
    return answer_report(evaluate_answers(dataset, samples, saved.said), title, len(saved.problems))


def _of_asking(engine: Engine, dataset: Dataset, split: str, limit: int | None, title: str) -> Report:
    from tqdm import tqdm

    from rsmoe_cli.reports import answer_report
    from rsmoe_core.evaluation.answers import ask_samples, evaluate_answers
    from rsmoe_core.evaluation.captions import usable

    samples = usable(dataset, split, "questions")[:limit]
    questions = sum(len(sample.questions) for sample in samples)
    with tqdm(total=questions, unit="question", disable=not console.shows_progress()) as bar:
        said = ask_samples(samples, engine.ask, engine.batch_size, bar.update)
    return answer_report(evaluate_answers(dataset, samples, said), title, 0)


def _of_places(dataset: Dataset, samples: Sequence[Sample], said: Sequence[Description], title: str) -> Report:
    from rsmoe_cli.reports import scene_report
    from rsmoe_core.evaluation.scenes import evaluate_scenes

    return scene_report(evaluate_scenes(dataset, samples, said), title)


def _of_captions(
    dataset: Dataset,
    samples: Sequence[Sample],
    described: Mapping[str, Sequence[Description]],
    title: str,
    tokenizer: str,
    spice: bool,
    sheet: Path | None,
) -> Report:
    from rsmoe_cli.reports import caption_report
    from rsmoe_core.evaluation.captions import score

    results = {name: score(dataset, samples, said, tokenizer, spice) for name, said in described.items()}
    if sheet is not None:
        from rsmoe_core.evaluation.contact_sheet import contact_sheet

        captions = [said.caption for said in described["whole"]]
        contact_sheet(samples, captions, results["whole"].cider).save(sheet)
    return caption_report(results, title)


def _check_options(context: typer.Context) -> None:
    """Refuse an option that would be passed over beside another one."""
    from rsmoe_core.errors import UsageError

    for mode, excluded in _EXCLUDED.items():
        if _given(context, mode):
            for name in excluded:
                if _given(context, name):
                    flag = f"--{name.replace('_', '-')}"
                    raise UsageError(f"{flag} has no meaning with --{mode}; leave out one of them")


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _check_files(read: Sequence[Path | None], written: Mapping[str, Path | None]) -> None:
    from rsmoe_core.errors import UsageError

    for path in read:
        if path is not None and not path.is_file():
            raise UsageError(f"no file {path}; give one with a JSON object a line")
    for option, path in written.items():
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"no folder {path.parent}; create it first, or give another {option}")
    sheet = written["--sheet"]
    if sheet is not None and sheet.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"{sheet}: a contact sheet is a .png or .jpg; give another --sheet")


def _tell_left_out(problems: Sequence[str]) -> None:
    for problem in console.shortened(problems):
        console.print_note(f"left out: {problem}")


def _read(captions: Path, dataset: Dataset, split: str, samples: Sequence[Sample]) -> list[Description]:
    from rsmoe_core.evaluation.predictions import read_captions, said_of

    saved = read_captions(captions, dataset, split)
    _tell_left_out(saved.problems)
    return said_of(samples, saved, captions)


def _load(model: str, device: str, precision: str, batch_size: int | None) -> Engine:
    from rsmoe_core.engine import load

    engine = load(model, device=device, precision=precision)
    if batch_size is not None:
        engine.batch_size = batch_size
    return engine


def _describe(engine: Engine, samples: Sequence[Sample], ablate: bool) -> dict[str, list[Description]]:
    """Ablation of the model → what it says of each picture; the whole model first."""
    from tqdm import tqdm

    from rsmoe_core.evaluation.captions import describe_samples
    from rsmoe_core.inference.ablations import FULL_MODEL, ablations

    ablation_list = ablations(engine.experts) if ablate else (FULL_MODEL,)
    with tqdm(total=len(samples), unit="picture", disable=not console.shows_progress()) as bar:
        described = describe_samples(engine, samples, ablation_list, bar.update)
    return {ablation.name: said for ablation, said in zip(ablation_list, described, strict=True)}


def _predictions(samples: Sequence[Sample], described: Sequence[Description]) -> str:
    """One JSON object a line: what router, experts and fusion said of a picture, and what people did."""
    import json

    rows = (
        {
            "image": sample.image.name,
            **vars(said),
            "prompts": dict(said.prompts),
            "references": list(sample.captions),
        }
        for sample, said in zip(samples, described, strict=True)
    )
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def _command(context: typer.Context) -> str:
    """The command line, with the options that were given."""
    import shlex

    words = ["rsmoe", "evaluate"]
    for parameter in context.command.params:
        if parameter.name is not None and _given(context, parameter.name):
            value = context.params[parameter.name]
            words += [parameter.opts[0]] if value is True else [parameter.opts[0], str(value)]
    return shlex.join(words)


def _version() -> str:
    from importlib.metadata import version

    return version("rsmoe")
