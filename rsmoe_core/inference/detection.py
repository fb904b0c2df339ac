"""Request → Detections: detectors applied to whole images, each enlarged to the scale that suits the object.

    image ─fill, enlarge─▶ pixels_BCHW ─detector, block by block─▶ heatmap_hw ─peaks─▶ Detections, in image pixels

Shapes: B images, C channels, H and W pixels of the enlarged image, h = H/4 and w = W/4 cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from rsmoe_core.config import DetectionConfig
from rsmoe_core.model.detector import CELL, DETECTOR_CLASSES, Detector, DetectorClass, detector_of, peaks
from rsmoe_core.model.vision.efficientnet_lite import NORMALISATION, folded_copy
from rsmoe_core.preprocess import filled_image, normalise
from rsmoe_core.types import Detection, Request

_BLOCK, _MARGIN = 640, 64
"""Pixels of the enlarged image that are processed at a time, and the context around them."""
_SIDE_MULTIPLE = 16
"""Detectors need sides that are a multiple of it."""
_MAX_ENLARGEMENT = 4.0
"""Enlarging further adds no detail."""
_MIN_SCORE, _MIN_CONFIDENCE = 0.03, 0.05
"""Heatmap score below which there is no peak, and confidence below which a peak is no detection."""


class Detectors:
    """The detectors of a trained model, for images of any size. A model may have none."""

    def __init__(self, detectors: Mapping[str, Detector], config: DetectionConfig, device: str) -> None:
        self._detectors, self._config, self._device = detectors, config, device
        self._folded: dict[str, Detector] = {}

    def __len__(self) -> int:
        """Number of detector classes."""
        return len(self._config.classes)

    def class_for(self, label: str, metres_per_pixel: float | None) -> str | None:
        """The detector class that finds an object at this ground sample distance.

        None where there is no detector for the object, or it cannot be seen at this distance.
        """
        for name in self._config.classes:
            spec = DETECTOR_CLASSES[name]
            if spec.label != label:
                continue
            if metres_per_pixel is None:
                return name  # the first: images of unknown ground sample distance are usually aerial ones
            if spec.finest <= metres_per_pixel < spec.coarsest:
                return name
        return None

    def knows(self, label: str) -> bool:
        """Whether there is a detector for the object, at any ground sample distance."""
        return any(DETECTOR_CLASSES[name].label == label for name in self._config.classes)

    def detect(self, request: Request, class_name: str) -> tuple[Detection, ...]:
        """Every possible object of a detector class in the image, the most confident first.

        Raises:
            ImageError: the image is not HxWx3 uint8, or the mask has another size.
        """
        spec = DETECTOR_CLASSES[class_name]
        nms_radius = spec.nms_radius / _enlargement(request, spec)
        log_count_std = self._config.log_count_stds[self._config.classes.index(class_name)]
        candidates = [(x, y, self._confidence(class_name, score)) for x, y, score in self.peaks(request, class_name)]
        return tuple(
            Detection(spec.label, x, y, confidence, nms_radius, log_count_std)
            for x, y, confidence in candidates
            if confidence >= _MIN_CONFIDENCE
        )

    @torch.inference_mode()
    def peaks(self, request: Request, class_name: str) -> tuple[tuple[float, float, float], ...]:
        """x and y in pixels of the request's image, and heatmap score, of every peak on an observed pixel."""
        spec = DETECTOR_CLASSES[class_name]
        pixels_1CHW, (scale_x, scale_y) = _enlarged(request, _enlargement(request, spec))
        rotated = [
            self._heatmap(pixels_1CHW.rot90(turns, (2, 3)), class_name).rot90(-turns, (0, 1))
            for turns in range(spec.test_time_rotations)
        ]
        heatmap_hw = torch.stack(rotated).mean(dim=0)
        found = peaks(heatmap_hw, _MIN_SCORE, spec.nms_radius).tolist()
        in_image = ((x / scale_x, y / scale_y, score) for x, y, score in found)
        return tuple((x, y, score) for x, y, score in in_image if _is_observed(request, x, y))

    def _heatmap(self, pixels_1CHW: Tensor, class_name: str) -> Tensor:
        """heatmap_hw of a whole image, computed block by block to bound the memory."""
        detector = self._folded_detector(detector_of(class_name))
        channel = detector.classes.index(class_name)
        height, width = pixels_1CHW.shape[2:]
        heatmap_hw = torch.zeros(height // CELL, width // CELL)
        for (top, bottom), (n, s) in _blocks(height):
            for (left, right), (w, e) in _blocks(width):
                block_1CHW = pixels_1CHW[:, :, n:s, w:e].to(self._device, memory_format=torch.channels_last)
                block_hw = detector(block_1CHW)[0, channel].sigmoid().cpu()
                inside = block_hw[(top - n) // CELL : (bottom - n) // CELL, (left - w) // CELL : (right - w) // CELL]
                heatmap_hw[top // CELL : bottom // CELL, left // CELL : right // CELL] = inside
        return heatmap_hw

    def _folded_detector(self, name: str) -> Detector:
        """The detector in its inference form, made at first use."""
        if name not in self._folded:
            self._folded[name] = folded_copy(self._detectors[name])
        return self._folded[name]

    def _confidence(self, class_name: str, score: float) -> float:
        """Heatmap scores are not probabilities; this applies the calibration.

        One half is where, on the validation split, as many objects are found as there are.
        """
        number = self._config.classes.index(class_name)
        slope, threshold = self._config.slopes[number], self._config.thresholds[number]
        return 1 / (1 + math.exp(-slope * (_logit(score) - _logit(threshold))))


def _enlargement(request: Request, spec: DetectorClass) -> float:
    return min(_MAX_ENLARGEMENT, spec.enlargement(request.metres_per_pixel))


def _enlarged(request: Request, scale: float) -> tuple[Tensor, tuple[float, float]]:
    """Normalised pixels_1CHW, padded to sides that detectors accept, and the exact scales along x and y."""
    image_HWC = filled_image(request)
    height, width = image_HWC.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(image_HWC)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    pixels_1CHW = normalise(np.array(image)[None], NORMALISATION)
    padded_1CHW = F.pad(pixels_1CHW, (0, -size[0] % _SIDE_MULTIPLE, 0, -size[1] % _SIDE_MULTIPLE), mode="replicate")
    return padded_1CHW, (size[0] / width, size[1] / height)


def _blocks(extent: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Start and stop of each block along one side, and of the block with its margins."""
    for start in range(0, extent, _BLOCK):
        stop = min(start + _BLOCK, extent)
        yield (start, stop), (max(0, start - _MARGIN), min(extent, stop + _MARGIN))


def _is_observed(request: Request, x: float, y: float) -> bool:
    height, width = request.image.shape[:2]
    return x < width and y < height and (request.valid is None or bool(request.valid[int(y), int(x)]))


def _logit(probability: float) -> float:
    probability = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(probability / (1 - probability))
