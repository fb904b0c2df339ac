"""pixels_BCHW → heatmaps_BKhw → peaks_N3: finds single objects, so that they can be counted.

A ship of a few pixels disappears in the image encoder's patches. A detector therefore reads the image enlarged to a
scale that suits the object, through the first layers of an EfficientNet-Lite, and marks the centre of each object by a
peak of a heatmap with one cell for every 4 pixels (Zhou et al. 2019, "Objects as Points").

Shapes: B images, C channels, H and W pixels, K classes, h = H/4 and w = W/4 cells, N peaks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsmoe_core.config import VisionConfig
from rsmoe_core.model.vision.efficientnet_lite import EfficientNetLite, InvertedResidual

CELL = 4
"""Pixels of the enlarged image along one side of a heatmap cell."""
_MAX_STRIDE = 16
"""Stride of the coarsest features that are used; deeper ones tell what a scene is, not where an object is."""
_PRIOR = 0.01
"""Heatmap score before training: nearly all cells are background."""


@dataclass(frozen=True)
class DetectorClass:
    """One kind of object as one kind of sensor shows it; each has a heatmap of its own."""

    label: str
    """The object's name in the singular; several classes may share it."""
    scale: float
    """Pixels of the enlarged image for one of the original, where the ground sample distance is not known."""
    metres_per_pixel: float
    """Ground sample distance of the enlarged image, where it is known: the one that the class is trained at."""
    coarsest: float
    """Metres per pixel from which on the object cannot be told from its surroundings."""
    finest: float = 0.0
    """Metres per pixel below which another class of the same object applies."""
    nms_radius: float = 6.0
    """Pixels of the enlarged image within which two peaks belong to one object."""
    test_time_rotations: int = 1
    """Quarter turns of the image over which heatmaps are averaged. Cheap where a scene has few pixels."""

    def enlargement(self, metres_per_pixel: float | None) -> float:
        """Pixels of the enlarged image for one of an image with this ground sample distance."""
        return self.scale if metres_per_pixel is None else metres_per_pixel / self.metres_per_pixel


DETECTOR_CLASSES: dict[str, DetectorClass] = {
    "airplane": DetectorClass("airplane", scale=1.5, metres_per_pixel=1.0, coarsest=5.0, nms_radius=8.0),
    "ship": DetectorClass("ship", scale=1.0, metres_per_pixel=1.0, coarsest=3.0, nms_radius=8.0),
    "distant ship": DetectorClass(
        "ship", scale=2.0, metres_per_pixel=5.0, finest=3.0, coarsest=20.0, test_time_rotations=4
    ),
    "tree": DetectorClass("tree", scale=2.0, metres_per_pixel=0.3, coarsest=2.0),
}
"""Every class that can be learned, by name: `distant` ones are for satellites with pixels of ten metres."""


DETECTORS: dict[str, tuple[str, ...]] = {
    "near": tuple(name for name, spec in DETECTOR_CLASSES.items() if not spec.finest),
    "far": tuple(name for name, spec in DETECTOR_CLASSES.items() if spec.finest),
}
"""The classes of each detector. A single detector for both would forget much of one while it learns the other."""


def detector_of(class_name: str) -> str:
    """The detector that has this class."""
    return next(name for name, classes in DETECTORS.items() if class_name in classes)


class Detector(nn.Module):
    """EfficientNet-Lite down to stride 16, a feature pyramid back up to stride 4, and one heatmap for each class."""

    def __init__(self, vision: VisionConfig, classes: tuple[str, ...], width: int) -> None:
        super().__init__()
        self.classes = classes
        encoder = EfficientNetLite(vision)
        self.stem = encoder.stem
        self.blocks, channels = _first_blocks(encoder.blocks)
        self.levels = tuple(channels)
        """Numbers of the blocks whose outputs enter the pyramid."""
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels.values())
        self.smooth = nn.ModuleList(_smoothing(width) for _ in channels)
        self.heatmap = nn.Conv2d(width, len(classes), 1)
        nn.init.normal_(self.heatmap.weight, std=0.01)
        assert self.heatmap.bias is not None
        nn.init.constant_(self.heatmap.bias, math.log(_PRIOR / (1 - _PRIOR)))

    def start_from(self, source: nn.Module) -> None:
        """Copy the weights that a trained EfficientNet-Lite has in common, or all but the heatmaps of a detector.

        Image encoders of other architectures have none in common.
        """
        if not isinstance(source, EfficientNetLite | Detector):
            return
        known = {key: value for key, value in source.state_dict().items() if not key.startswith("heatmap.")}
        self.load_state_dict({key: known.get(key, value) for key, value in self.state_dict().items()})

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Pixels in EfficientNet-Lite's normalisation, H and W multiples of 16 → logits heatmaps_BKhw."""
        x = F.relu6(self.stem(pixels_BCHW))
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.levels:
                features.append(x)
        y = self.smooth[-1](self.lateral[-1](features[-1]))
        for x, lateral, smooth in zip(features[-2::-1], self.lateral[-2::-1], self.smooth[-2::-1], strict=True):
            y = smooth(lateral(x) + F.interpolate(y, size=x.shape[2:], mode="bilinear"))
        return self.heatmap(y)


def _first_blocks(blocks: nn.Sequential) -> tuple[nn.Sequential, dict[int, int]]:
    """The blocks up to the largest stride that is used, and the channels of the last block at each stride from 4 on."""
    first: list[nn.Module] = []
    stride = 2
    last: dict[int, tuple[int, int]] = {}
    for number, block in enumerate(blocks):
        assert isinstance(block, InvertedResidual)
        stride *= block.stride
        if stride > _MAX_STRIDE:
            break
        first.append(block)
        last[stride] = number, block.width
    return nn.Sequential(*first), {number: channels for s, (number, channels) in last.items() if s >= CELL}


def _smoothing(width: int) -> nn.Sequential:
    """Convolutions after two levels of the pyramid were added."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


@torch.inference_mode()
def peaks(heatmap_hw: Tensor, min_score: float, nms_radius: float) -> Tensor:
    """peaks_N3 of one heatmap in 0-1: x and y in pixels of the enlarged image, and score; the highest score first.

    Of peaks within `nms_radius` pixels of each other only the highest remains; peaks below `min_score` are dropped.
    """
    radius = max(1, round(nms_radius / CELL))
    highest_hw = F.max_pool2d(heatmap_hw[None, None], 2 * radius + 1, stride=1, padding=radius)[0, 0]
    y, x = torch.nonzero((heatmap_hw == highest_hw) & (heatmap_hw >= min_score), as_tuple=True)
    peaks_N3 = torch.stack([(x + 0.5) * CELL, (y + 0.5) * CELL, heatmap_hw[y, x]], dim=1)
    return _suppress_neighbours(peaks_N3[peaks_N3[:, 2].argsort(descending=True, stable=True)], nms_radius)


def _suppress_neighbours(peaks_N3: Tensor, nms_radius: float) -> Tensor:
    """Non-maximum suppression by distance of peaks sorted by score; cells with equal scores are one peak."""
    is_near_NN = torch.cdist(peaks_N3[:, :2], peaks_N3[:, :2]) <= nms_radius
    remaining: list[int] = []
    for number in range(len(peaks_N3)):
        if not is_near_NN[number, remaining].any():
            remaining.append(number)
    return peaks_N3[remaining]
