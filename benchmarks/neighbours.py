"""A baseline for captions that writes nothing: of a picture is said what agrees best with what was said of its neighbours.

    python -m benchmarks.neighbours RSICD --split test --cache FOLDER

Its neighbours are the 30 pictures of `train` with the nearest mean patch features of the model's image encoder, among those
of which different things were said; of all their sentences, that with the highest CIDEr against all of them is taken.
Beside it stands the sentence of the highest CIDEr to be expected, by a regression from all pictures of `train`: as the
fusion pass is taught of these (`rsmoe_core/training/consensus.py`). The features of all pictures take minutes and are
kept in the cache. Prints Markdown rows with intervals.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.checkpoint.catalogue import find_model
from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.data.base import Sample
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.metrics.captions import score_captions
from rsmoe_core.metrics.cider import ImageCider
from rsmoe_core.metrics.intervals import interval_95
from rsmoe_core.model.vision.efficientnet_lite import folded_copy
from rsmoe_core.training.consensus import best_sentences, neighbours
from rsmoe_core.training.features import cached_features


def main() -> None:
    """Find, choose, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--neighbours", type=int, default=30, help="pictures that a picture is compared with")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the features")
    arguments = parser.parse_args()
    samples = read_dataset(arguments.folder).samples
    means_ND = mean_features(samples, arguments.model, arguments.cache)
    asked = [i for i, sample in enumerate(samples) if sample.split == arguments.split and sample.captions]
    known = [i for i, sample in enumerate(samples) if sample.split == "train" and len(set(sample.captions)) > 1]
    likes_QK = nearest(means_ND[asked], means_ND[known], arguments.neighbours)
    said = agreeing([[text for k in row for text in samples[known[k]].captions] for row in likes_QK])
    train = [i for i, sample in enumerate(samples) if sample.split == "train" and sample.captions]
    expected = best_expected(means_ND[asked], means_ND[train], [samples[i].unique_captions for i in train])
    print("| captions | CIDEr, 95 % interval | BLEU-4 |\n|---|---|---|")
    for name, texts in ((f"{arguments.neighbours} neighbours", said), ("regression", expected)):
        scores = score_captions(texts, [samples[i].captions for i in asked], meteor=False)
        low, high = interval_95(scores.per_image["CIDEr"])
        print(f"| {name} | {scores.corpus['CIDEr']:.3f} ({low:.3f} - {high:.3f}) | {scores.corpus['BLEU-4']:.3f} |")


def mean_features(samples: Sequence[Sample], model: str, cache: Path) -> NDArray[np.float32]:
    """Mean patch feature of each picture as it is, without what all have in common, of length one."""
    loaded = load_model(find_model(model))
    size = loaded.config.vision.image_size
    features_NVPD = cached_features(folded_copy(loaded.vision), samples, cache, views=1, image_size=size, seed=0)
    means_ND = np.stack([own[0].astype(np.float32).mean(axis=0) for own in features_NVPD])
    means_ND -= means_ND.mean(axis=0)
    return means_ND / np.linalg.norm(means_ND, axis=1, keepdims=True)


def nearest(asked_QD: NDArray[np.float32], known_ND: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Rows of the `count` known features that are nearest to each that is asked about, by the cosine."""
    return np.argsort(-(asked_QD @ known_ND.T), axis=1, kind="stable")[:, :count]


def agreeing(groups: Sequence[Sequence[str]]) -> list[str]:
    """Of each group of sentences the one with the highest CIDEr against all of the group."""
    score = ImageCider(groups)
    return [max(dict.fromkeys(own), key=lambda text: score(number, text)) for number, own in enumerate(groups)]


def best_expected(
    asked_QD: NDArray[np.float32], known_ND: NDArray[np.float32], groups: Sequence[Sequence[str]]
) -> list[str]:
    """Of all sentences the one with the highest CIDEr to be expected, for each picture that is asked about."""
    # Those asked about are one series, so nothing of them is known when they are told from the others.
    series = [*map(str, range(len(known_ND))), *["asked"] * len(asked_QD)]
    counts = np.array([*map(len, groups), *[1] * len(asked_QD)])
    shares_QN = neighbours(np.concatenate([known_ND, asked_QD]), counts, series)[len(known_ND) :, : len(known_ND)]
    return [best[0][1] for best in best_sentences(shares_QN, groups, 1)]


if __name__ == "__main__":
    main()
