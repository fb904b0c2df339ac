"""Patch features of a frozen image encoder, computed once and kept on disk.

    features_NVPD.npy    float16; N samples, V views of each, P patches, D features
    features.json        the fingerprint of what they were computed from, and how many rows are done

View 0 is the picture as it is; the others are random views, the same for the same seed. A broken run goes on where it
stopped; another encoder, data set or seed starts anew.

Samples → views to learn from: pictures read, resized and seen anew, several at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from rsmoe_core.data.augment import another_view, is_directional
from rsmoe_core.data.base import Sample, read_image
from rsmoe_core.preprocess import normalise, resize
from rsmoe_core.training.distributed import from_rank0
from rsmoe_core.training.run_folder import write_whole

_BATCH = 16


@dataclass(frozen=True)
class FeatureBank:
    """Rows of several memory maps as if they were one, without ever copying them whole."""

    arrays: tuple[NDArray[np.float16], ...]
    """One features_NVPD for each data folder; all with the same V, P and D."""
    rows: NDArray[np.int64]
    """The chosen rows, numbered through all arrays."""

    @classmethod
    def of(cls, arrays: Sequence[NDArray[np.float16]]) -> FeatureBank:
        """Every row of the arrays, in order."""
        return cls(tuple(arrays), np.arange(sum(map(len, arrays))))

    def select(self, rows: NDArray[np.int64]) -> FeatureBank:
        """The bank of some of this bank's rows; of an empty bank, an empty one."""
        return self if not self.arrays else FeatureBank(self.arrays, self.rows[rows])

    @property
    def views(self) -> int:
        """Views of each picture."""
        return self.arrays[0].shape[1]

    def __len__(self) -> int:
        return len(self.rows)

    def patches(self, rows: Iterable[int], views: Iterable[int] | None = None) -> Tensor:
        """patches_BPD in float32 of some rows, of one view each (None: view 0)."""
        rows = list(rows)
        chosen = zip(rows, [0] * len(rows) if views is None else views, strict=True)
        return torch.from_numpy(np.stack([self._one(self.rows[row], view) for row, view in chosen])).float()

    def _one(self, row: int, view: int) -> NDArray[np.float16]:
        for array in self.arrays:
            if row < len(array):
                return array[row, view]
            row -= len(array)
        raise IndexError(row)


def cached_features(
    encoder: nn.Module, samples: Sequence[Sample], folder: Path, *, views: int, image_size: int, seed: int
) -> NDArray[np.float16]:
    """features_NVPD of the samples, read from or computed into `folder`, as a read-only memory map.

    Of several processes the first computes them.
    """
    return np.load(from_rank0(lambda: _computed(encoder, samples, folder, views, image_size, seed)), mmap_mode="r")


def _computed(
    encoder: nn.Module, samples: Sequence[Sample], folder: Path, views: int, image_size: int, seed: int
) -> Path:
    """The file with the features, now complete."""
    folder.mkdir(parents=True, exist_ok=True)
    array_path, state_path = folder / "features_NVPD.npy", folder / "features.json"
    fingerprint = _fingerprint(encoder, samples, views, image_size, seed)
    state = json.loads(state_path.read_text()) if state_path.is_file() else {}
    done = state.get("done", 0) if state.get("fingerprint") == fingerprint and array_path.is_file() else 0
    if done < len(samples):
        patches, size = _feature_shape(encoder, image_size)
        shape = (len(samples), views, patches, size)
        if not done:  # the old state must not outlive the old array
            state_path.unlink(missing_ok=True)
        array = open_memmap(array_path, "r+" if done else "w+", dtype=np.float16, shape=None if done else shape)
        for start in tqdm(range(done, len(samples), _BATCH), desc=f"features → {folder.name}", disable=None):
            stop = min(start + _BATCH, len(samples))
            array[start:stop] = _encode(encoder, samples[start:stop], start, views, image_size, seed)
            array.flush()
            write_whole(state_path, json.dumps({"fingerprint": fingerprint, "done": stop}))
    return array_path


def _encode(
    encoder: nn.Module, samples: Sequence[Sample], start: int, views: int, image_size: int, seed: int
) -> NDArray[np.float16]:
    """features_NVPD of consecutive samples, the first of which has number `start`."""
    chances: list[list[Chance]] = [
        [np.random.default_rng((seed, number, view)) if view else None for view in range(views)]
        for number in range(start, start + len(samples))
    ]
    images = make_views(samples, image_size, chances)
    with torch.inference_mode():
        device = next(encoder.parameters()).device
        pixels_BCHW = normalise(np.stack(images)).to(device, memory_format=torch.channels_last)
        patches_BPD = encoder(pixels_BCHW)
    return patches_BPD.to(torch.float16).cpu().numpy().reshape(len(samples), views, *patches_BPD.shape[1:])


def _feature_shape(encoder: nn.Module, image_size: int) -> tuple[int, int]:
    with torch.inference_mode():
        device = next(encoder.parameters()).device
        return tuple(encoder(torch.zeros(1, 3, image_size, image_size, device=device)).shape[1:])


def _fingerprint(encoder: nn.Module, samples: Sequence[Sample], views: int, image_size: int, seed: int) -> str:
    digest = hashlib.sha256(repr((views, image_size, seed)).encode())
    for value in encoder.state_dict().values():
        digest.update(value.cpu().contiguous().numpy().tobytes())
    for sample in samples:
        digest.update(f"{sample.image.name}:{sample.image.stat().st_size};".encode())
    return digest.hexdigest()


Chance = np.random.Generator | None
"""Where a random view comes from; None is the picture as it is."""


def make_views(samples: Sequence[Sample], size: int, chances: Sequence[Sequence[Chance]]) -> list[NDArray[np.uint8]]:
    """For each sample one view, `size` x `size` pixels, for each of its chances: all of the first sample's, and so on.

    Decoding and scaling leave Python's lock alone, so threads are enough. Raises DataError for a picture that cannot
    be read.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(_views, samples, [size] * len(samples), chances)
        return [view for own in found for view in own]


def _views(sample: Sample, size: int, chances: Sequence[Chance]) -> list[NDArray[np.uint8]]:
    picture = resize(read_image(sample.image), size)
    may_turn = not is_directional(sample.captions)
    return [picture if rng is None else another_view(picture, rng, may_turn) for rng in chances]
