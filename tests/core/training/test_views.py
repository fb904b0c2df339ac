from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsmoe_core.data.base import Sample, read_image
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.preprocess import resize
from rsmoe_core.training import features as module
from rsmoe_core.training.features import make_views


def test_views_stand_in_the_order_of_samples_and_chances(karpathy_folder: Path) -> None:
    samples = read_dataset(karpathy_folder).split("train")[:5]
    seen = make_views(samples, 64, [[None, np.random.default_rng(number)] for number in range(5)])
    alone = [make_views([sample], 64, [[np.random.default_rng(n)]])[0] for n, sample in enumerate(samples)]
    for number, sample in enumerate(samples):
        assert np.array_equal(seen[2 * number], resize(read_image(sample.image), 64))
        assert np.array_equal(seen[2 * number + 1], alone[number])
        assert not np.array_equal(seen[2 * number], seen[2 * number + 1])


def test_sentences_that_name_a_direction_keep_the_picture_upright(
    karpathy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned: list[tuple[str, bool]] = []

    def another_view(image: np.ndarray, rng: np.random.Generator, may_turn: bool) -> np.ndarray:
        turned.append((rng.bit_generator.seed_seq.entropy, may_turn))
        return image

    monkeypatch.setattr(module, "another_view", another_view)
    image = read_dataset(karpathy_folder).samples[0].image
    pair = [Sample(image, "train", ("a pond is left of a road .",)), Sample(image, "train", ("a pond .",))]
    make_views(pair, 64, [[np.random.default_rng(0)], [np.random.default_rng(1)]])
    assert sorted(turned) == [(0, False), (1, True)]
