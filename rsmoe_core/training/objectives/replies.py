"""The objective of adapters and connector on a base: replies, token by token, from prompts as inference gives them.

    image, or its features ─encode─▶ EncodedImages ─MixtureModel.loss─▶ loss of each role

Shapes: B images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsmoe_core.backends.huggingface.vision_features import EncodedImages
from rsmoe_core.inference.captions import caption_without_experts, draft_captions
from rsmoe_core.metrics.cider import ImageCider
from rsmoe_core.model.mixture_model import CONNECTOR, MixtureModel
from rsmoe_core.model.moe import fuse
from rsmoe_core.roles import CAPTION_INSTRUCTION
from rsmoe_core.training import distributed
from rsmoe_core.training.examples import TrainingExample, TrainingSample, draw_examples
from rsmoe_core.training.features import FeatureBank, make_views
from rsmoe_core.training.mixtures.backend import in_batches, mixture_backend
from rsmoe_core.training.mixtures.reply_batches import reply_batch
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.phases import Phase, TextSettings
from rsmoe_core.types import Generation


class ReplyObjective:
    """The examples of the phase's tasks; see `objectives.base.Objective`."""

    def __init__(
        self,
        model: MixtureModel,
        phase: Phase,
        settings: TextSettings,
        train: TrainingData,
        validation: TrainingData,
        options: RunOptions,
    ) -> None:
        parts = phase.trained_parts(model.config.experts)
        self.trained = model.parameters_of(parts)
        self.buffers: list[tuple[str, Tensor]] = []
        self._model, self._phase, self._settings, self._options = model, phase, settings, options
        self._train, self._validation = train, validation
        self._trains_connector = CONNECTOR in parts

    def __len__(self) -> int:
        return len(self._train)

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """One loss for each role that learns from these images, each seen in one of its views, drawn at random."""
        self._model.train(connector=self._trains_connector)
        if not len(images):  # only where all processes have to compute alike; the loss counts for nothing
            images = np.zeros(1, np.int64)
        views = rng.integers(self._options.views, size=len(images))
        for loss, _ in self._role_losses(self._train, images, views, rng):
            yield loss

    def validate(self) -> tuple[float, dict[str, float]]:
        """The score is the negative loss, or CIDEr of greedy captions if that is selected."""
        figures = {"validation_loss": self.validation_loss()}
        if self._settings.selects_by == "cider" and self._settings.trains_captions:
            figures |= self._caption_figures()
        if "validation_cider" in figures:
            return figures["validation_cider"], figures
        return -figures["validation_loss"], figures

    def calibrate(self) -> None:
        """Nothing to set."""

    def validation_loss(self) -> float:
        """Mean loss over the examples of the phase's tasks, on view 0 of every validation image."""
        self._model.model.eval()
        losses = counts = 0.0
        size = max(1, self._phase.images_per_step // self._options.accumulate)
        with torch.no_grad():
            for start in range(0, len(self._validation), size):
                images = np.arange(start, min(start + size, len(self._validation)))
                rng = np.random.default_rng(0)
                for loss, examples in self._role_losses(self._validation, images, np.zeros_like(images), rng):
                    losses += loss.item() * examples
                    counts += examples
        return losses / max(counts, 1)

    def _role_losses(
        self, data: TrainingData, images: NDArray[np.int64], views: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, int]]:
        """(loss, number of examples) for each role that learns from these images."""
        model = self._model
        by_role = self._draw_examples(data, images, rng)
        shared = None
        roles = distributed.union(list(by_role)) if self._options.in_step else list(by_role)
        for role in roles:
            by_image = by_role.get(role) or [[TrainingExample(role, CAPTION_INSTRUCTION, "", 0.0)]]
            rows = [row for row, examples in enumerate(by_image) for _ in examples]
            examples = [example for own in by_image for example in own]
            batch = reply_batch(model.prompting, examples, is_encoder_decoder=model.is_encoder_decoder)
            with model.autocast(self._options.bf16):
                if shared is None or self._trains_connector:  # a graph serves one backward pass
                    shared = self._encode(data, images, views)
                loss = model.loss(role, batch.to(model.device), shared, rows)
            yield loss, len(examples)

    def _draw_examples(
        self, data: TrainingData, images: NDArray[np.int64], rng: np.random.Generator
    ) -> dict[str, list[list[TrainingExample]]]:
        """Role → for each image the examples that it learns, so many of them as the settings say."""
        samples, most = [data.samples[image] for image in images], self._settings.texts_per_image
        by_role = draw_examples(samples, self._settings.tasks, self._model.config.experts, rng)
        return {role: [_drawn(own, most, rng) for own in by_image] for role, by_image in by_role.items()}

    def _encode(self, data: TrainingData, images: NDArray[np.int64], views: NDArray[np.int64]) -> EncodedImages:
        with torch.set_grad_enabled(self._trains_connector and torch.is_grad_enabled()):
            return encode_views(self._model, data.samples, data.features, images.tolist(), views, self._options.seed)

    def _caption_figures(self) -> dict[str, float]:
        """CIDEr of greedy captions, by fusion where the phase trains it; nothing where no image has captions."""
        data, limits, experts = self._validation, self._model.config.decoding, self._model.config.experts
        captioned = [row for row, one in enumerate(data.samples) if one.sample.captions]
        if not captioned:
            return {}
        backend = mixture_backend(self._model)
        captions: list[str] = []
        for rows in in_batches(captioned, backend):
            images = range(len(rows))
            with torch.no_grad(), self._model.autocast(self._options.bf16):
                encoded = encode_views(self._model, data.samples, data.features, rows, [0] * len(rows), 0)
                if not self._settings.trains_fusion:
                    generated = caption_without_experts(backend, encoded, images, limits)
                else:
                    drafts = [
                        {name: Generation(text) for name, text in data.samples[row].drafts.items()} for row in rows
                    ]
                    if self._settings.fuses_targets:
                        _, drafts = draft_captions(backend, encoded, images, experts, limits)
                    instructions = [CAPTION_INSTRUCTION] * len(rows)
                    generated = fuse(backend, encoded, images, instructions, drafts, limits.caption_tokens)
            captions += [generation.text for generation in generated]
        cider = ImageCider([data.samples[row].sample.captions for row in captioned])
        return {"validation_cider": float(np.mean([cider(image, text) for image, text in enumerate(captions)]))}


def _drawn(examples: list[TrainingExample], most: int | None, rng: np.random.Generator) -> list[TrainingExample]:
    if most is None or len(examples) <= most:
        return examples
    return [examples[number] for number in sorted(rng.permutation(len(examples))[:most].tolist())]


def encode_views(
    model: MixtureModel,
    samples: Sequence[TrainingSample],
    features: FeatureBank,
    rows: Sequence[int],
    views: Sequence[int] | NDArray[np.int64],
    seed: int,
) -> EncodedImages:
    """Some images, each in one of its views, encoded as far as the class of the model allows.

    Their features are taken from `features` where there are any, else from the images themselves.

    Raises:
        DataError: an image cannot be read.
    """
    if features.arrays:
        return model.encode_patches(features.patches(rows, views))
    seeds = [
        [np.random.default_rng((seed, row, view)) if view else None]
        for row, view in zip(rows, np.asarray(views).tolist(), strict=True)
    ]
    images = make_views([samples[row].sample for row in rows], model.prompting.image_size, seeds)
    return model.encode_images(model.prompting.image_inputs(images), len(images))
