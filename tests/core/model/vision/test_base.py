from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rsmoe_core.checkpoint.load import load_for_inference, load_model, save_model
from rsmoe_core.checkpoint.validation import parse_config
from rsmoe_core.config import ModelConfig, VisionConfig
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.loading import load
from rsmoe_core.model.rsmoe import RSMoE, build
from rsmoe_core.model.vision.base import (
    ENCODERS,
    EncoderSpec,
    ImageEncoder,
    build_encoder,
    find_encoder,
    register_encoder,
)
from rsmoe_core.preprocess import Normalisation
from rsmoe_core.presets import tiny
from tests.tiny import make_tiny

VISION = dataclasses.replace(
    tiny().vision, encoder="conv_patches", image_size=48, feature_size=24, options={"patch_size": 16}
)


class ConvPatches(ImageEncoder):
    """One strided convolution."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        size = config.options["patch_size"]
        self.conv = nn.Conv2d(3, config.feature_size, size, size)

    def forward(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        return self.conv(pixels_BCHW).flatten(2).transpose(1, 2)


SPEC = EncoderSpec(
    "conv_patches",
    build=ConvPatches,
    patches=lambda config: (config.image_size // config.options["patch_size"]) ** 2,
    normalisation=lambda config: Normalisation((0.0, 10.0, 20.0), (255.0, 255.0, 255.0)),
    check=lambda config: () if "patch_size" in config.options else ("options.patch_size is missing",),
)


@pytest.fixture
def conv_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers an encoder as somebody outside of the package would."""
    monkeypatch.setattr("rsmoe_core.model.vision.base.ENCODERS", dict(ENCODERS))
    register_encoder(SPEC)


def tiny_with(vision: VisionConfig) -> RSMoE:
    """The tiny model with another image encoder."""
    other = make_tiny(experts=False)
    model = build(dataclasses.replace(other.config, vision=vision), other.tokenizer)
    model.add_experts()
    return model.eval()


@pytest.mark.usefixtures("conv_patches")
def test_a_registered_encoder_is_built_saved_loaded_and_used(tmp_path: Path, images: list[np.ndarray]) -> None:
    torch.manual_seed(0)
    model = tiny_with(VISION)
    save_model(model, tmp_path)
    again = load_for_inference(tmp_path)
    assert again.qformer.positions.shape == (1, 9, 24)
    assert not any(parameter.requires_grad for parameter in again.parameters())
    pixels = torch.randn(2, 3, 48, 48)
    with torch.inference_mode():
        assert torch.equal(again.vision(pixels), model.vision(pixels))
        assert torch.equal(load_model(tmp_path).vision(pixels), model.vision(pixels))
    engine = load(tmp_path, device="cpu")
    assert engine.image_size == 48
    descriptions = engine.caption(images)
    assert len({description.confidence for description in descriptions}) == len(images), "images differ"


@pytest.mark.usefixtures("conv_patches")
def test_the_engine_normalises_as_the_encoder_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tiny_with(VISION), tmp_path)
    engine = load(tmp_path, device="cpu")
    seen = []
    monkeypatch.setattr(ConvPatches, "forward", lambda self, x: seen.append(x) or torch.zeros(len(x), 9, 24))
    engine.caption([np.full((48, 48, 3), 255, np.uint8)])
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx([1.0, 245 / 255, 235 / 255])


@pytest.mark.usefixtures("conv_patches")
def test_detectors_do_not_depend_on_the_encoder(tmp_path: Path) -> None:
    model = tiny_with(VISION)
    model.add_detector("near")
    save_model(model, tmp_path)
    pixels = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        expected = model.eval().detectors["near"](pixels)
        assert torch.equal(load_for_inference(tmp_path).detectors["near"](pixels), expected)


@pytest.mark.usefixtures("conv_patches")
def test_a_configuration_that_does_not_fit_its_encoder_is_refused() -> None:
    wrong = dataclasses.replace(VISION, options={})
    with pytest.raises(ModelError, match=r"'conv_patches': options\.patch_size is missing"):
        build_encoder(wrong)
    values = dataclasses.replace(ModelConfig(), vision=wrong).to_dict()
    with pytest.raises(ModelError, match=r"vision\.options\.patch_size is missing"):
        parse_config(values)
    with pytest.raises(ModelError, match="reads no published weights"):
        SPEC.load_pretrained(build_encoder(VISION), "weights.pth")


@pytest.mark.parametrize("name", ["resnet", "base", "../base", "os"])
def test_an_unknown_encoder_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ModelError, match=r"choose one of: .*efficientnet_lite.*huggingface"):
        find_encoder(VisionConfig(name))


def test_a_name_is_registered_once() -> None:
    with pytest.raises(UsageError, match="registered already"):
        register_encoder(find_encoder(VisionConfig()))
