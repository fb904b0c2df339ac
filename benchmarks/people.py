"""How people score against each other: each sentence in turn, against the other sentences of its picture.

    rsmoe evaluate --data RSICD --split test --predictions said.jsonl
    python -m benchmarks.people RSICD --split test --captions said.jsonl

The references are the sentences of the picture without any copy of the one whose turn it is, since many were written
down several times; pictures of which one thing was said are left out. What a model said is scored against the same
references. Prints a Markdown table with intervals.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rsmoe_core.data.base import Sample
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.evaluation.predictions import read_captions
from rsmoe_core.metrics.captions import score_captions
from rsmoe_core.metrics.intervals import interval_95


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--captions", type=Path, help="what `rsmoe evaluate --predictions` wrote for the split")
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.folder)
    samples = [sample for sample in dataset.captioned(arguments.split) if len(set(sample.captions)) > 1]
    print(f"{len(samples)} pictures\n\n| who | CIDEr, 95 % interval | BLEU-4 |\n|---|---|---|")
    print(row("people", samples, {}), flush=True)
    if arguments.captions:
        said = read_captions(arguments.captions, dataset, arguments.split).said
        print(row(arguments.captions.name, samples, {image: one.caption for image, one in said.items()}))


def row(who: str, samples: Sequence[Sample], said: Mapping[Path, str]) -> str:
    """A line of the table; of a picture of which nothing is `said`, the sentence left out is scored."""
    turns = [(sample, out) for sample in samples for out in dict.fromkeys(sample.captions)]
    others = [[text for text in sample.captions if text != out] for sample, out in turns]
    scores = score_captions([said.get(sample.image, out) for sample, out in turns], others, meteor=False)
    each = scores.per_image["CIDEr"]
    low, high = interval_95(each, [str(sample.image) for sample, _ in turns])
    return f"| {who} | {np.mean(each):.3f} ({low:.3f} - {high:.3f}) | {scores.corpus['BLEU-4']:.3f} |"


if __name__ == "__main__":
    main()
