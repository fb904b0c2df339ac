"""pixels_BCHW → patches_BPD: vision transformers of the transformers library (ViT, DeiT, DINOv2, CLIP, SigLIP).

    vision_config("facebook/dinov2-small") ─▶ VisionConfig ─build─▶ HuggingFaceEncoder ─load_pretrained─▶ its weights

A model folder stays self-contained: the architecture is part of `config.json`, the weights are in `model.safetensors`.
The hub is only asked to start a training. Nothing is executed that a folder or the hub provides: an architecture is one
of `_ARCHITECTURES`, described by numbers within limits. transformers is imported when such an encoder is built.

The encoder returns the last layer's features of the patches alone. Class, distillation and register tokens are dropped:
each of the Q-Former's positions belongs to a part of the image, and its queries pool the patches themselves.

Shapes: B images, C = 3 channels, H = W = image_size pixels, P patches (row by row from the top left), D features.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsmoe_core.config import VisionConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.model.vision.base import EncoderSpec, ImageEncoder, register_encoder
from rsmoe_core.preprocess import Normalisation
from rsmoe_core.strict_json import read_json_file


@dataclasses.dataclass(frozen=True)
class _Architecture:
    """One model type of transformers."""

    config: str
    """Name of its configuration class."""
    model: str
    """Name of its model class."""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of the model class: leave out what is not needed for patch features."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Likewise of the configuration class."""


_ARCHITECTURES = {
    "vit": _Architecture("ViTConfig", "ViTModel", {"add_pooling_layer": False}),
    "deit": _Architecture("DeiTConfig", "DeiTModel", {"add_pooling_layer": False}),
    "dinov2": _Architecture("Dinov2Config", "Dinov2Model", settings={"use_mask_token": False}),
    "dinov2_with_registers": _Architecture("Dinov2WithRegistersConfig", "Dinov2WithRegistersModel"),
    "clip_vision_model": _Architecture("CLIPVisionConfig", "CLIPVisionModel"),
    "siglip_vision_model": _Architecture(
        "SiglipVisionConfig", "SiglipVisionModel", settings={"vision_use_head": False}
    ),
}
"""`model_type` of a configuration → its classes. No other type is ever built."""
_VISION_PARTS = {"clip": "clip_vision_model", "siglip": "siglip_vision_model"}
"""Types of models of images and texts → the type of their vision part."""
_WHOLE_NUMBERS: dict[str, tuple[float, float]] = {
    "hidden_size": (1, 16_384),
    "num_hidden_layers": (1, 128),
    "num_attention_heads": (1, 256),
    "intermediate_size": (1, 131_072),
    "image_size": (1, 2048),
    "patch_size": (1, 512),
    "num_channels": (3, 3),
    "num_register_tokens": (0, 64),
}
_NUMBERS = _WHOLE_NUMBERS | {
    "mlp_ratio": (1, 64),
    "layer_norm_eps": (0, 1),
    "layerscale_value": (-1000, 1000),
    "hidden_dropout_prob": (0, 0.99),
    "attention_probs_dropout_prob": (0, 0.99),
    "attention_dropout": (0, 0.99),
    "drop_path_rate": (0, 0.99),
}
"""Settings of an architecture that are numbers, and their limits."""
_FLAGS = {"qkv_bias", "use_swiglu_ffn"}
_ACTIVATIONS = {"gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu"}
_REQUIRED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
_WITHOUT_EFFECT = {
    *("encoder_stride", "pooler_act", "pooler_output_size", "projection_dim", "vision_use_head", "use_mask_token"),
    *("initializer_range", "initializer_factor", "apply_layernorm", "reshape_hidden_states"),
    *("out_features", "out_indices", "_out_features", "_out_indices", "stage_names"),
}
"""Settings that do not change the patch features of trained weights."""
_OPTIONS = {"architecture", "image_mean", "image_std"}


