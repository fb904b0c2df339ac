"""Images → patch features of the frozen image encoder, computed once and stored on disk.

    Samples ─make_views─▶ views ─image encoder─▶ features_NVPD.npy ─FeatureBank─▶ patches_BPD

    features_NVPD.npy    float16
    features.json        a fingerprint of what they were computed from, and how many images are done

View 0 is the image itself; the others are random augmentations, the same for the same seed. A run that was interrupted
is resumed; another encoder, data set, seed or way of reading images starts from the beginning.

Shapes: N images, V views of each, P patches, D features, B images of a batch, C channels, H rows, W columns.
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

from rsmoe_core.data.augment import another_view, is_directional
from rsmoe_core.data.base import Sample, read_image
from rsmoe_core.preprocess import Normalisation, normalise, resize
from rsmoe_core.progress import Progress, progress_bar
from rsmoe_core.training.distributed import from_rank0
from rsmoe_core.training.run_folder import write_text_atomically

_BATCH = 16
_VIEWS_VERSION = 2
"""Raise it whenever the same file gives other views, so that features of the old ones are computed again."""


ViewSeed = np.random.Generator | None
"""The random generator of an augmented view; None stands for the image itself."""


@dataclass(frozen=True)
class FeatureBank:
    """Rows of several memory maps as if they were one array, which is never copied as a whole."""

    arrays: tuple[NDArray[np.float16], ...]
    """features_NVPD of each data folder; all with the same V, P and D."""
    rows: NDArray[np.int64]
    """The selected rows, numbered through all arrays."""

    @classmethod
    def of(cls, arrays: Sequence[NDArray[np.float16]]) -> FeatureBank:
        """Every row of the arrays, in order."""
        return cls(tuple(arrays), np.arange(sum(map(len, arrays))))

    def select(self, rows: NDArray[np.int64]) -> FeatureBank:
        """The bank of some of this bank's rows; an empty bank stays empty."""
        return self if not self.arrays else FeatureBank(self.arrays, self.rows[rows])

    @property
    def views(self) -> int:
        """Views of each image."""
        return self.arrays[0].shape[1]

    def __len__(self) -> int:
        return len(self.rows)

    def patches(self, rows: Iterable[int], views: Iterable[int] | None = None) -> Tensor:
        """patches_BPD in float32 of some rows, of one view each (None: view 0)."""
        rows = list(rows)
        chosen = zip(rows, [0] * len(rows) if views is None else views, strict=True)
        return torch.from_numpy(np.stack([self._patches_of(self.rows[row], view) for row, view in chosen])).float()

    def _patches_of(self, row: int, view: int) -> NDArray[np.float16]:
        for array in self.arrays:
            if row < len(array):
                return array[row, view]
            row -= len(array)
        raise IndexError(row)


@dataclass(frozen=True)
class ViewOptions:
    """How images become views."""

    views: int
    """Views of each image."""
    image_size: int
    """Side of a view, in pixels."""
    normalisation: Normalisation
    """The one that the image encoder wants."""
    seed: int = 0


def cached_features(
    encoder: nn.Module,
    samples: Sequence[Sample],
    folder: Path,
    options: ViewOptions,
    progress: Progress = progress_bar,
) -> NDArray[np.float16]:
    """features_NVPD of the samples as a read-only memory map, computed into `folder` where they are not there yet.

    In a distributed run, rank 0 computes them.
    """
    return np.load(from_rank0(lambda: _compute(encoder, samples, folder, options, progress)), mmap_mode="r")


def _compute(
    encoder: nn.Module, samples: Sequence[Sample], folder: Path, options: ViewOptions, progress: Progress
) -> Path:
    """The file with the features, which is complete afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    array_path, state_path = folder / "features_NVPD.npy", folder / "features.json"
    fingerprint = _fingerprint(encoder, samples, options)
    state = json.loads(state_path.read_text()) if state_path.is_file() else {}
    done = state.get("done", 0) if state.get("fingerprint") == fingerprint and array_path.is_file() else 0
    if done < len(samples):
        patches, size = _feature_shape(encoder, options.image_size)
        shape = (len(samples), options.views, patches, size)
        if not done:  # or the state of an earlier array would seem to be that of the new one
            state_path.unlink(missing_ok=True)
        array = open_memmap(array_path, "r+" if done else "w+", dtype=np.float16, shape=None if done else shape)
        with progress(len(samples), "image", f"features of {folder.name}", done) as advance:
            for start in range(done, len(samples), _BATCH):
                stop = min(start + _BATCH, len(samples))
                array[start:stop] = _encode(encoder, samples[start:stop], start, options)
                array.flush()
                write_text_atomically(state_path, json.dumps({"fingerprint": fingerprint, "done": stop}))
                advance(stop - start)
    return array_path


def _encode(encoder: nn.Module, samples: Sequence[Sample], start: int, options: ViewOptions) -> NDArray[np.float16]:
    """features_NVPD of consecutive samples, the first of which has the index `start`."""
    seeds: list[list[ViewSeed]] = [
        [np.random.default_rng((options.seed, index, view)) if view else None for view in range(options.views)]
        for index in range(start, start + len(samples))
    ]
    images = make_views(samples, options.image_size, seeds)
    with torch.inference_mode():
        device = next(encoder.parameters()).device
        pixels_BCHW = normalise(np.stack(images), options.normalisation).to(device, memory_format=torch.channels_last)
        patches_BPD = encoder(pixels_BCHW)
    return patches_BPD.to(torch.float16).cpu().numpy().reshape(len(samples), options.views, *patches_BPD.shape[1:])


def _feature_shape(encoder: nn.Module, image_size: int) -> tuple[int, int]:
    with torch.inference_mode():
        device = next(encoder.parameters()).device
        return tuple(encoder(torch.zeros(1, 3, image_size, image_size, device=device)).shape[1:])


def _fingerprint(encoder: nn.Module, samples: Sequence[Sample], options: ViewOptions) -> str:
    digest = hashlib.sha256(repr((_VIEWS_VERSION, options)).encode())
    for value in encoder.state_dict().values():
        digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    for sample in samples:
        digest.update(f"{sample.image.name}:{sample.image.stat().st_size};".encode())
    return digest.hexdigest()


def make_views(samples: Sequence[Sample], size: int, seeds: Sequence[Sequence[ViewSeed]]) -> list[NDArray[np.uint8]]:
    """For each sample one view, `size` x `size` pixels, for each of its seeds: all of the first sample's, and so on.

    Threads are enough, since decoding and resizing release Python's lock.

    Raises:
        DataError: an image cannot be read.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        by_sample = threads.map(_views_of, samples, [size] * len(samples), seeds)
        return [view for views in by_sample for view in views]


def _views_of(sample: Sample, size: int, seeds: Sequence[ViewSeed]) -> list[NDArray[np.uint8]]:
    image = resize(read_image(sample.image), size)
    may_turn = not is_directional(sample.captions)
    return [image if rng is None else another_view(image, rng, may_turn) for rng in seeds]
