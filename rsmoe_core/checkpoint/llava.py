"""The layout of LLaVA-1.5 and its descendants, such as GeoChat, → transformers' LlavaForConditionalGeneration.

    model.mm_projector.0, .2                  → multi_modal_projector.linear_1, .linear_2
    model.vision_tower.vision_tower.*         → vision_tower.*    (or from the image encoder's own checkpoint)
    model.*, lm_head                          → language_model.model.*, language_model.lm_head

These are the names of the converted checkpoints that transformers' authors published. The vocabulary gets the tokens
`<image>` and `<pad>`; an image's features replace the former, and neither is ever written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

from rsmoe_core.checkpoint import hub
from rsmoe_core.checkpoint.base_checks import CONFIG, json_object
from rsmoe_core.checkpoint.headers import weight_files
from rsmoe_core.errors import ModelError

_TEXT_TYPES = {"llava": "llama", "llava_llama": "llama", "geochat": "llama"}
_IMAGE_SIZES = {"geochat": 504}
"""Side of the images in pixels, where a release's own code enlarges the image encoder's positions."""
_TEXT_SETTINGS = frozenset(
    (
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "max_position_embeddings",
        "rms_norm_eps",
        "vocab_size",
        "hidden_act",
        "tie_word_embeddings",
        "bos_token_id",
        "eos_token_id",
        "attention_bias",
        "head_dim",
        "initializer_range",
    )
)
_IMAGE, _PAD = "<image>", "<pad>"
_ROUND = 64
"""The vocabulary is rounded up to a multiple of it, as in the published conversions."""
_PREFIXES = (
    (re.compile(r"^(?:model\.)?mm_projector\.0\."), "multi_modal_projector.linear_1."),
    (re.compile(r"^(?:model\.)?mm_projector\.2\."), "multi_modal_projector.linear_2."),
    (re.compile(r"^model\.vision_tower\.(?:vision_tower\.)?(?:vision_model\.)?"), "vision_tower.vision_model."),
    (re.compile(r"^lm_head\."), "language_model.lm_head."),
    (re.compile(r"^model\."), "language_model.model."),
)
_POSITIONS = "vision_tower.vision_model.embeddings.position_embedding.weight"
_VOCABULARY = ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight")
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. {% endif %}"
    "{% for m in messages %}{% if m['role'] != 'system' %}{{ m['role'].upper() + ': ' }}{% endif %}"
    "{% if m['content'] is string %}{{ m['content'] + ' ' }}{% else %}"
    "{% for c in m['content'] if c['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] + ' ' }}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
"""How Vicuna was spoken to when LLaVA-1.5 and GeoChat were trained."""
_TOWER_HINT = "give its folder or hub id with --vision-tower"


@dataclass(frozen=True)
class LlavaRelease:
    """A release in LLaVA's layout that can be converted."""

    source: Path
    settings: Mapping[str, Any]
    """Its config.json."""
    tower: Path
    """Folder of the image encoder's own checkpoint."""
    tower_settings: Mapping[str, Any] = field(repr=False)
    """Of the image encoder: a CLIP vision model's."""

    @staticmethod
    def find(source: Path, settings: Mapping[str, Any], tower: str | None, notes: list[str]) -> LlavaRelease | None:
        """The release in a folder; None where it has another layout. Why it is not converted is added to `notes`.

        Raises:
            ModelError: its image encoder cannot be found.
        """
        if "mm_vision_tower" not in settings:
            return None
        if reason := _obstacle(settings):
            notes.append(f"not converted to a model of transformers, since {reason}; the names stay as they are")
            return None
        folder = _find_tower(tower or str(settings["mm_vision_tower"]))
        own = json_object(folder / CONFIG)
        own = own.get("vision_config", own) if own.get("model_type") in ("clip", "clip_vision_model") else {}
        if not own:
            notes.append("not converted to a model of transformers, since its image encoder is not CLIP")
            return None
        notes.append(
            "the chat template is Vicuna's, which LLaVA-1.5 and GeoChat were trained with; change chat_template.jinja "
            "if this release was trained with another one"
        )
        return LlavaRelease(source, settings, folder, own)

    def converted(self, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
        """A tensor under its new name, enlarged where that is needed; None for one that is computed, not stored."""
        if name.endswith((".inv_freq", ".position_ids")):
            return None
        for pattern, new in _PREFIXES:
            if pattern.match(name):
                name = pattern.sub(new, name, count=1)
                break
        if name in _VOCABULARY:
            tensor = _with_rows(tensor, self.config.text_config.vocab_size)
        if name == _POSITIONS:
            vision = self.config.vision_config
            tensor = _with_positions(tensor, vision.image_size // vision.patch_size)
        return name, tensor

    def missing_tower(
        self, present: Collection[str], read: Callable[[Path], Mapping[str, Tensor]]
    ) -> Iterator[tuple[str, Tensor]]:
        """The image encoder's tensors from its own checkpoint, unless the release has them; `read` opens pickles.

        Raises:
            ModelError: that checkpoint has no weights, or they are damaged.
        """
        if any(name.startswith("vision_tower.") for name in present):
            return
        states = weight_files(self.tower) or sorted(self.tower.glob("pytorch_model*.bin"))
        if not states:
            raise ModelError(f"{self.tower}: has no weights of the image encoder; {_TOWER_HINT}")
        for path in states:
            for name, tensor in _tensors(path, read):
                if name.startswith("vision_model.") and (own := self.converted(f"model.vision_tower.{name}", tensor)):
                    yield own

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Compare what was converted with the model of transformers.

        Raises:
            ModelError: a tensor is missing, superfluous or of another shape.
        """
        from transformers import LlavaForConditionalGeneration

        with torch.device("meta"):
            model = LlavaForConditionalGeneration(self.config)
        expected = {_bare(name): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        found = {_bare(name): shape for name, shape in shapes.items()}
        if self.config.text_config.tie_word_embeddings:
            expected.pop("lm_head.weight", None)
            found.pop("lm_head.weight", None)
        if odd := sorted(name for name in expected | found if expected.get(name) != found.get(name)):
            raise ModelError(
                f"{self.source}: {len(odd)} tensors are not those of a LLaVA model (first: {odd[0]}, "
                f"{found.get(odd[0], 'missing')} instead of {expected.get(odd[0], 'none')}); is a file missing?"
            )

    def write_settings(self, folder: Path) -> None:
        """Configuration, tokenizer, processor and chat template."""
        config = self.config
        config.architectures = ["LlavaForConditionalGeneration"]
        config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / "processor_config.json").write_text(json.dumps(self._processor(), indent=2) + "\n", encoding="utf-8")
        (folder / "chat_template.jinja").write_text(_TEMPLATE, encoding="utf-8")
        ids = {"bos_token_id": config.text_config.bos_token_id, "eos_token_id": config.text_config.eos_token_id}
        generation = json.dumps({**ids, "pad_token_id": self.tokenizer.pad_token_id}, indent=2)
        (folder / "generation_config.json").write_text(generation + "\n", encoding="utf-8")

    @cached_property
    def tokenizer(self) -> Any:
        """The release's own, with the tokens for images and for padding."""
        from transformers import AddedToken, AutoTokenizer, LlamaConfig

        try:
            # With the settings of a Llama, since transformers cannot read those of every release.
            tokenizer = AutoTokenizer.from_pretrained(self.source, config=LlamaConfig(), local_files_only=True)
        except (ImportError, ValueError, OSError, AttributeError, TypeError) as error:
            raise ModelError(
                f"{self.source}: its tokenizer cannot be read; run: pip install sentencepiece, or put a tokenizer.json "
                "of the same language model into it"
            ) from error
        tokenizer.add_tokens([AddedToken(_IMAGE, special=True, normalized=False)], special_tokens=True)
        if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.unk_token:
            tokenizer.add_special_tokens({"pad_token": _PAD})
        return tokenizer

    @cached_property
    def config(self) -> Any:
        """The LlavaConfig of the converted model."""
        from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

        text: dict[str, Any] = {key: self.settings[key] for key in _TEXT_SETTINGS if self.settings.get(key) is not None}
        text["vocab_size"] = max(int(text["vocab_size"]), math.ceil(len(self.tokenizer) / _ROUND) * _ROUND)
        scaling = self.settings.get("rope_scaling") or {}
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        text["rope_parameters"] = {
            **{key: value for key, value in scaling.items() if key != "type"},
            "rope_type": kind,
            "rope_theta": self.settings.get("rope_theta", 10_000.0),
        }
        vision: Any = CLIPVisionConfig(
            **{key: value for key, value in self.tower_settings.items() if key != "model_type"}
        )
        vision.image_size = _IMAGE_SIZES.get(str(self.settings.get("model_type")), vision.image_size)
        config = LlavaConfig(
            text_config=LlamaConfig(**text, pad_token_id=self.tokenizer.pad_token_id),
            vision_config=vision,
            image_token_index=self.tokenizer.convert_tokens_to_ids(_IMAGE),
            vision_feature_layer=self.settings.get("mm_vision_select_layer", -2),
            vision_feature_select_strategy=self._strategy,
            image_seq_length=(vision.image_size // vision.patch_size) ** 2 + (self._strategy == "full"),
            tie_word_embeddings=bool(text.get("tie_word_embeddings", False)),
        )
        config.dtype = self.settings.get("torch_dtype", "float16")
        return config

    @property
    def _strategy(self) -> Literal["default", "full"]:
        return "full" if self.settings.get("mm_vision_select_feature") == "cls_patch" else "default"

    def _processor(self) -> dict[str, Any]:
        path = self.tower / "preprocessor_config.json"
        own = json_object(path) if path.is_file() else {}
        vision = self.config.vision_config
        return {
            "processor_class": "LlavaProcessor",
            "image_processor": {
                "image_processor_type": "LlavaImageProcessor",
                "do_pad": self.settings.get("image_aspect_ratio") == "pad",
                "size": {"shortest_edge": vision.image_size},
                "crop_size": {"height": vision.image_size, "width": vision.image_size},
                "image_mean": list(own.get("image_mean", _CLIP_MEAN)),
                "image_std": list(own.get("image_std", _CLIP_STD)),
                "resample": own.get("resample", 3),
            },
            "image_token": _IMAGE,
            "num_additional_image_tokens": 1,
            "patch_size": vision.patch_size,
            "vision_feature_select_strategy": self._strategy,
        }


def _obstacle(settings: Mapping[str, Any]) -> str | None:
    """Why a release is not like LLaVA-1.5; None where it is."""
    if settings.get("model_type") not in _TEXT_TYPES:
        return f"its model type is '{settings.get('model_type')}'"
    if settings.get("mm_projector_type") != "mlp2x_gelu":
        return f"its projector is '{settings.get('mm_projector_type', 'linear')}'"
    if settings.get("mm_use_im_start_end"):
        return "it marks the start and the end of images"
    if settings.get("image_aspect_ratio") == "anyres" or settings.get("mm_patch_merge_type", "flat") != "flat":
        return "it cuts images into parts"
    return None


def _find_tower(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    if not hub.is_hub_id(name):
        raise ModelError(f"its image encoder '{name}' is not here; {_TOWER_HINT}")
    try:
        folder = hub.fetch(name)
        return folder if weight_files(folder) else hub.fetch(name, hub.commit_of(folder), hub.SHARDS)
    except ModelError as error:
        raise ModelError(f"its image encoder is missing: {error}; or {_TOWER_HINT}") from error


def _tensors(path: Path, read: Callable[[Path], Mapping[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    if path.suffix != ".safetensors":
        yield from read(path).items()
        return
    with safe_open(str(path), "pt") as file:
        for name in file.keys():  # noqa: SIM118 - it is no mapping
            yield name, file.get_tensor(name)


def _with_rows(weight_VH: Tensor, rows: int) -> Tensor:
    """With further rows at the mean of the others, which no text makes more likely than all others."""
    if len(weight_VH) >= rows:
        return weight_VH
    mean_H = weight_VH.float().mean(0).to(weight_VH.dtype)
    return torch.cat([weight_VH, mean_H.expand(rows - len(weight_VH), -1)])


def _with_positions(weight_PH: Tensor, side: int) -> Tensor:
    """The embeddings of the class token and of a grid of positions, resampled to side x side as GeoChat does it."""
    own = math.isqrt(len(weight_PH) - 1)
    if own == side:
        return weight_PH
    grid_1HRC = weight_PH[1:].float().T.reshape(1, -1, own, own)
    resampled_1HRC = functional.interpolate(grid_1HRC, size=side, mode="bicubic", align_corners=True)
    return torch.cat([weight_PH[:1], resampled_1HRC.flatten(2)[0].T.to(weight_PH.dtype)])


def _bare(name: str) -> str:
    """A tensor's name without the modules that only wrap others, which differ from one transformers to the next."""
    return ".".join(part for part in name.split(".") if part not in ("model", "language_model", "vision_model"))