class HuggingFaceEncoder(ImageEncoder):
    """A vision transformer of transformers, reduced to its patch features."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        architecture = config.options["architecture"]
        self.patches = _patches(config)
        # DINOv2 interpolates its position embeddings whenever it has to, the others on request.
        is_resized = config.image_size != architecture["image_size"]
        asks = is_resized and not architecture["model_type"].startswith("dinov2")
        self.arguments = {"interpolate_pos_encoding": True} if asks else {}
        kind = _ARCHITECTURES[architecture["model_type"]]
        model = _transformers_class(kind.model)(_transformers_config(architecture), **kind.arguments)
        # Depending on the version of transformers, CLIP and SigLIP wrap their network once more.
        self.model = getattr(model, "vision_model", model)
        _fill_position_ids(self.model)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Normalised pixels → patches_BPD."""
        features_BTD = self.model(pixel_values=pixels_BCHW, **self.arguments).last_hidden_state
        return features_BTD[:, -self.patches :]  # class, distillation and register tokens come first


def vision_config(pretrained: str | Path, image_size: int = 224) -> VisionConfig:
    """The configuration of an image encoder that starts from a model of the Hugging Face hub, or of a local folder.

    `image_size` is a multiple of the model's patch size; position embeddings are interpolated to it. Reads
    `config.json` and `preprocessor_config.json`, but no weights.

    Raises:
        ModelError: the files cannot be read, or it is a model that is not supported.
    """
    values, preprocessing = _read(pretrained, "config.json"), _read(pretrained, "preprocessor_config.json")
    architecture = _architecture_of(pretrained, values)
    normalises = preprocessing.get("do_normalize", True)
    config = VisionConfig(
        encoder="huggingface",
        image_size=image_size,
        feature_size=architecture["hidden_size"],
        pretrained=str(pretrained),
        options={
            "architecture": architecture,
            "image_mean": preprocessing.get("image_mean") if normalises else [0.0, 0.0, 0.0],
            "image_std": preprocessing.get("image_std") if normalises else [1.0, 1.0, 1.0],
        },
    )
    if faults := list(_check(config)):
        raise ModelError(f"{pretrained}: {'; '.join(faults)}; choose another image encoder or image size")
    return config


def load_pretrained(encoder: ImageEncoder, source: str | Path) -> None:
    """Fill an encoder with the weights of a model of the hub, or of a local folder; safetensors only.

    Raises:
        ModelError: the weights cannot be read or do not fit.
    """
    assert isinstance(encoder, HuggingFaceEncoder)
    config = encoder.model.config
    kind = _ARCHITECTURES[config.model_type]
    try:
        model, report = _transformers_class(kind.model).from_pretrained(
            str(source), config=config, use_safetensors=True, output_loading_info=True, **kind.arguments
        )
        encoder.model.load_state_dict(getattr(model, "vision_model", model).state_dict())
    except Exception as error:  # transformers, huggingface_hub, safetensors and torch each raise their own
        reason = (str(error) or repr(error)).splitlines()[0]
        raise ModelError(f"{source}: no weights for this image encoder ({reason}); check --backbone") from error
    if missing := sorted(report["missing_keys"]):
        raise ModelError(f"{source}: no weights for this image encoder ({missing[0]} is missing); check --backbone")


def _check(config: VisionConfig) -> Iterator[str]:
    options = config.options
    if set(options) != _OPTIONS:
        yield f"options are not {', '.join(sorted(_OPTIONS))}; make them with huggingface.vision_config"
        return
    yield from _normalisation_faults(options)
    architecture = options["architecture"]
    faults = list(_architecture_faults(architecture))
    yield from faults
    if faults:
        return
    if config.image_size % architecture["patch_size"]:
        yield f"image_size is {config.image_size}, which is no multiple of {architecture['patch_size']}"
    if config.feature_size != architecture["hidden_size"]:
        yield f"feature_size is {config.feature_size}, but the encoder has {architecture['hidden_size']} features"


def _normalisation_faults(options: Mapping[str, Any]) -> Iterator[str]:
    for name, smallest in (("image_mean", 0.0), ("image_std", 1e-3)):
        values = options[name]
        is_list = isinstance(values, list | tuple) and len(values) == 3
        if not (is_list and all(_is_number(value) and smallest <= value <= 10 for value in values)):
            yield f"options.{name} is not three numbers from {smallest:g} to 10"


