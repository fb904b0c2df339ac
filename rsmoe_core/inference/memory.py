"""How much memory a vision-language model of transformers takes, computed from its configuration without its weights.

    settings of a checkpoint ─describe_base─▶ BaseShape ─inference_memory, training_memory─▶ Memory

Weights and the cache of keys and values are exact; intermediate results are those of the layer that needs most, as they
are laid out by transformers with memory-efficient attention, and 10 or 20 % more. On tiny models the estimates are
-20 to +50 % of what tensors took; see the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsmoe_core.checkpoint.base_weights import QUANTIZED_BITS, SCALES
from rsmoe_core.errors import ModelError

ITEM_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a number, by torch's name of its type."""
RESERVED = 0.08
"""Share of a device's memory that is left free: the driver, fragmentation, other programs."""
_SPARE, _TRAINING_SPARE = 1.1, 1.2
_TRAINED_BYTES = 16
"""Of a number that is trained: itself, its gradient, and two moments of Adam, all in float32."""
_LOGITS_COPIES = 3
"""Logits in float32, their logarithms, and their gradient."""


@dataclass(frozen=True)
class Layers:
    """The sizes of a stack of transformer layers."""

    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    key_value_heads: int
    head_size: int

    @property
    def key_values(self) -> int:
        """Numbers that are kept of each token."""
        return 2 * self.layers * self.key_value_heads * self.head_size

    @property
    def working(self) -> int:
        """Numbers of each token that exist at the same time in one layer, without gradients.

        Beside what goes in and comes out, the layer itself has either its queries, keys and values, those of grouped
        heads repeated, or the three results in its feed-forward part.
        """
        attention = (4 * self.heads + 2 * self.key_value_heads) * self.head_size
        return 4 * self.hidden_size + max(attention, 3 * self.intermediate_size)

    @property
    def saved(self) -> int:
        """Numbers of each token that one layer keeps for its gradients."""
        attention = 3 * self.hidden_size + 2 * (self.heads + self.key_value_heads) * self.head_size
        return attention + 3 * self.hidden_size + 4 * self.intermediate_size


@dataclass(frozen=True)
class BaseShape:
    """What decides the memory of a base."""

    text: Layers
    vision: Layers
    vocabulary: int
    matrices: int
    """Numbers in the linear layers of the language model, which can be quantised and adapted."""
    others: int
    """All other numbers: image encoder, connector, embeddings, norms."""
    connector: int
    """The part of them that stage 1 trains."""
    adapted: int
    """Inputs and outputs of those linear layers together: the numbers of a LoRA adapter of rank 1."""
    allows_static_cache: bool = False

    @property
    def parameters(self) -> int:
        """All numbers."""
        return self.matrices + self.others

    def weights(self, dtype: str, quantize: str | None = None) -> float:
        """Bytes of the weights."""
        item = ITEM_BYTES[dtype]
        if quantize is None:
            return self.parameters * item
        return self.matrices * QUANTIZED_BITS[quantize] / 8 * (1 + SCALES) + self.others * item


@dataclass(frozen=True)
class Workload:
    """What is computed of an image at a time."""

    texts: int
    """Texts that are generated beside each other: the drafts of all experts."""
    prompt_tokens: int
    """Of the longest prompt, those of the image included."""
    new_tokens: int
    """Most tokens that a text may have."""
    patches: int
    """Of the image in the image encoder."""


