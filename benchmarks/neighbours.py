"""Baselines for captions that generate nothing: the caption of another image, chosen by image features.

    python -m benchmarks.neighbours RSICD --split test --cache FOLDER

- neighbours: of the captions of the 30 nearest images, the one with the highest CIDEr against all of them. Images of
  `train` with at least two different captions are compared, by the mean patch features of the model's image encoder.
- regression: of all captions of `train`, the one with the highest expected CIDEr, by the kernel regression from which
  training takes its consensus captions (`rsmoe_core/training/consensus.py`).

The features of all images take minutes and are stored in the cache. Prints a Markdown table with intervals.
"""

from __future__ import annotations

import argparse
import copy
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
from rsmoe_core.metrics.uncertainty import interval_95
from rsmoe_core.model.vision.base import find_encoder
from rsmoe_core.training.consensus import best_sentences, neighbour_weights
from rsmoe_core.training.features import ViewOptions, cached_features


def main() -> None:
    """Choose, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--neighbours", type=int, default=30, help="images that an image is compared with")
    parser.add_argument("--cache", type=Path, required=True, help="folder that stores the features")
    arguments = parser.parse_args()
    samples = read_dataset(arguments.folder).samples
    means_ND = mean_features(samples, arguments.model, arguments.cache)
    queries = [i for i, sample in enumerate(samples) if sample.split == arguments.split and sample.captions]
    train = [i for i, sample in enumerate(samples) if sample.split == "train" and sample.captions]
    several = [i for i in train if len(samples[i].unique_captions) > 1]
    nearest_QK = nearest(means_ND[queries], means_ND[several], arguments.neighbours)
    agreeing = most_agreeing([[text for k in row for text in samples[several[k]].captions] for row in nearest_QK])
    expected = best_expected(means_ND[queries], means_ND[train], [samples[i].unique_captions for i in train])
    print("| captions | CIDEr, 95 % interval | BLEU-4 |\n|---|---|---|")
    for name, texts in ((f"{arguments.neighbours} neighbours", agreeing), ("regression", expected)):
        scores = score_captions(texts, [samples[i].captions for i in queries], meteor=False)
        low, high = interval_95(scores.per_image["CIDEr"])
        print(f"| {name} | {scores.corpus['CIDEr']:.3f} ({low:.3f} - {high:.3f}) | {scores.corpus['BLEU-4']:.3f} |")


def mean_features(samples: Sequence[Sample], model: str, cache: Path) -> NDArray[np.float32]:
    """Mean patch feature of view 0 of each image, centred and of length one."""
    loaded = load_model(find_model(model))
    vision, spec = loaded.config.vision, find_encoder(loaded.config.vision)
    options = ViewOptions(views=1, image_size=vision.image_size, normalisation=spec.normalisation(vision))
    encoder = spec.prepare_for_inference(copy.deepcopy(loaded.vision))
    features_NVPD = cached_features(encoder, samples, cache, options)
    means_ND = np.stack([own[0].astype(np.float32).mean(axis=0) for own in features_NVPD])
    means_ND -= means_ND.mean(axis=0)
    return means_ND / np.linalg.norm(means_ND, axis=1, keepdims=True)


def nearest(queries_QD: NDArray[np.float32], known_ND: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Rows of the `count` known features with the highest cosine to each query, the nearest first."""
    return np.argsort(-(queries_QD @ known_ND.T), axis=1, kind="stable")[:, :count]


def most_agreeing(captions: Sequence[Sequence[str]]) -> list[str]:
    """Of each list of captions the one with the highest CIDEr against the whole list."""
    score = ImageCider(captions)
    return [max(dict.fromkeys(own), key=lambda text: score(number, text)) for number, own in enumerate(captions)]


def best_expected(
    queries_QD: NDArray[np.float32], known_ND: NDArray[np.float32], captions: Sequence[Sequence[str]]
) -> list[str]:
    """For each query the caption of a known image with the highest expected CIDEr."""
    # All queries are one group, so that none has a weight for another.
    groups = [*map(str, range(len(known_ND))), *["queries"] * len(queries_QD)]
    counts = np.array([*map(len, captions), *[1] * len(queries_QD)])
    weights_NN = neighbour_weights(np.concatenate([known_ND, queries_QD]), counts, groups)
    weights_QN = weights_NN[len(known_ND) :, : len(known_ND)]
    return [best[0][1] for best in best_sentences(weights_QN, captions, 1)]


if __name__ == "__main__":
    main()
