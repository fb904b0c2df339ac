"""A vision-language model of transformers with an adapter for each role, in the form for training.

    images or known features ─encode─▶ EncodedImages ─loss(role, texts)─▶ the loss of the role's adapter

What is generated with it is up to `backends.huggingface.backend.TransformersBackend`, which takes the same model.

Shapes: B images, P patches, D features, R rows (texts), each about one of the images.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from rsmoe_core.backends.huggingface.prompting import Prompting
from rsmoe_core.backends.huggingface.vision_features import EncodedImages, features_of, reuse_of
from rsmoe_core.checkpoint.mixture import STAGE_1, adapter_name
from rsmoe_core.config import MixtureConfig
from rsmoe_core.model import lora
from rsmoe_core.model.vlm_parts import connector_state, is_connector, target_pattern
from rsmoe_core.preprocess import Normalisation
from rsmoe_core.roles import BASE, all_roles

CONNECTOR, LANGUAGE = "connector", "language"
"""Parts that stage 1 trains: what is between image encoder and language model, and the adapter without experts."""


class MixtureModel:
    """A base, its adapters, and how it is prompted."""

    def __init__(
        self, model: lora.PeftModel, prompting: Prompting, config: MixtureConfig, *, has_connector: bool = False
    ) -> None:
        """`has_connector` says that the connector is not that of the base any more."""
        self.model, self.prompting, self.config = model, prompting, config
        self.has_connector = has_connector
        self.base: Any = lora.without_wrapper(model)
        reuse = reuse_of(self.base)
        # What `generate` takes, `forward` may not.
        is_taken = "mm_encoder_outputs" in inspect.signature(self.base.forward).parameters
        self.reuse = reuse if reuse == "encoder" or is_taken else "none"
        self._keeps_logits = _takes_logits_to_keep(self.base)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.model.parameters()).device

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether prompts are read by an encoder, and answers written by a decoder of their own."""
        return bool(self.base.config.is_encoder_decoder)

    @property
    def roles(self) -> frozenset[str]:
        """The roles that have adapters."""
        names = {adapter_name(role): role for role in (BASE, *all_roles(self.config.experts))}
        return frozenset(names[name] for name in self.model.peft_config)

    def add_experts(self) -> None:
        """Give router, experts and fusion adapters that are copies of that of stage 1, where they have none."""
        missing = [role for role in all_roles(self.config.experts) if role not in self.model.peft_config]
        pattern = target_pattern(self.config.language, self.config.lora.targets)
        lora.copy_adapter(self.model, STAGE_1, missing, self.config.lora, pattern)

    def parameters_of(self, parts: Sequence[str]) -> list[tuple[str, nn.Parameter]]:
        """Named parameters of roles, of CONNECTOR and of LANGUAGE, the adapter of stage 1."""
        found: list[tuple[str, nn.Parameter]] = []
        for part in parts:
            if part == CONNECTOR:
                names = connector_state(self.base, self.config.language).keys()
                found += [(name, value) for name, value in self.base.named_parameters() if name in names]
            else:
                found += lora.parameters_of(self.model, [STAGE_1 if part == LANGUAGE else part])
        return found

    def own_connector(self) -> None:
        """Make the connector one to be trained and stored: in float32, whatever the base is in."""
        names = connector_state(self.base, self.config.language)
        for name, parameter in self.base.named_parameters():
            if name in names:
                parameter.data = parameter.data.float()
        self.has_connector = bool(names)

    def train(self, *, connector: bool) -> None:
        """Switch dropout on in the adapters, and in the connector if it is trained."""
        self.model.eval()
        self.base.get_submodule(self.config.language).train()
        if connector:
            for name, module in self.base.named_modules():
                if is_connector(name, self.config.language):
                    module.train()

    @property
    def normalisation(self) -> Normalisation:
        """How the image processor prepares pixels from 0 to 255."""
        processor = self.prompting.processor.image_processor
        red, green, blue = (value / processor.rescale_factor for value in processor.image_mean)
        std = [value / processor.rescale_factor for value in processor.image_std]
        return Normalisation((red, green, blue), (std[0], std[1], std[2]))

    def image_encoder(self) -> nn.Module:
        """pixels_BCHW → patches_BPD, for classes whose `reuse` is `encoder`."""
        return _ImageEncoder(self.base.vision_model)

    def autocast(self, bf16: bool) -> AbstractContextManager[Any]:
        """Compute in bfloat16, or in the format of the weights."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)

    def encode_images(self, inputs: Mapping[str, Tensor], count: int) -> EncodedImages:
        """Encode as many images as far as the class allows, each once. Gradients go to the connector if it has any."""
        moved = {
            name: value.to(self.device, self.base.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
            if name != "labels"  # PaliGemma's processor gives some for its prompts
        }
        return features_of(self.base, moved, count, self.reuse)

    def encode_patches(self, patches_BPD: Tensor) -> EncodedImages:
        """Images whose features are known, for classes that allow it (`reuse` is `encoder`)."""
        known = BaseModelOutputWithPooling(last_hidden_state=patches_BPD.to(self.device, self.base.dtype))
        unused = torch.zeros(len(patches_BPD), 1, device=self.device)
        return EncodedImages(len(patches_BPD), {"pixel_values": unused}, "encoder", known)

    def loss(self, role: str, batch: Any, encoded: EncodedImages, rows: Sequence[int]) -> Tensor:
        """The loss of a role on a `ReplyBatch`, each row of which is about the image in `rows`."""
        lora.activate(self.model, adapter_name(role))
        inputs = {**batch.inputs, **encoded.arguments(rows)}
        if self.is_encoder_decoder:
            inputs["labels"] = batch.labels_RT
        elif self._keeps_logits:
            inputs["logits_to_keep"] = batch.last_tokens
        with encoded.reused(self.base, rows):
            logits = self.base(**inputs, use_cache=False, return_dict=True).logits
        return batch.loss(logits, shifted=not self.is_encoder_decoder)


class _ImageEncoder(nn.Module):
    """An image encoder of transformers that gives its last features alone."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """patches_BPD."""
        encoded = self.network(pixel_values=pixels_BCHW.to(self.network.dtype), return_dict=True)
        return encoded.last_hidden_state


def _takes_logits_to_keep(base: Any) -> bool:
    """Whether `forward` can be told to compute the logits of the last tokens only."""
    passes_on = hasattr(base, "language_model") and type(base).__name__.startswith("InstructBlip")
    forward = base.language_model.forward if passes_on else base.forward
    return "logits_to_keep" in inspect.signature(forward).parameters
