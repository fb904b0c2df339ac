from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsmoe_core.checkpoint.load import load_for_inference, load_model, save_model
from rsmoe_core.checkpoint.validation import load_config, parse_config
from rsmoe_core.config import ModelConfig, VisionConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.loading import load
from rsmoe_core.model.vision.base import build_encoder, find_encoder
from rsmoe_core.model.vision.huggingface import load_pretrained, vision_config
from tests.core.model.vision.test_base import tiny_with

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
WIDE = SMALL | {"intermediate_size": 48}
MODELS = {
    "vit": ("ViT", WIDE),
    "deit": ("DeiT", WIDE),
    "dinov2": ("Dinov2", SMALL | {"mlp_ratio": 2}),
    "dinov2_with_registers": ("Dinov2WithRegisters", SMALL | {"mlp_ratio": 2}),
    "clip_vision_model": ("CLIPVision", WIDE),
    "siglip_vision_model": ("SiglipVision", WIDE),
}
MEAN, STD = [0.5, 0.25, 0.125], [0.5, 0.25, 0.2]


def write_preprocessor(folder: Path, **values: Any) -> Path:
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": MEAN, "image_std": STD} | values))
    return folder


def published(folder: Path, model_type: str) -> tuple[Path, Any]:
    """A folder as transformers writes it, of a small model with random weights, and that model."""
    import transformers

    name, settings = MODELS[model_type]
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**settings)).eval()
    for parameter in model.parameters():  # position embeddings and biases would be zero
        torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)
    return write_preprocessor(folder), model


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("image_size", [32, 48])
def test_patches_are_those_of_transformers(tmp_path: Path, model_type: str, image_size: int) -> None:
    folder, model = published(tmp_path, model_type)
    config = vision_config(folder, image_size)
    encoder = build_encoder(config).eval()
    find_encoder(config).load_pretrained(encoder, config.pretrained)
    pixels = torch.randn(2, 3, image_size, image_size)
    resizes = {} if image_size == 32 or "dinov2" in model_type else {"interpolate_pos_encoding": True}
    with torch.inference_mode():
        patches = encoder(pixels)
        expected = model(pixel_values=pixels, **resizes).last_hidden_state
    count = (image_size // 8) ** 2
    assert find_encoder(config).patches(config) == count
    assert patches.shape == (2, count, 32)
    extra = {"vit": 1, "deit": 2, "dinov2": 1, "dinov2_with_registers": 5, "clip_vision_model": 1}.get(model_type, 0)
    assert torch.allclose(patches, expected[:, extra:], atol=1e-6)


@pytest.mark.parametrize("model_type", MODELS)
def test_a_model_folder_is_self_contained(
    tmp_path: Path, model_type: str, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = published(tmp_path / "published", model_type)
    model = tiny_with(vision_config(source, 48))
    load_pretrained(model.vision, source)
    save_model(model, tmp_path / "model")
    for path in source.iterdir():
        path.unlink()
    monkeypatch.setattr("transformers.utils.cached_file", lambda *_: pytest.fail("fetched"))
    config = load_config(tmp_path / "model")
    assert config == model.config
    pixels = torch.randn(2, 3, 48, 48)
    with torch.inference_mode():
        expected = model.vision(pixels)
        assert torch.equal(load_for_inference(tmp_path / "model").vision(pixels), expected)
        assert torch.equal(load_model(tmp_path / "model").vision(pixels), expected)
    first, second = load(tmp_path / "model", device="cpu").caption(images[:2])
    assert first.confidence != second.confidence


def test_pixels_are_normalised_as_the_preprocessor_says(tmp_path: Path) -> None:
    folder, _ = published(tmp_path, "vit")
    config = vision_config(folder, 32)
    normalisation = find_encoder(config).normalisation(config)
    assert normalisation.mean == (127.5, 63.75, 31.875)
    assert normalisation.std == (127.5, 63.75, 51.0)
    config = vision_config(write_preprocessor(folder, do_normalize=False), 32)
    assert find_encoder(config).normalisation(config).std == (255.0, 255.0, 255.0)


def test_the_vision_part_of_clip_is_used(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    torch.manual_seed(0)
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config=WIDE)).eval()
    clip.save_pretrained(tmp_path)
    config = vision_config(write_preprocessor(tmp_path), 32)
    encoder = build_encoder(config).eval()
    load_pretrained(encoder, tmp_path)
    pixels = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        expected = clip.vision_model(pixel_values=pixels).last_hidden_state
        assert torch.allclose(encoder(pixels), expected[:, 1:], atol=1e-6)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"model_type": "bert"}, "model_type 'bert' is not supported"),
        ({"model_type": "../vit", "auto_map": {"AutoModel": "evil.Model"}}, "is not supported"),
        ({"hidden_size": 10**9}, "hidden_size is 1000000000, not from 1 to 16384"),
        ({"num_attention_heads": 5}, "cannot be shared by 5 heads"),
        ({"patch_size": 7}, "no multiple of 7"),
        ({"num_channels": 4}, "num_channels is 4"),
        ({"hidden_act": "os.system"}, "hidden_act is not of"),
        ({"qkv_bias": "yes"}, "qkv_bias is not true or false"),
    ],
)
def test_a_model_that_is_not_supported_is_refused(tmp_path: Path, values: dict[str, Any], reason: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit", **WIDE} | values))
    with pytest.raises(ModelError, match=reason):
        vision_config(write_preprocessor(tmp_path), 32)


def test_settings_that_change_the_features_are_not_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip_vision_model", **WIDE}))
    write_preprocessor(tmp_path)
    vision_config(tmp_path, 32)
    values = {
        "model_type": "siglip_vision_model",
        **WIDE,
        "vision_use_head": False,
        "attn_implementation": "evil/kernel",
    }
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert "attn_implementation" not in vision_config(tmp_path, 32).options["architecture"]
    monkeypatch.setattr("rsmoe_core.model.vision.huggingface._WITHOUT_EFFECT", set())
    with pytest.raises(ModelError, match="the settings vision_use_head are not supported"):
        vision_config(tmp_path, 32)


def test_missing_files_and_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        vision_config(tmp_path)
    folder, _ = published(tmp_path, "vit")
    encoder = build_encoder(vision_config(folder, 32))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights for this image encoder"):
        load_pretrained(encoder, folder)
    wide = dataclasses.replace(vision_config(folder, 32), feature_size=64)
    with pytest.raises(ModelError, match="feature_size is 64, but the encoder has 32 features"):
        build_encoder(wide)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    folder, _ = published(tmp_path, "vit")
    encoder = build_encoder(vision_config(published(tmp_path / "other", "dinov2")[0], 32))
    with pytest.raises(ModelError, match="no weights for this image encoder"):
        load_pretrained(encoder, folder)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"architecture": {"model_type": "vit"}, "image_mean": MEAN, "image_std": STD},
        {"architecture": {"model_type": "vit", **WIDE, "_name_or_path": "x"}, "image_mean": MEAN, "image_std": STD},
        {"architecture": {"model_type": "vit", **WIDE, "hidden_size": 32.0}, "image_mean": MEAN, "image_std": STD},
        {"architecture": {"model_type": "vit", **WIDE}, "image_mean": MEAN, "image_std": [1, 1, 0]},
        {"architecture": {"model_type": "vit", **WIDE}, "image_mean": "0.5", "image_std": STD},
        {"architecture": [["model_type", "vit"]], "image_mean": MEAN, "image_std": STD},
    ],
)
def test_a_model_folder_with_a_strange_encoder_is_refused(options: dict[str, Any]) -> None:
    vision = VisionConfig("huggingface", image_size=32, feature_size=32, options=options)
    with pytest.raises(ModelError, match=r"vision\.options"):
        parse_config(dataclasses.replace(ModelConfig(), vision=vision).to_dict())
