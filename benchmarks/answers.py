"""One table of how well questions are answered, compared with a baseline that never sees an image.

    python -m benchmarks.answers AIRPORT SHIPS TREES UCM --split val

Each argument is a folder of annotated images with questions, or with boxed objects, which are one question each about
their number. Prints a Markdown table. (Whole ports, which take an hour of training, have `leave_one_port_out.py`.)
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.evaluation.answers import AnswerEvaluation, evaluate_answers
from rsmoe_core.evaluation.predictions import ask_samples, samples_with
from rsmoe_core.loading import load


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="nano")
    arguments = parser.parse_args()
    engine = load(arguments.model)
    print(f"model {engine.name}, revision {engine.revision}, split {arguments.split}\n")
    print("| data | what | questions | score | baseline |\n|---|---|---|---|---|")
    for folder in arguments.folders:
        dataset = read_dataset(folder)
        samples = samples_with(dataset, arguments.split, "questions")
        evaluation = evaluate_answers(dataset, samples, ask_samples(engine, samples))
        for row in table_rows(folder.name, evaluation):
            print(f"| {' | '.join(row)} |", flush=True)


def table_rows(name: str, evaluation: AnswerEvaluation) -> Iterator[tuple[str, ...]]:
    """The rows of one data set: the share of right answers of each question type, and the errors of counts."""
    scores, baseline = evaluation.scores, evaluation.baseline
    if len(scores.types) > 1:
        low, high = scores.interval_95
        overall = f"{scores.overall_accuracy:.3f} ({low:.3f} - {high:.3f})"
        yield name, "all, right", f"{scores.questions:,}", overall, f"{baseline.overall_accuracy:.3f}"
        for question_type, score in scores.types.items():
            by_baseline = baseline.types[question_type].accuracy
            yield name, f"{question_type}, right", f"{score.questions:,}", f"{score.accuracy:.3f}", f"{by_baseline:.3f}"
    if scores.counts is not None and baseline.counts is not None:
        counts, by_median = scores.counts, baseline.counts
        questions = f"{counts.questions:,}"
        for what, value, other in (
            ("MAPE", counts.mape, by_median.mape),
            ("MAE", counts.mae, by_median.mae),
            ("exact", counts.exact, by_median.exact),
            ("within one", counts.within_one, by_median.within_one),
        ):
            yield name, f"count, {what}", questions, _figure(value), _figure(other)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
