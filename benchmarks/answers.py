"""One table of how well questions are answered, beside what is answered without looking.

    python benchmarks/answers.py AIRPORT SHIPS TREES UCM --split val

Each argument is a folder of annotated pictures with questions, or with outlined objects, which are one question each:
for their number. Prints a Markdown table. (Whole ports, which take an hour of training, have `leave_one_port_out.py`.)
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.engine import load
from rsmoe_core.evaluation.answers import AnswerEvaluation, ask_samples, evaluate_answers
from rsmoe_core.evaluation.captions import usable


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
        samples = usable(dataset, arguments.split, "questions")
        said = ask_samples(samples, engine.ask, engine.batch_size)
        for row in table_rows(folder.name, evaluate_answers(dataset, samples, said)):
            print(f"| {' | '.join(row)} |", flush=True)


def table_rows(name: str, found: AnswerEvaluation) -> Iterator[tuple[str, ...]]:
    """What was asked of one data set: the share right of each kind, and the error of counts."""
    scores, blind = found.scores, found.baseline
    if len(scores.types) > 1:
        low, high = scores.interval_95
        overall = f"{scores.overall_accuracy:.3f} ({low:.3f} - {high:.3f})"
        yield name, "all, right", f"{scores.questions:,}", overall, f"{blind.overall_accuracy:.3f}"
        for kind, own in scores.types.items():
            yield (
                name,
                f"{kind}, right",
                f"{own.questions:,}",
                f"{own.accuracy:.3f}",
                f"{blind.types[kind].accuracy:.3f}",
            )
    if scores.counts is not None and blind.counts is not None:
        counts, usual = scores.counts, blind.counts
        asked = f"{counts.questions:,}"
        for what, value, other in (
            ("MAPE", counts.mape, usual.mape),
            ("MAE", counts.mae, usual.mae),
            ("exact", counts.exact, usual.exact),
            ("within one", counts.within_one, usual.within_one),
        ):
            yield name, f"count, {what}", asked, _figure(value), _figure(other)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