@dataclass(frozen=True)
class Memory:
    """Bytes, by what they are for."""

    weights: float
    trained: float
    """What is trained, with gradients and the optimiser's state; 0 for inference."""
    cache: float
    """Keys and values of one image."""
    activations: float
    """Intermediate results of one image."""

    @property
    def each(self) -> float:
        """Of one image more in a batch."""
        return self.cache + self.activations

    def total(self, batch: int) -> float:
        """Of a batch."""
        return self.weights + self.trained + batch * self.each

    def largest_batch(self, available: float) -> int:
        """Images that fit into so much memory; 0 where not a single one does."""
        return max(0, int((available * (1 - RESERVED) - self.weights - self.trained) // self.each))


def inference_memory(shape: BaseShape, work: Workload, dtype: str, quantize: str | None = None) -> Memory:
    """What describing images takes."""
    item = ITEM_BYTES[dtype]
    tokens = work.prompt_tokens + work.new_tokens
    reading = work.texts * work.prompt_tokens * shape.text.working * item
    logits = work.texts * shape.vocabulary * (item + 2 * ITEM_BYTES["float32"])
    seeing = work.patches * shape.vision.working * item
    return Memory(
        weights=shape.weights(dtype, quantize),
        trained=0,
        cache=work.texts * tokens * shape.text.key_values * item,
        activations=_SPARE * max(reading + logits, seeing),
    )


def training_memory(
    shape: BaseShape,
    work: Workload,
    dtype: str,
    quantize: str | None = None,
    *,
    rank: int = 16,
    adapters: int = 1,
    trains_connector: bool = False,
) -> Memory:
    """What training LoRA adapters takes, with gradient checkpointing: layers keep only what goes into them.

    `adapters` is how many there are; one is trained at a time, and the others are frozen beside it. `work` is that of
    one text.
    """
    item, tokens = ITEM_BYTES[dtype], work.prompt_tokens + work.new_tokens
    own = rank * shape.adapted
    trained = own * _TRAINED_BYTES + (adapters - 1) * own * ITEM_BYTES["float32"]
    if trains_connector:
        trained += shape.connector * _TRAINED_BYTES
    kept = tokens * shape.text.layers * shape.text.hidden_size * item
    layer = tokens * shape.text.saved * item
    logits = (work.new_tokens + 1) * shape.vocabulary * _LOGITS_COPIES * ITEM_BYTES["float32"]
    seeing = work.patches * shape.vision.working * item
    return Memory(
        weights=shape.weights(dtype, quantize),
        trained=trained,
        cache=0,
        activations=_TRAINING_SPARE * max(kept + max(layer, logits), seeing),
    )


def describe_base(folder: Path) -> BaseShape:
    """The shape of the base whose settings are in a folder; its weights need not be there.

    Raises:
        ModelError: transformers cannot build it from its settings.
    """
    from transformers import AutoConfig

    try:
        return shape_of(AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False))
    except ModelError:
        raise
    except Exception as error:  # configurations of strangers fail in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{folder}: transformers cannot build a model of its config.json ({reason[:150]})") from error


def shape_of(config: Any) -> BaseShape:
    """The shape of a model of transformers by its configuration; it is built without memory for its weights."""
    import torch
    from transformers import AutoModelForImageTextToText

    from rsmoe_core.model.vlm_parts import connector_state, language_name, linear_layers

    with torch.device("meta"):
        model: Any = AutoModelForImageTextToText.from_config(config)
    language = language_name(model)
    own = linear_layers(model, language).values()
    matrices = sum(module.in_features * module.out_features for module in own)
    total = sum(parameter.numel() for parameter in model.parameters())
    text = config.get_text_config(decoder=True)
    return BaseShape(
        text=_text_layers(text),
        vision=_vision_layers(_values(getattr(config, "vision_config", None) or {})),
        vocabulary=int(text.vocab_size),
        matrices=matrices,
        others=total - matrices,
        connector=sum(value.numel() for value in connector_state(model, language).values()),
        adapted=sum(module.in_features + module.out_features for module in own),
        allows_static_cache=bool(model._can_compile_fullgraph),
    )


def _text_layers(config: Any) -> Layers:
    values = _values(config)
    heads = _first(values, "num_attention_heads", "decoder_attention_heads", default=1)
    hidden = _first(values, "hidden_size", "d_model", default=1)
    return Layers(
        layers=_first(values, "num_hidden_layers", "decoder_layers", default=1),
        hidden_size=hidden,
        intermediate_size=_first(values, "intermediate_size", "decoder_ffn_dim", default=4 * hidden),
        heads=heads,
        key_value_heads=_first(values, "num_key_value_heads", default=heads),
        head_size=_first(values, "head_dim", default=hidden // heads),
    )


def _vision_layers(values: Mapping[str, Any]) -> Layers:
    hidden = _first(values, "hidden_size", "embed_dim", default=1024)
    heads = _first(values, "num_attention_heads", "num_heads", default=16)
    return Layers(
        layers=_first(values, "num_hidden_layers", "depth", "depths", default=24),
        hidden_size=hidden,
        intermediate_size=_first(values, "intermediate_size", default=4 * hidden),
        heads=heads,
        key_value_heads=heads,
        head_size=max(1, hidden // heads),
    )


def _values(config: Any) -> Mapping[str, Any]:
    """Settings by name, those that a class calls otherwise than others under both names."""
    if isinstance(config, Mapping):
        return config
    return {name: getattr(config, name) for name in (*config.to_dict(), *config.attribute_map)}


def _first(values: Mapping[str, Any], *names: str, default: int) -> int:
    """The first of several settings that is there; the largest of a list."""
    for name in names:
        value: Any = values.get(name)
        if isinstance(value, list | tuple) and value:
            return int(max(value))
        if value is not None:
            return int(value)
    return default
