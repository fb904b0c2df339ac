"""Requests → Detection: a detector over whole pictures, each enlarged to the scale that suits the thing.

    image ─fill, enlarge─▶ pixels_BCHW ─detector, block by block─▶ heat_hw ─peaks─▶ Detection, in pixels of the image

Shapes: B images, C channels, H and W pixels of the enlarged picture, h = H/4 and w = W/4 cells.
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
from rsmoe_core.model.vision.efficientnet_lite import folded_copy
from rsmoe_core.preprocess import filled, normalise
from rsmoe_core.types import Detection, Request

_BLOCK, _MARGIN = 640, 64
"""Pixels of the enlarged picture that are looked at in one go, and what is seen around them."""
_STEP = 16
"""The detector wants sides that are a multiple of it."""
_LARGEST = 4.0
"""A picture is enlarged at most so many times: no more is in it than was observed."""
_FAINT, _DOUBTFUL = 0.03, 0.05
"""Heat below which there is no peak, and confidence below which a thing is not told."""


class Detectors:
    """The detectors of a finished model, ready for pictures of any size; without any it knows no thing."""

    def __init__(self, detectors: Mapping[str, Detector], config: DetectionConfig, device: str) -> None:
        self._counters, self._config, self._device = detectors, config, device
        self._folded: dict[str, Detector] = {}

    def class_for(self, thing: str, metres_per_pixel: float | None) -> str | None:
        """The cls that shows the thing at this ground sample distance; None where it cannot be seen or was not
        learned.
        """
        for name in self._config.classes:
            cls = DETECTOR_CLASSES[name]
            if cls.thing != thing:
                continue
            if metres_per_pixel is None:
                return name  # the first: pictures without a known distance are aerial ones as a rule
            if cls.finest <= metres_per_pixel < cls.coarsest:
                return name
        return None

    def knows(self, thing: str) -> bool:
        """Whether it learned to find the thing at all."""
        return any(DETECTOR_CLASSES[name].thing == thing for name in self._config.classes)

    def find(self, request: Request, name: str) -> tuple[Detection, ...]:
        """Everything in the picture that may be the thing of the cls `name`, the surest first."""
        number = self._config.classes.index(name)
        cls = DETECTOR_CLASSES[name]
        nms_radius = cls.nms_radius / _scale(request, cls)
        sure = [(x, y, self._confidence(number, heat)) for x, y, heat in self.peaks(request, name)]
        spread = self._config.log_count_stds[number]
        return tuple(
            Detection(cls.thing, x, y, share, nms_radius, spread) for x, y, share in sure if share >= _DOUBTFUL
        )

    @torch.inference_mode()
    def peaks(self, request: Request, name: str) -> tuple[tuple[float, float, float], ...]:
        """x and y in pixels of the request's picture, and heat, of every peak on a pixel that was observed."""
        cls = DETECTOR_CLASSES[name]
        pixels_1CHW, scales = _enlarged(request, _scale(request, cls))
        heats = [
            self._heat(pixels_1CHW.rot90(turn, (2, 3)), name).rot90(-turn, (0, 1))
            for turn in range(cls.test_time_rotations)
        ]
        heat_hw = torch.stack(heats).mean(dim=0)
        found = [(x / scales[0], y / scales[1], h) for x, y, h in peaks(heat_hw, _FAINT, cls.nms_radius).tolist()]
        return tuple((x, y, heat) for x, y, heat in found if _is_observed(request, x, y))

    def _heat(self, pixels_1CHW: Tensor, name: str) -> Tensor:
        """heat_hw of a whole picture, of which one block after the other is in memory."""
        detector = self._ready(detector_of(name))
        number = detector.classes.index(name)
        height, width = pixels_1CHW.shape[2:]
        whole_hw = torch.zeros(height // CELL, width // CELL)
        for (top, bottom), (n, s) in _blocks(height):
            for (left, right), (w, e) in _blocks(width):
                seen = pixels_1CHW[:, :, n:s, w:e].to(self._device, memory_format=torch.channels_last)
                heat_hw = detector(seen)[0, number].sigmoid().cpu()
                inside = heat_hw[(top - n) // CELL : (bottom - n) // CELL, (left - w) // CELL : (right - w) // CELL]
                whole_hw[top // CELL : bottom // CELL, left // CELL : right // CELL] = inside
        return whole_hw

    def _ready(self, name: str) -> Detector:
        """The detector, folded_copy when it is first needed: captions need none."""
        if name not in self._folded:
            self._folded[name] = folded_copy(self._counters[name])
        return self._folded[name]

    def _confidence(self, number: int, heat: float) -> float:
        """Heat is no probability: one half is where, on pictures held out, as many are found as there are."""
        slope, threshold = self._config.slopes[number], self._config.thresholds[number]
        return 1 / (1 + math.exp(-slope * (_logit(heat) - _logit(threshold))))


def _scale(request: Request, cls: DetectorClass) -> float:
    return min(_LARGEST, cls.enlargement(request.metres_per_pixel))


def _enlarged(request: Request, scale: float) -> tuple[Tensor, tuple[float, float]]:
    """Normalised pixels_1CHW with sides that the detector takes, and the two scales that whole pixels allow."""
    image = filled(request)
    height, width = image.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(image)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    pixels_1CHW = normalise(np.array(picture)[None])
    padded = F.pad(pixels_1CHW, (0, -size[0] % _STEP, 0, -size[1] % _STEP), mode="replicate")
    return padded, (size[0] / width, size[1] / height)


def _blocks(extent: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Start and stop of each block along one side, and of what is seen with it."""
    for start in range(0, extent, _BLOCK):
        stop = min(start + _BLOCK, extent)
        yield (start, stop), (max(0, start - _MARGIN), min(extent, stop + _MARGIN))


def _is_observed(request: Request, x: float, y: float) -> bool:
    height, width = request.image.shape[:2]
    return x < width and y < height and (request.valid is None or bool(request.valid[int(y), int(x)]))


def _logit(share: float) -> float:
    share = min(max(share, 1e-6), 1 - 1e-6)
    return math.log(share / (1 - share))
