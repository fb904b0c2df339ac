"""pixels_BCHW → patches_BPD: what an image encoder is, and the registry of encoders.

    VisionConfig.encoder ─find_encoder─▶ EncoderSpec ─build─▶ ImageEncoder

An encoder is one module that registers one `EncoderSpec`; everything else of the model takes what it needs from there.
Encoders of this package are imported when they are first used, so that none costs anything where it is not.

Shapes: B images, C = 3 channels, H = W = image_size pixels, P patches, D = feature_size features.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rsmoe_core.config import VisionConfig
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.preprocess import Normalisation


class ImageEncoder(nn.Module):
    """What every image encoder does; any other `nn.Module` with the same `forward` serves as well."""

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Normalised pixels → patches_BPD, each patch at its own place in a fixed order."""
        raise NotImplementedError


def freeze(encoder: Any) -> Any:
    """Put a network into evaluation mode, in place, with nothing left to train."""
    return encoder.eval().requires_grad_(False)


def _no_pretrained_weights(encoder: ImageEncoder, source: str | Path) -> None:
    raise ModelError(f"{source}: {type(encoder).__name__} reads no published weights; leave the backbone out")


@dataclass(frozen=True)
class EncoderSpec:
    """One registered image encoder."""

    name: str
    """The value of `VisionConfig.encoder` that selects it."""
    build: Callable[[VisionConfig], ImageEncoder]
    """A new encoder with random weights. Also called on torch's `meta` device, to learn which weights it has."""
    patches: Callable[[VisionConfig], int]
    """P, the number of patches that it makes of one image."""
    normalisation: Callable[[VisionConfig], Normalisation]
    """How pixel values are scaled before it reads them."""
    check: Callable[[VisionConfig], Iterable[str]] = lambda config: ()
    """What is wrong with a configuration for this encoder, one line each. Called before anything is built."""
    prepare_for_inference: Callable[[ImageEncoder], ImageEncoder] = freeze
    """Freezes an encoder in place and makes it faster, without a change of its outputs."""
    load_pretrained: Callable[[ImageEncoder, str | Path], None] = _no_pretrained_weights
    """Fills an encoder with published weights, from a file, a folder or a hub id. Raises ModelError."""


ENCODERS: dict[str, EncoderSpec] = {}
"""Every registered encoder, by name."""
_BUILT_IN = ("efficientnet_lite", "huggingface")
"""Modules beside this one that register the encoder of their name when they are imported."""


def register_encoder(spec: EncoderSpec) -> None:
    """Make an encoder known, so that a configuration can name it.

    Raises:
        UsageError: the name is taken.
    """
    if spec.name in ENCODERS:
        raise UsageError(f"an image encoder '{spec.name}' is registered already; give the new one another name")
    ENCODERS[spec.name] = spec


def find_encoder(config: VisionConfig) -> EncoderSpec:
    """The registered encoder that a configuration names.

    Raises:
        ModelError: no encoder has this name.
    """
    name = config.encoder
    if name not in ENCODERS and name in _BUILT_IN:
        importlib.import_module(f"rsmoe_core.model.vision.{name}")
    if name not in ENCODERS:
        known = ", ".join(sorted({*ENCODERS, *_BUILT_IN}))
        raise ModelError(f"no image encoder '{name}'; choose one of: {known}; or register it first (register_encoder)")
    return ENCODERS[name]


def build_encoder(config: VisionConfig) -> ImageEncoder:
    """A new encoder, randomly initialised from torch's global generator.

    Raises:
        ModelError: no encoder has this name, or the configuration does not fit it.
    """
    spec = find_encoder(config)
    if faults := list(spec.check(config)):
        raise ModelError(f"image encoder '{config.encoder}': {'; '.join(faults)}")
    return spec.build(config)
