from __future__ import annotations

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
from rsmoe_core.model.vision.efficientnet_lite import EfficientNetLite
from rsmoe_core.preprocess import normalise
from rsmoe_core.presets import tiny
from rsmoe_core.training.features import FeatureBank, cached_features
from tests.tiny import wake


class DetectionObjective(EfficientNetLite):
    """Counts the pictures that it encodes; breaks after `limit` of them."""

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


def encoder(seed: int = 0) -> DetectionObjective:
    torch.manual_seed(seed)
    model = wake(DetectionObjective(tiny().vision))
    model.seen = 0
    return model


def computed(
    model: DetectionObjective, samples: Sequence[Sample], folder: Path, seed: int = 0, views: int = 2
) -> np.ndarray:
    return np.array(cached_features(model, samples, folder, views=views, image_size=64, seed=seed))


def test_view_0_is_the_picture_as_it_is(samples: Sequence[Sample], tmp_path: Path) -> None:
    model = encoder()
    found = computed(model, samples, tmp_path / "cache")
    assert found.shape == (36, 2, 4, 32)
    assert found.dtype == np.float16
    with torch.inference_mode():
        expected = model(normalise(np.stack([read_image(samples[20].image)])))[0]
    assert np.allclose(found[20, 0], expected, atol=1e-2)
    assert not np.array_equal(found[20, 0], found[20, 1])


def test_a_cache_is_reused(samples: Sequence[Sample], tmp_path: Path) -> None:
    first = computed(encoder(), samples, tmp_path)
    again = encoder()
    assert np.array_equal(computed(again, samples, tmp_path), first)
    assert again.seen == 0


def test_a_broken_run_goes_on_where_it_stopped(samples: Sequence[Sample], tmp_path: Path) -> None:
    whole = computed(encoder(), samples, tmp_path / "whole")
    broken = encoder()
    broken.limit = 32
    with pytest.raises(KeyboardInterrupt):
        computed(broken, samples, tmp_path / "broken")
    again = encoder()
    assert np.array_equal(computed(again, samples, tmp_path / "broken"), whole)
    assert again.seen == whole.shape[0] * 2 - 32


@pytest.mark.parametrize("change", ["encoder", "seed", "views", "picture", "fewer"])
def test_another_origin_starts_anew(samples: Sequence[Sample], tmp_path: Path, change: str) -> None:
    first = computed(encoder(), samples, tmp_path / "cache")
    if change == "picture":
        Image.new("RGB", (64, 64), "red").save(samples[3].image)
    chosen = samples[:30] if change == "fewer" else samples
    model = encoder(seed=1 if change == "encoder" else 0)
    seed, views = int(change == "seed"), 3 if change == "views" else 2
    found = computed(model, chosen, tmp_path / "cache", seed, views)
    assert model.seen == len(chosen) * views
    assert np.array_equal(found, computed(model, chosen, tmp_path / "fresh", seed, views))
    if change == "picture":
        assert not np.array_equal(found[3], first[3])


def test_an_array_that_was_begun_anew_is_never_taken_for_the_old_one(samples: Sequence[Sample], tmp_path: Path) -> None:
    first = computed(encoder(), samples, tmp_path)
    broken = encoder(seed=1)
    broken.limit = 0
    with pytest.raises(KeyboardInterrupt):
        computed(broken, samples, tmp_path)
    assert np.array_equal(computed(encoder(), samples, tmp_path), first)


def test_the_state_says_what_is_done(samples: Sequence[Sample], tmp_path: Path) -> None:
    computed(encoder(), samples, tmp_path)
    assert json.loads((tmp_path / "features.json").read_text())["done"] == 36
    assert sorted(p.name for p in tmp_path.glob("features*")) == ["features.json", "features_NVPD.npy"]


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
