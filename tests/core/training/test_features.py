from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from rsmoe_core.data.base import Sample, read_image
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.model.vision.efficientnet_lite import NORMALISATION, EfficientNetLite
from rsmoe_core.preprocess import normalise, resize
from rsmoe_core.presets import tiny
from rsmoe_core.training import features as module
from rsmoe_core.training.features import FeatureBank, ViewOptions, cached_features, make_views
from tests.tiny import fit_batch_norms

OPTIONS = ViewOptions(views=2, image_size=64, normalisation=NORMALISATION)


class CountingEncoder(EfficientNetLite):
    """Counts the images that it encodes; breaks after `limit` of them."""

    seen, limit = 0, 10_000

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        if pixels_BCHW.any():  # not the probe for the shape
            if self.seen >= self.limit:
                raise KeyboardInterrupt
            self.seen += len(pixels_BCHW)
        return super().forward(pixels_BCHW)


@pytest.fixture
def samples(karpathy_folder: Path) -> Sequence[Sample]:
    return read_dataset(karpathy_folder).split("train")


def encoder(seed: int = 0) -> CountingEncoder:
    torch.manual_seed(seed)
    model = fit_batch_norms(CountingEncoder(tiny().vision))
    model.seen = 0
    return model


def computed(
    model: CountingEncoder, samples: Sequence[Sample], folder: Path, options: ViewOptions = OPTIONS
) -> np.ndarray:
    return np.array(cached_features(model, samples, folder, options))


def test_view_0_is_the_image_itself(samples: Sequence[Sample], tmp_path: Path) -> None:
    model = encoder()
    found = computed(model, samples, tmp_path / "cache")
    assert found.shape == (36, 2, 4, 32)
    assert found.dtype == np.float16
    with torch.inference_mode():
        expected = model(normalise(np.stack([read_image(samples[20].image)]), NORMALISATION))[0]
    assert np.allclose(found[20, 0], expected, atol=1e-2)
    assert not np.array_equal(found[20, 0], found[20, 1])


def test_a_cache_is_reused_and_says_what_is_done(samples: Sequence[Sample], tmp_path: Path) -> None:
    first = computed(encoder(), samples, tmp_path)
    again = encoder()
    assert np.array_equal(computed(again, samples, tmp_path), first)
    assert again.seen == 0
    assert json.loads((tmp_path / "features.json").read_text())["done"] == 36
    assert sorted(p.name for p in tmp_path.glob("features*")) == ["features.json", "features_NVPD.npy"]


def test_an_interrupted_run_is_resumed(samples: Sequence[Sample], tmp_path: Path) -> None:
    whole = computed(encoder(), samples, tmp_path / "whole")
    broken = encoder()
    broken.limit = 32
    with pytest.raises(KeyboardInterrupt):
        computed(broken, samples, tmp_path / "broken")
    again = encoder()
    assert np.array_equal(computed(again, samples, tmp_path / "broken"), whole)
    assert again.seen == whole.shape[0] * 2 - 32


@pytest.mark.parametrize("change", ["encoder", "seed", "views", "image", "fewer", "reading"])
def test_another_origin_starts_from_the_beginning(
    samples: Sequence[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    first = computed(encoder(), samples, tmp_path / "cache")
    if change == "image":
        Image.new("RGB", (64, 64), "red").save(samples[3].image)
    if change == "reading":
        monkeypatch.setattr(module, "_VIEWS_VERSION", module._VIEWS_VERSION + 1)
    chosen = samples[:30] if change == "fewer" else samples
    model = encoder(seed=1 if change == "encoder" else 0)
    options = dataclasses.replace(OPTIONS, seed=int(change == "seed"), views=3 if change == "views" else 2)
    found = computed(model, chosen, tmp_path / "cache", options)
    assert model.seen == len(chosen) * options.views
    assert np.array_equal(found, computed(model, chosen, tmp_path / "fresh", options))
    if change == "image":
        assert not np.array_equal(found[3], first[3])


def test_a_new_array_is_never_taken_for_the_old_one(samples: Sequence[Sample], tmp_path: Path) -> None:
    first = computed(encoder(), samples, tmp_path)
    broken = encoder(seed=1)
    broken.limit = 0
    with pytest.raises(KeyboardInterrupt):
        computed(broken, samples, tmp_path)
    assert np.array_equal(computed(encoder(), samples, tmp_path), first)


def test_a_bank_reads_several_arrays_as_one() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.random((n, 2, 4, 8)).astype(np.float16) for n in (3, 1, 5)]
    whole = np.concatenate(arrays)
    bank = FeatureBank.of(arrays)
    assert (len(bank), bank.views) == (9, 2)
    assert np.array_equal(bank.patches(range(9)).numpy(), whole[:, 0])
    rows, views = [8, 0, 3, 3], [1, 0, 1, 0]
    assert np.array_equal(bank.patches(rows, views).numpy(), whole[rows, views])
    part = bank.select(np.array([2, 3, 8])).select(np.array([2, 1]))
    assert len(part) == 2
    assert np.array_equal(part.patches([0, 1]).numpy(), whole[[8, 3], 0])
    with pytest.raises(IndexError):
        bank.select(np.array([9])).patches([0])


def test_views_are_in_the_order_of_samples_and_seeds(samples: Sequence[Sample]) -> None:
    views = make_views(samples[:5], 64, [[None, np.random.default_rng(number)] for number in range(5)])
    for number, sample in enumerate(samples[:5]):
        (alone,) = make_views([sample], 64, [[np.random.default_rng(number)]])
        assert np.array_equal(views[2 * number], resize(read_image(sample.image), 64))
        assert np.array_equal(views[2 * number + 1], alone)
        assert not np.array_equal(views[2 * number], views[2 * number + 1])


def test_captions_that_name_a_direction_keep_the_image_upright(
    samples: Sequence[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    turned: list[tuple[str, bool]] = []

    def another_view(image: np.ndarray, rng: np.random.Generator, may_turn: bool) -> np.ndarray:
        turned.append((rng.bit_generator.seed_seq.entropy, may_turn))
        return image

    monkeypatch.setattr(module, "another_view", another_view)
    image = samples[0].image
    pair = [Sample(image, "train", ("a pond is left of a road .",)), Sample(image, "train", ("a pond .",))]
    make_views(pair, 64, [[np.random.default_rng(0)], [np.random.default_rng(1)]])
    assert sorted(turned) == [(0, False), (1, True)]
