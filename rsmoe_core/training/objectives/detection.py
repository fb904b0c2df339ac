"""The objective of the detector: heat that rises at the centre of each boxed thing and nowhere else.

Each cls gets half as many windows again without a single thing, of pictures that `data.asking` knows to lack it.
After each epoch the detector is calibrated on the pictures held out, so that it finds as many things as are there.

Shapes: B windows, K classes, h and w cells.
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
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.metrics.counting import ImageDetections, fit_calibration
from rsmoe_core.model.detector import DETECTOR_CLASSES, Detector
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.preprocess import normalise
from rsmoe_core.training.objectives.base import RunOptions, TrainingData, select_parameters
from rsmoe_core.training.objectives.crops import AnnotatedImage, batch_of, draw_crop
from rsmoe_core.training.stages import Phase
from rsmoe_core.types import Request

_EMPTY_SHARE = 0.5
"""Windows of pictures that lack the thing, for one of a picture in which it is boxed."""
_READERS = 2
# Exponents of the focal loss (Zhou et al. 2019): easy cells and cells beside a centre weigh little.
_EASY, _BESIDE = 2, 4
_LEAST = 1e-4


class DetectionObjective:
    """See `objectives.Objective`."""

    def __init__(
        self, model: RSMoE, phase: Phase, train: TrainingData, validation: TrainingData, session: RunOptions
    ) -> None:
        (self._name,) = phase.trains
        self._detector: Detector = model.detectors[self._name]
        self.trained = select_parameters(model, phase)
        self.statistics = [(name, b) for name, b in self._detector.named_buffers()]
        self._model, self._session = model, session
        self._detector.to(memory_format=torch.channels_last)
        classes = self._detector.classes
        self._draws = draws_of(
            marked_pictures([s.sample for s in train.training_samples], classes),
            dict(zip(classes, phase.windows, strict=True)),
        )
        if not self._draws:
            raise TrainingError(f"no picture shows {' or '.join(classes)} boxed one by one; give --data that does")
        self._held_out = marked_pictures([s.sample for s in validation.training_samples], classes)

    def __len__(self) -> int:
        return len(self._draws)

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """One loss, over a random window of each picture."""
        self._detector.train()
        pictures = [self._draws[number] for number in images.tolist()]
        with ThreadPoolExecutor(_READERS) as readers:
            windows = list(readers.map(draw_crop, pictures, rng.spawn(len(pictures))))
        images_BHWC, truth_Bhw = batch_of(windows)
        device = next(self._detector.parameters()).device
        pixels_BCHW = normalise(images_BHWC).to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._session.bf16):
            heat_BKhw = self._detector(pixels_BCHW)
        classes = torch.tensor([self._detector.classes.index(p.cls) for p in pictures], device=device)
        own_Bhw = heat_BKhw[torch.arange(len(pictures), device=device), classes]
        yield focal_loss(own_Bhw.float(), torch.from_numpy(truth_Bhw).to(device))

    def validate(self) -> tuple[float, dict[str, float]]:
        """The error of the counts held out, relative to the number of things and averaged over the classes, with its
        sign turned. Calibrates the detector.
        """
        self._detector.eval()
        counting = self._model.config.detection
        found = self._found()
        figures: dict[str, float] = {}
        for name, pictures in found.items():
            fit = fit_calibration(pictures)
            figures[f"validation_error_{name.replace(' ', '_')}"] = fit.error
            counting = counting.calibrated(name, fit.threshold, fit.slope, fit.log_count_std)
        self._model.config = dataclasses.replace(self._model.config, detection=counting)
        errors = list(figures.values())
        return (-float(np.mean(errors)) if errors else 0.0), figures

    def _found(self) -> dict[str, list[ImageDetections]]:
        """DetectorClass → for each picture held out, what was found there and what is there."""
        device = str(next(self._detector.parameters()).device)
        detectors = Detectors({self._name: self._detector}, self._model.config.detection, device)
        found: dict[str, list[ImageDetections]] = defaultdict(list)
        for picture in self._held_out:
            if picture.boxes:
                request = Request(read_image(picture.image), metres_per_pixel=picture.metres_per_pixel)
                found[picture.cls].append(ImageDetections(detectors.peaks(request, picture.cls), picture.boxes))
        return found


def marked_pictures(samples: Sequence[Sample], classes: Sequence[str]) -> list[AnnotatedImage]:
    """Every picture in which the things of a cls are boxed, and those that lack them for certain."""
    boxed = []
    for sample in samples:
        if sample.boxes is not None:
            cls = next((s for s in classes if _shows(s, sample)), None)
            if cls is not None:
                boxed.append(AnnotatedImage(sample.image, cls, sample.boxes.cxcywh, sample.metres_per_pixel))
    aerial = {DETECTOR_CLASSES[name].thing: name for name in classes if not DETECTOR_CLASSES[name].finest}
    for sample in samples:
        for thing in lacking(sample, aerial):
            boxed.append(AnnotatedImage(sample.image, aerial[thing], (), sample.metres_per_pixel))
    return boxed


def _shows(name: str, sample: Sample) -> bool:
    """Whether a cls is the one for the marks of a picture."""
    cls, metres = DETECTOR_CLASSES[name], sample.metres_per_pixel
    assert sample.boxes is not None
    fits = cls.finest == 0 if metres is None else cls.finest <= metres < cls.coarsest
    return sample.boxes.label == cls.thing and fits


def draws_of(pictures: Sequence[AnnotatedImage], windows: Mapping[str, int]) -> list[AnnotatedImage]:
    """The pictures of an epoch's windows, each as often as a window is cut from it: so many windows for each cls."""
    by_sight: dict[tuple[str, bool], list[AnnotatedImage]] = defaultdict(list)
    for picture in pictures:
        by_sight[picture.cls, bool(picture.boxes)].append(picture)
    draws: list[AnnotatedImage] = []
    for (cls, holds), own in sorted(by_sight.items()):
        wanted = windows[cls] if holds else round(windows[cls] * _EMPTY_SHARE)
        draws += [own[number] for number in np.linspace(0, len(own), wanted, endpoint=False).astype(int).tolist()]
    return draws


def focal_loss(heat_Bhw: Tensor, truth_Bhw: Tensor) -> Tensor:
    """The penalty-reduced focal loss of logits, for each centre."""
    share = heat_Bhw.sigmoid().clamp(_LEAST, 1 - _LEAST)
    centre = (truth_Bhw == 1).float()
    hit = centre * (1 - share) ** _EASY * share.log()
    miss = (1 - centre) * (1 - truth_Bhw) ** _BESIDE * share**_EASY * (1 - share).log()
    return -(hit + miss).sum() / centre.sum().clamp(min=1)
