"""Images encoded once, for all the texts that are generated about them.

    image inputs ─encode─▶ EncodedImages ─inputs(rows)─▶ arguments of `generate`, an image for each row

How far features are reused depends on the class of the model:

    features   `generate` takes encoded images (`mm_encoder_outputs`): all but the language model is run once an image
    encoder    `generate` encodes images itself, from its `vision_model`: that one is run once an image. The Q-Former of
               InstructBLIP reads the prompt as well, so it is run for each text
    none       images are encoded again for each text

Shapes: B images, R rows (texts), each about one of the images.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import GenerationMixin
from transformers.modeling_outputs import BaseModelOutputWithPooling

Reuse = Literal["features", "encoder", "none"]
_PIXELS = "pixel_values"


def reuse_of(model: Any) -> Reuse:
    """What the class of a model allows."""
    if type(model).generate is not GenerationMixin.generate:
        return "encoder" if hasattr(model, "vision_model") else "none"
    takes_features = "mm_encoder_outputs" in inspect.signature(model.forward).parameters
    # Florence-2 takes them as well, but not in `forward`.
    prepares = getattr(type(model), "_maybe_prepare_encoder_kwargs_for_generation", None)
    own = prepares is not getattr(GenerationMixin, "_maybe_prepare_encoder_kwargs_for_generation", None)
    return "features" if (takes_features or own) and hasattr(model, "get_image_features") else "none"


@dataclass(frozen=True)
class EncodedImages:
    """What is known of B images that all have the same size."""

    count: int
    inputs: Mapping[str, Tensor]
    """As the processor gives them; each has as many entries for every image."""
    reuse: Reuse
    features: Any = None
    """What the model made of them; None if nothing is reused."""

    def arguments(self, rows: Sequence[int]) -> dict[str, Any]:
        """Of `generate`: the image of each row."""
        inputs = {key: self._of_rows(value, rows) for key, value in self.inputs.items()}
        if self.reuse == "features":
            del inputs[_PIXELS]
            inputs["mm_encoder_outputs"] = {"image": self._features_of(rows)}
        return inputs

    @contextmanager
    def reused(self, model: Any, rows: Sequence[int]) -> Iterator[None]:
        """While `generate` runs: the image encoder gives what it is known to give."""
        if self.reuse != "encoder":
            yield
            return
        known = self._features_of(rows)
        model.vision_model.forward = lambda *args, **kwargs: known
        try:
            yield
        finally:
            del model.vision_model.forward

    def _features_of(self, rows: Sequence[int]) -> Any:
        known = {}
        if self.reuse == "encoder":
            known["last_hidden_state"] = self._of_rows(self.features.last_hidden_state, rows)
        else:
            known["pooler_output"] = self._of_rows(self.features.pooler_output, rows)
        chosen = BaseModelOutputWithPooling(**known)
        if (layers := getattr(self.features, "deepstack_features", None)) is not None:
            # Of Qwen3-VL: features of several layers of the encoder.
            chosen["deepstack_features"] = [self._of_rows(layer, rows) for layer in layers]
        return chosen

    def _of_rows(self, value: Any, rows: Sequence[int]) -> Any:
        """The entries of each row's image; an image may have several, such as crops or patches."""
        if isinstance(value, Tensor):
            return value.unflatten(0, (self.count, -1))[list(rows)].flatten(0, 1)
        each = len(value) // self.count
        return [one for row in rows for one in value[row * each : (row + 1) * each]]


@torch.inference_mode()
def encode_images(model: Any, inputs: Mapping[str, Tensor], count: int, reuse: Reuse) -> EncodedImages:
    """Encode as many images, if the model can be told their features later."""
    return features_of(model, inputs, count, reuse)


def features_of(model: Any, inputs: Mapping[str, Tensor], count: int, reuse: Reuse) -> EncodedImages:
    """The same with gradients, where any are wanted."""
    if reuse == "none":
        return EncodedImages(count, inputs, reuse)
    if reuse == "encoder":
        return EncodedImages(count, inputs, reuse, model.vision_model(pixel_values=inputs[_PIXELS], return_dict=True))
    encoder = model.base_model.get_image_features
    known = inspect.signature(encoder).parameters
    arguments = {key: value for key, value in inputs.items() if key in known}
    return EncodedImages(count, inputs, reuse, encoder(**arguments, return_dict=True))
