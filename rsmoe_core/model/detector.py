"""pixels_BCHW → heat_BKhw → peaks: finds the single things that the objects expert is to count.

A ship of a few pixels is gone from the image encoder's 32-pixel patches. The detector looks at the picture enlarged to a
scale that suits the thing, with the image encoder's own first layers, and marks the centre of each thing by a peak of
heat on a grid of one cell for every 4 pixels (Zhou et al. 2019, "Objects as Points").

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
"""Pixels of the enlarged picture along one side of a cell of heat."""
_DEEPEST = 16
"""Pixels for one step of the coarsest features that are used; deeper ones say what a place is, not where a thing is."""
# What is likely before anything is seen: heat is next to nothing nearly everywhere.
_PRIOR = 0.01


@dataclass(frozen=True)
class DetectorClass:
    """One kind of thing as one kind of sensor shows it; each has a heat map of its own."""

    thing: str
    """Its name in the singular."""
    scale: float
    """Pixels of the enlarged picture for one of the picture, where the ground sample distance is not known."""
    metres: float
    """Ground sample distance of the enlarged picture, where it is known: the distance that was learned from."""
    coarsest: float
    """Metres per pixel from which on the thing cannot be told from anything else."""
    finest: float = 0.0
    """Metres per pixel below which another cls of the same thing is right."""
    nms_radius: float = 6.0
    """Pixels of the enlarged picture within which two peaks are of one thing."""

    test_time_rotations: int = 1
    """Quarter turns in which the picture is looked at; the heat is their mean. Cheap where a scene has few pixels."""

    def enlargement(self, metres_per_pixel: float | None) -> float:
        """Pixels of the enlarged picture for one of a picture with this ground sample distance."""
        return self.scale if metres_per_pixel is None else metres_per_pixel / self.metres


DETECTOR_CLASSES: dict[str, DetectorClass] = {
    "airplane": DetectorClass("airplane", scale=1.5, metres=1.0, coarsest=5.0, nms_radius=8.0),
    "ship": DetectorClass("ship", scale=1.0, metres=1.0, coarsest=3.0, nms_radius=8.0),
    "distant ship": DetectorClass("ship", scale=2.0, metres=5.0, finest=3.0, coarsest=20.0, test_time_rotations=4),
    "tree": DetectorClass("tree", scale=2.0, metres=0.3, coarsest=2.0),
}
"""Every cls that can be learned, by name: `distant` ones are for satellites that see ten metres as one pixel."""


DETECTORS: dict[str, tuple[str, ...]] = {
    "near": tuple(name for name, cls in DETECTOR_CLASSES.items() if not cls.finest),
    "far": tuple(name for name, cls in DETECTOR_CLASSES.items() if cls.finest),
}
"""The classes of each detector. One that learned both would have to forget much of the one to learn the other."""


def detector_of(cls: str) -> str:
    """The detector that has this cls."""
    return next(name for name, classes in DETECTORS.items() if cls in classes)


class Detector(nn.Module):
    """The image encoder's layers down to one step for 16 pixels, and a way back up to one cell for 4."""

    def __init__(self, vision: VisionConfig, classes: tuple[str, ...], width: int) -> None:
        super().__init__()
        self.classes = classes
        whole = EfficientNetLite(vision)
        self.stem = whole.stem
        self.blocks, widths = _upper_part(whole.blocks)
        self.levels = tuple(widths)
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in widths.values())
        self.smooth = nn.ModuleList(_mixing(width) for _ in widths)
        self.heatmap = nn.Conv2d(width, len(classes), 1)
        nn.init.normal_(self.heatmap.weight, std=0.01)
        assert self.heatmap.bias is not None
        nn.init.constant_(self.heatmap.bias, math.log(_PRIOR / (1 - _PRIOR)))

    def start_from(self, learned: nn.Module) -> None:
        """Take over the first layers of an image encoder that has learned, or all but the heat of another detector."""
        known = {key: value for key, value in learned.state_dict().items() if not key.startswith("heatmap.")}
        self.load_state_dict({key: known.get(key, value) for key, value in self.state_dict().items()})

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Normalised pixels (see `rsmoe_core.preprocess`), H and W multiples of 16 → logits of heat_BKhw."""
        x = F.relu6(self.stem(pixels_BCHW))
        seen = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.levels:
                seen.append(x)
        y = self.smooth[-1](self.lateral[-1](seen[-1]))
        for x, lateral, smooth in zip(seen[-2::-1], self.lateral[-2::-1], self.smooth[-2::-1], strict=True):
            y = smooth(lateral(x) + F.interpolate(y, size=x.shape[2:], mode="bilinear"))
        return self.heatmap(y)


def _upper_part(blocks: nn.Sequential) -> tuple[nn.Sequential, dict[int, int]]:
    """The blocks down to the deepest step that is used, and the last block of each step from 4 on with its width."""
    kept: list[nn.Module] = []
    step = 2
    last: dict[int, tuple[int, int]] = {}
    for number, block in enumerate(blocks):
        assert isinstance(block, InvertedResidual)
        step *= block.stride
        if step > _DEEPEST:
            break
        kept.append(block)
        last[step] = number, block.width
    return nn.Sequential(*kept), {number: width for s, (number, width) in last.items() if s >= CELL}


def _mixing(width: int) -> nn.Sequential:
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
def peaks(heat_hw: Tensor, least: float, nms_radius: float) -> Tensor:
    """peaks_N3 of one heat map in 0-1: x and y in pixels of the enlarged picture, and heat; the hottest first.

    Of peaks within `nms_radius` pixels of each other only the hottest stays. Weaker ones than `least` are left out.
    """
    radius = max(1, round(nms_radius / CELL))
    highest = F.max_pool2d(heat_hw[None, None], 2 * radius + 1, stride=1, padding=radius)[0, 0]
    y, x = torch.nonzero((heat_hw == highest) & (heat_hw >= least), as_tuple=True)
    found_N3 = torch.stack([(x + 0.5) * CELL, (y + 0.5) * CELL, heat_hw[y, x]], dim=1)
    return _apart(found_N3[found_N3[:, 2].argsort(descending=True, stable=True)], nms_radius)


def _apart(found_N3: Tensor, nms_radius: float) -> Tensor:
    """Without those that a hotter, or as hot, one within `nms_radius` makes superfluous: equal cells are one peak."""
    near_NN = torch.cdist(found_N3[:, :2], found_N3[:, :2]) <= nms_radius
    kept: list[int] = []
    for number in range(len(found_N3)):
        if not near_NN[number, kept].any():
            kept.append(number)
    return found_N3[kept]
