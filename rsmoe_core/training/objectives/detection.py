"""The objective of the counter: heat that rises at the centre of each marked thing and nowhere else.

Each sight gets half as many windows again without a single thing, of pictures that `data.asking` knows to lack it.
After each epoch the counter is calibrated on the pictures held out, so that it finds as many things as are there.

Shapes: B windows, K sights, h and w cells.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsmoe_core.data.base import Sample, read_image
from rsmoe_core.data.qa import lacking
from rsmoe_core.errors import TrainingError
from rsmoe_core.inference.detection import Finder
from rsmoe_core.metrics.counting import Searched, fit_heat
from rsmoe_core.model.detector import SIGHTS, Counter
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.preprocess import normalise
from rsmoe_core.training.objectives.base import Material, Session, select_parameters
from rsmoe_core.training.objectives.crops import MarkedPicture, batch_of, draw_window
from rsmoe_core.training.stages import Phase
from rsmoe_core.types import Request

_EMPTY_SHARE = 0.5
"""Windows of pictures that lack the thing, for one of a picture in which it is marked."""
_READERS = 2
# Exponents of the focal loss (Zhou et al. 2019): easy cells and cells beside a centre weigh little.
_EASY, _BESIDE = 2, 4
_LEAST = 1e-4


class Counting:
    """See `objectives.Objective`."""

    def __init__(self, model: RSMoE, phase: Phase, train: Material, validation: Material, session: Session) -> None:
        (self._name,) = phase.trains
        self._counter: Counter = model.counters[self._name]
        self.trained = select_parameters(model, phase)
        self.statistics = [(name, b) for name, b in self._counter.named_buffers()]
        self._model, self._session = model, session
        self._counter.to(memory_format=torch.channels_last)
        sights = self._counter.sights
        self._draws = draws_of(
            marked_pictures([s.sample for s in train.studies], sights), dict(zip(sights, phase.windows, strict=True))
        )
        if not self._draws:
            raise TrainingError(f"no picture shows {' or '.join(sights)} marked one by one; give --data that does")
        self._held_out = marked_pictures([s.sample for s in validation.studies], sights)

    def __len__(self) -> int:
        return len(self._draws)

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """One loss, over a random window of each picture."""
        self._counter.train()
        pictures = [self._draws[number] for number in images.tolist()]
        with ThreadPoolExecutor(_READERS) as readers:
            windows = list(readers.map(draw_window, pictures, rng.spawn(len(pictures))))
        images_BHWC, truth_Bhw = batch_of(windows)
        device = next(self._counter.parameters()).device
        pixels_BCHW = normalise(images_BHWC).to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._session.bf16):
            heat_BKhw = self._counter(pixels_BCHW)
        sights = torch.tensor([self._counter.sights.index(p.sight) for p in pictures], device=device)
        own_Bhw = heat_BKhw[torch.arange(len(pictures), device=device), sights]
        yield focal_loss(own_Bhw.float(), torch.from_numpy(truth_Bhw).to(device))

    def validate(self) -> tuple[float, dict[str, float]]:
        """The error of the counts held out, relative to the number of things and averaged over the sights, with its
        sign turned. Calibrates the counter.
        """
        self._counter.eval()
        counting = self._model.config.counting
        found = self._found()
        figures: dict[str, float] = {}
        for name, pictures in found.items():
            fit = fit_heat(pictures)
            figures[f"validation_error_{name.replace(' ', '_')}"] = fit.error
            counting = counting.calibrated(name, fit.threshold, fit.slope, fit.spread)
        self._model.config = dataclasses.replace(self._model.config, counting=counting)
        errors = list(figures.values())
        return (-float(np.mean(errors)) if errors else 0.0), figures

    def _found(self) -> dict[str, list[Searched]]:
        """Sight → for each picture held out, what was found there and what is there."""
        device = str(next(self._counter.parameters()).device)
        finder = Finder({self._name: self._counter}, self._model.config.counting, device)
        found: dict[str, list[Searched]] = defaultdict(list)
        for picture in self._held_out:
            if picture.boxes:
                request = Request(read_image(picture.image), metres_per_pixel=picture.metres_per_pixel)
                found[picture.sight].append(Searched(finder.peaks(request, picture.sight), picture.boxes))
        return found


def marked_pictures(samples: Sequence[Sample], sights: Sequence[str]) -> list[MarkedPicture]:
    """Every picture in which the things of a sight are marked, and those that lack them for certain."""
    marked = []
    for sample in samples:
        if sample.marks is not None:
            sight = next((s for s in sights if _shows(s, sample)), None)
            if sight is not None:
                marked.append(MarkedPicture(sample.image, sight, sample.marks.boxes, sample.metres_per_pixel))
    aerial = {SIGHTS[name].thing: name for name in sights if not SIGHTS[name].finest}
    for sample in samples:
        for thing in lacking(sample, aerial):
            marked.append(MarkedPicture(sample.image, aerial[thing], (), sample.metres_per_pixel))
    return marked


def _shows(name: str, sample: Sample) -> bool:
    """Whether a sight is the one for the marks of a picture."""
    sight, metres = SIGHTS[name], sample.metres_per_pixel
    assert sample.marks is not None
    fits = sight.finest == 0 if metres is None else sight.finest <= metres < sight.coarsest
    return sample.marks.thing == sight.thing and fits


def draws_of(pictures: Sequence[MarkedPicture], windows: Mapping[str, int]) -> list[MarkedPicture]:
    """The pictures of an epoch's windows, each as often as a window is cut from it: so many windows for each sight."""
    by_sight: dict[tuple[str, bool], list[MarkedPicture]] = defaultdict(list)
    for picture in pictures:
        by_sight[picture.sight, bool(picture.boxes)].append(picture)
    draws: list[MarkedPicture] = []
    for (sight, holds), own in sorted(by_sight.items()):
        wanted = windows[sight] if holds else round(windows[sight] * _EMPTY_SHARE)
        draws += [own[number] for number in np.linspace(0, len(own), wanted, endpoint=False).astype(int).tolist()]
    return draws


def focal_loss(heat_Bhw: Tensor, truth_Bhw: Tensor) -> Tensor:
    """The penalty-reduced focal loss of logits, for each centre."""
    share = heat_Bhw.sigmoid().clamp(_LEAST, 1 - _LEAST)
    centre = (truth_Bhw == 1).float()
    hit = centre * (1 - share) ** _EASY * share.log()
    miss = (1 - centre) * (1 - truth_Bhw) ** _BESIDE * share**_EASY * (1 - share).log()
    return -(hit + miss).sum() / centre.sum().clamp(min=1)
