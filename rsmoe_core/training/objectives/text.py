"""The objective of Q-Former, language model and adapters: texts, token by token, from the features of a frozen encoder.

    FeatureBank ─patches_BPD─▶ Q-Former ─tokens_BQH─▶ language model in each role ─TrainingExamples─▶ loss of the role

Shapes: B images, P patches, D features, Q vision tokens, H features of the language model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsmoe_core.backends.native import NativeBackend
from rsmoe_core.checkpoint.load import for_inference
from rsmoe_core.inference.captions import caption_without_experts, draft_captions
from rsmoe_core.metrics.cider import ImageCider
from rsmoe_core.model import lora
from rsmoe_core.model.language.llama import answer_loss
from rsmoe_core.model.moe import fuse
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import CAPTION_INSTRUCTION
from rsmoe_core.training.examples import draw_examples, pack
from rsmoe_core.training.objectives.base import RunOptions, TrainingData, select_parameters
from rsmoe_core.training.phases import Phase, TextSettings
from rsmoe_core.types import Generation

_GENERATION_BATCH = 64
_MAX_MIXED = 0.5
"""Largest share of another image in mixed vision tokens."""


class TextObjective:
    """The examples of the phase's tasks; see `objectives.base.Objective`."""

    def __init__(
        self,
        model: RSMoE,
        phase: Phase,
        settings: TextSettings,
        train: TrainingData,
        validation: TrainingData,
        options: RunOptions,
    ) -> None:
        self.trained = select_parameters(model, phase)
        self.buffers: list[tuple[str, Tensor]] = []
        self._model, self._phase, self._settings, self._options = model, phase, settings, options
        self._train, self._validation = train, validation

    def __len__(self) -> int:
        return len(self._train)

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """One loss for each role that learns from these images, each seen in one of its views, drawn at random."""
        self._model.vision.eval()
        self._model.qformer.train(self._trains_qformer)
        self._model.language.train()
        views = rng.integers(self._train.features.views, size=len(images))
        for loss, _ in self._role_losses(self._train, images, views, rng):
            yield loss

    def validate(self) -> tuple[float, dict[str, float]]:
        """The score is CIDEr of greedy captions, or the negative loss if that is selected or there are no captions."""
        figures = {"validation_loss": self.validation_loss()}
        if self._settings.trains_captions:
            figures |= caption_figures(self._model, self._settings, self._validation)
        if self._settings.selects_by == "cider" and "validation_cider" in figures:
            return figures["validation_cider"], figures
        return -figures["validation_loss"], figures

    def calibrate(self) -> None:
        """Nothing to set."""

    def validation_loss(self) -> float:
        """Mean loss over the examples of the phase's tasks, on view 0 of every validation image."""
        self._model.eval()
        losses = counts = 0.0
        with torch.no_grad():
            for start in range(0, len(self._validation), self._phase.images_per_step):
                images = np.arange(start, min(start + self._phase.images_per_step, len(self._validation)))
                rng = np.random.default_rng(0)
                for loss, examples in self._role_losses(self._validation, images, np.zeros_like(images), rng):
                    losses += loss.item() * examples
                    counts += examples
        return losses / max(counts, 1)

    @property
    def _trains_qformer(self) -> bool:
        return "qformer" in self._phase.trains

    def _role_losses(
        self, data: TrainingData, images: NDArray[np.int64], views: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, int]]:
        """(loss, number of examples) for each role that learns from these images."""
        model = self._model
        own = [data.samples[image] for image in images]
        by_role = draw_examples(own, self._settings.tasks, model.config.experts, rng)
        device = next(model.language.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=self._options.bf16):
            patches_BPD = data.features.patches(images, views)
            shared_BQH = None
            if not self._trains_qformer:
                shared_BQH = model.encode(patches_BPD, [CAPTION_INSTRUCTION] * len(images))
                if model.language.training:
                    shared_BQH = mix_tokens(shared_BQH, self._settings.mixup, rng)
            for role, by_image in by_role.items():
                if model.has_experts:
                    lora.activate(model.language, role)
                rows = [row for row, examples in enumerate(by_image) if examples]
                packed = pack(model.tokenizer, [by_image[row] for row in rows]).to(device)
                if shared_BQH is not None:
                    tokens_BQH = shared_BQH[rows]
                else:  # once for each role, since a graph serves one backward pass
                    tokens_BQH = model.encode(patches_BPD[rows], [CAPTION_INSTRUCTION] * len(rows))
                loss = answer_loss(model.language, tokens_BQH, packed, model.config.language.dropout)
                yield loss, sum(map(len, by_image))


def mix_tokens(tokens_BQH: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Vision tokens of which about this share is blended with those of another image, each by a random amount.

    A fusion that sees the image clearly has no need of drafts; what it cannot make out, it learns to take from them
    (after mixup, Zhang et al. 2018, arXiv 1710.09412).
    """
    if not share:
        return tokens_BQH
    images = len(tokens_BQH)
    amounts_B = rng.uniform(0, _MAX_MIXED, images) * (rng.random(images) < share)
    amounts_B11 = torch.from_numpy(amounts_B).to(tokens_BQH)[:, None, None]
    return torch.lerp(tokens_BQH, tokens_BQH[torch.from_numpy(rng.permutation(images))], amounts_B11)


def caption_figures(model: RSMoE, settings: TextSettings, data: TrainingData) -> dict[str, float]:
    """CIDEr of greedy captions, by fusion where the phase trains it; nothing where no image has captions."""
    captioned = [row for row, one in enumerate(data.samples) if one.sample.captions]
    if not captioned:
        return {}
    backend, config = NativeBackend(for_inference(model)), model.config
    captions: list[str] = []
    for first in range(0, len(captioned), _GENERATION_BATCH):
        rows = captioned[first : first + _GENERATION_BATCH]
        images = range(len(rows))
        encoded = backend.encode_patches(data.features.patches(rows))
        if not settings.trains_fusion:
            generated = caption_without_experts(backend, encoded, images, config.decoding)
        else:
            drafts = [{name: Generation(text) for name, text in data.samples[row].drafts.items()} for row in rows]
            if settings.fuses_targets:  # experts that are trained at the same time have no stored drafts
                _, drafts = draft_captions(backend, encoded, images, config.experts, config.decoding)
            instructions = [CAPTION_INSTRUCTION] * len(rows)
            generated = fuse(backend, encoded, images, instructions, drafts, config.decoding.caption_tokens)
        captions += [generation.text for generation in generated]
    cider = ImageCider([data.samples[row].sample.captions for row in captioned])
    return {"validation_cider": float(np.mean([cider(image, text) for image, text in enumerate(captions)]))}