def _architecture_faults(architecture: Any) -> Iterator[str]:
    """What is wrong with a description of an architecture."""
    if not isinstance(architecture, Mapping) or architecture.get("model_type") not in _ARCHITECTURES:
        yield f"options.architecture is not of a supported model_type: {', '.join(_ARCHITECTURES)}"
        return
    for name in _REQUIRED:
        if name not in architecture:
            yield f"options.architecture.{name} is missing"
    for name, value in architecture.items():
        path = f"options.architecture.{name}"
        if name in _NUMBERS:
            smallest, largest = _NUMBERS[name]
            is_number = type(value) is int if name in _WHOLE_NUMBERS else _is_number(value)
            if not (is_number and smallest <= value <= largest):
                yield f"{path} is {repr(value)[:40]}, not from {smallest:g} to {largest:g}"
        elif name in _FLAGS:
            if not isinstance(value, bool):
                yield f"{path} is not true or false"
        elif name == "hidden_act":
            if value not in _ACTIVATIONS:
                yield f"{path} is not of: {', '.join(sorted(_ACTIVATIONS))}"
        elif name != "model_type":
            yield f"{path} is an unknown setting"
    size, heads = architecture.get("hidden_size"), architecture.get("num_attention_heads")
    if isinstance(size, int) and isinstance(heads, int) and heads > 0 and size % heads:
        yield f"options.architecture.hidden_size {size} cannot be shared by {heads} heads"


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _architecture_of(source: str | Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """A transformers configuration → the settings that describe its architecture, complete with their defaults."""
    model_type = str(values.get("model_type"))
    if model_type in _VISION_PARTS:
        model_type, values = _VISION_PARTS[model_type], values.get("vision_config") or {}
    if model_type not in _ARCHITECTURES:
        raise ModelError(f"{source}: model_type '{model_type}' is not supported; use {', '.join(_ARCHITECTURES)}")
    config_class = _transformers_class(_ARCHITECTURES[model_type].config)
    defaults = config_class().to_dict()
    own = {name: value for name, value in values.items() if name in defaults}
    known = {*_NUMBERS, *_FLAGS, "hidden_act"}
    general = _transformers_class("PretrainedConfig")().to_dict().keys() | _WITHOUT_EFFECT | {"model_type"}
    if odd := sorted(name for name in own.keys() - known - general if own[name] != defaults[name]):
        raise ModelError(f"{source}: the settings {', '.join(odd)} are not supported; choose another image encoder")
    complete = {name: value for name, value in {**defaults, **own}.items() if name in known and value is not None}
    return {"model_type": model_type, **complete}


def _read(source: str | Path, name: str) -> dict[str, Any]:
    """A JSON file of a local folder, or of a model of the hub."""
    from transformers.utils import cached_file

    try:
        values = read_json_file(Path(str(cached_file(str(source), name))))
    except (OSError, ValueError) as error:
        raise ModelError(f"{source}: {name} cannot be read ({str(error).splitlines()[0]}); check the name") from error
    if not isinstance(values, dict):
        raise ModelError(f"{source}: {name} is damaged; choose another image encoder")
    return values


def _transformers_class(name: str) -> Any:
    import transformers

    return getattr(transformers, name)


def _transformers_config(architecture: Mapping[str, Any]) -> Any:
    kind = _ARCHITECTURES[architecture["model_type"]]
    settings = {name: value for name, value in architecture.items() if name != "model_type"}
    return _transformers_class(kind.config)(**settings, **kind.settings)


def _fill_position_ids(model: Any) -> None:
    """Give buffers that no weight file holds their values, also in a model on torch's `meta` device."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if name in module._non_persistent_buffers_set:
                assert name == "position_ids", name
                ids = torch.arange(buffer.shape[-1], device="cpu").expand(1, -1)
                module.register_buffer(name, ids, persistent=False)


def _patches(config: VisionConfig) -> int:
    return (config.image_size // config.options["architecture"]["patch_size"]) ** 2


def _normalisation(config: VisionConfig) -> Normalisation:
    """transformers scales values to 0-1 first."""
    red, green, blue = (255.0 * value for value in config.options["image_mean"])
    std = tuple(255.0 * value for value in config.options["image_std"])
    return Normalisation((red, green, blue), (std[0], std[1], std[2]))


register_encoder(
    EncoderSpec(
        name="huggingface",
        build=HuggingFaceEncoder,
        patches=_patches,
        normalisation=_normalisation,
        check=_check,
        load_pretrained=load_pretrained,
    )
)
