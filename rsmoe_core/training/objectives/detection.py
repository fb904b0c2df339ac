"""The objective of a detector: a heatmap with a peak at the centre of each object that has a box, and nowhere else.

    AnnotatedImages ─epoch_images─▶ one image for each crop ─crops.random_crop─▶ crops, heatmaps ─▶ focal loss

For two crops of images that contain objects of a class, there is one of an image that certainly lacks them, by the
rules of `rsmoe_core.data.qa`. Calibration sets the thresholds so that the detector finds as many objects in the
validation images as there are.

Shapes: B crops, K classes, h and w cells.
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
from rsmoe_core.data.qa import absent_objects
from rsmoe_core.errors import TrainingError
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.metrics.counting import Calibration, ImageDetections, fit_calibration
from rsmoe_core.model.detector import DETECTOR_CLASSES, Detector
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.model.vision.efficientnet_lite import NORMALISATION
from rsmoe_core.preprocess import normalise
from rsmoe_core.training.objectives.base import RunOptions, TrainingData, select_parameters
from rsmoe_core.training.objectives.crops import AnnotatedImage, random_crop, stack_crops
from rsmoe_core.training.phases import DetectionSettings, Phase
from rsmoe_core.types import Request

_EMPTY_SHARE = 0.5
"""Crops of images without the object, for one of an image with it."""
_READERS = 2
"""Threads that read images and cut crops."""
_FOCUS, _NEAR_CENTRE = 2, 4
"""Exponents of the focal loss (Zhou et al. 2019): easy cells, and cells near a centre, weigh little."""
_MIN_SCORE = 1e-4
"""Keeps logarithms finite."""


class DetectionObjective:
    """Single objects from crops; see `objectives.base.Objective`."""

    def __init__(
        self,
        model: RSMoE,
        phase: Phase,
        settings: DetectionSettings,
        train: TrainingData,
        validation: TrainingData,
        options: RunOptions,
    ) -> None:
        (self._name,) = phase.trains
        self._detector: Detector = model.detectors[self._name]
        self.trained = select_parameters(model, phase)
        self.buffers = list(self._detector.named_buffers())
        self._model, self._options = model, options
        self._detector.to(memory_format=torch.channels_last)
        classes = self._detector.classes
        self._images = epoch_images(
            annotated_images([one.sample for one in train.samples], classes),
            dict(zip(classes, settings.crops, strict=True)),
        )
        if not self._images:
            raise TrainingError(f"no image has a box for each {' or '.join(classes)}; give --data that does")
        self._validation = annotated_images([one.sample for one in validation.samples], classes)
        self._calibrations: dict[str, Calibration] = {}

    def __len__(self) -> int:
        return len(self._images)

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """One loss, over a random crop of each image."""
        self._detector.train()
        annotated = [self._images[index] for index in images.tolist()]
        with ThreadPoolExecutor(_READERS) as readers:
            crops = list(readers.map(random_crop, annotated, rng.spawn(len(annotated))))
        images_BHWC, truth_Bhw = stack_crops(crops)
        device = next(self._detector.parameters()).device
        pixels_BCHW = normalise(images_BHWC, NORMALISATION).to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._options.bf16):
            heatmaps_BKhw = self._detector(pixels_BCHW)
        classes_B = [self._detector.classes.index(one.detector_class) for one in annotated]
        own_Bhw = heatmaps_BKhw[torch.arange(len(annotated), device=device), torch.tensor(classes_B, device=device)]
        yield focal_loss(own_Bhw.float(), torch.from_numpy(truth_Bhw).to(device))

    def validate(self) -> tuple[float, dict[str, float]]:
        """The score is the negative relative error of counts in the validation images, averaged over the classes."""
        self._detector.eval()
        self._calibrations = {name: fit_calibration(images) for name, images in self._detect().items()}
        errors = {name: calibration.error for name, calibration in self._calibrations.items()}
        figures = {f"validation_error_{name.replace(' ', '_')}": error for name, error in errors.items()}
        return (-float(np.mean(list(errors.values()))) if errors else 0.0), figures

    def calibrate(self) -> None:
        """Set threshold, slope and count error of each class to those that the last validation fitted."""
        detection = self._model.config.detection
        for name, fitted in self._calibrations.items():
            detection = detection.calibrated(name, fitted.threshold, fitted.slope, fitted.log_count_std)
        self._model.config = dataclasses.replace(self._model.config, detection=detection)

    def _detect(self) -> dict[str, list[ImageDetections]]:
        """Detector class → for each validation image with objects, what the detector finds and what is there."""
        device = str(next(self._detector.parameters()).device)
        detectors = Detectors({self._name: self._detector}, self._model.config.detection, device)
        found: dict[str, list[ImageDetections]] = defaultdict(list)
        for annotated in self._validation:
            if annotated.boxes:
                request = Request(read_image(annotated.image), metres_per_pixel=annotated.metres_per_pixel)
                peaks = detectors.peaks(request, annotated.detector_class)
                found[annotated.detector_class].append(ImageDetections(peaks, annotated.boxes))
        return found


def annotated_images(samples: Sequence[Sample], classes: Sequence[str]) -> list[AnnotatedImage]:
    """Every image with boxes for the objects of one of the detector classes, and those that certainly lack them."""
    annotated = []
    for sample in samples:
        if sample.boxes is not None:
            name = next((name for name in classes if _applies(name, sample)), None)
            if name is not None:
                annotated.append(AnnotatedImage(sample.image, name, sample.boxes.cxcywh, sample.metres_per_pixel))
    aerial = {DETECTOR_CLASSES[name].label: name for name in classes if not DETECTOR_CLASSES[name].finest}
    for sample in samples:
        for label in absent_objects(sample, aerial):
            annotated.append(AnnotatedImage(sample.image, aerial[label], (), sample.metres_per_pixel))
    return annotated


def _applies(name: str, sample: Sample) -> bool:
    """Whether a detector class is the one for the boxes of an image."""
    spec, metres = DETECTOR_CLASSES[name], sample.metres_per_pixel
    assert sample.boxes is not None
    fits = spec.finest == 0 if metres is None else spec.finest <= metres < spec.coarsest
    return sample.boxes.label == spec.label and fits


def epoch_images(images: Sequence[AnnotatedImage], crops: Mapping[str, int]) -> list[AnnotatedImage]:
    """The images of an epoch, each as often as a crop is cut from it; `crops` gives their number for each class."""
    by_class: dict[tuple[str, bool], list[AnnotatedImage]] = defaultdict(list)
    for image in images:
        by_class[image.detector_class, bool(image.boxes)].append(image)
    drawn: list[AnnotatedImage] = []
    for (name, has_objects), own in sorted(by_class.items()):
        wanted = crops[name] if has_objects else round(crops[name] * _EMPTY_SHARE)
        drawn += [own[index] for index in np.linspace(0, len(own), wanted, endpoint=False).astype(int).tolist()]
    return drawn


def focal_loss(logits_Bhw: Tensor, truth_Bhw: Tensor) -> Tensor:
    """The penalty-reduced focal loss of heatmaps, divided by the number of centres."""
    score = logits_Bhw.sigmoid().clamp(_MIN_SCORE, 1 - _MIN_SCORE)
    centre = (truth_Bhw == 1).float()
    hit = centre * (1 - score) ** _FOCUS * score.log()
    miss = (1 - centre) * (1 - truth_Bhw) ** _NEAR_CENTRE * score**_FOCUS * (1 - score).log()
    return -(hit + miss).sum() / centre.sum().clamp(min=1)
