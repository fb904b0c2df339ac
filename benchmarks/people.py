"""How human captions score against each other: each caption in turn, against the other captions of its image.

    rsmoe evaluate captions --data RSICD --split test --save-predictions captions.jsonl
    python -m benchmarks.people RSICD --split test --captions captions.jsonl

The references are the captions of the image without any copy of the one that is scored, since many captions are
repeated; images with only one different caption are left out. The captions of a model are scored against the same
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
from rsmoe_core.metrics.uncertainty import interval_95


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--captions", type=Path, help="what `rsmoe evaluate captions --save-predictions` wrote")
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.folder)
    samples = [sample for sample in dataset.captioned(arguments.split) if len(sample.unique_captions) > 1]
    print(f"{len(samples)} images\n\n| captions by | CIDEr, 95 % interval | BLEU-4 |\n|---|---|---|")
    print(row("people", samples, {}), flush=True)
    if arguments.captions:
        descriptions = read_captions(arguments.captions, dataset, arguments.split).values
        captions = {image: description.caption for image, description in descriptions.items()}
        print(row(arguments.captions.name, samples, captions))


def row(author: str, samples: Sequence[Sample], captions: Mapping[Path, str]) -> str:
    """A row of the table; for an image without one of the `captions`, the reference that is left out is scored."""
    pairs = [(sample, left_out) for sample in samples for left_out in sample.unique_captions]
    references = [[text for text in sample.captions if text != left_out] for sample, left_out in pairs]
    candidates = [captions.get(sample.image, left_out) for sample, left_out in pairs]
    scores = score_captions(candidates, references, meteor=False)
    per_image = scores.per_image["CIDEr"]
    low, high = interval_95(per_image, [str(sample.image) for sample, _ in pairs])
    return f"| {author} | {np.mean(per_image):.3f} ({low:.3f} - {high:.3f}) | {scores.corpus['BLEU-4']:.3f} |"


if __name__ == "__main__":
    main()
