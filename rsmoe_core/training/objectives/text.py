"""The objective of most phases: texts are learned word by word, from the features of a settled image encoder.

Shapes: B images, V views, P patches, D features, R rows of text, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsmoe_core.checkpoint.inference import for_inference
from rsmoe_core.metrics.cider import PictureCider
from rsmoe_core.model import lora
from rsmoe_core.model.language.llama import answer_loss
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import CAPTION
from rsmoe_core.training.examples import TASKS, Row, pack
from rsmoe_core.training.objectives.base import RunOptions, TrainingData, select_parameters
from rsmoe_core.training.stages import Phase

_WRITING_BATCH = 64
_MOST_MIXED = 0.5
"""Largest share of another picture in vision tokens that are mixed."""


class TextObjective:
    """The rows of the phase's tasks; see `objectives.Objective`."""

    def __init__(
        self, model: RSMoE, phase: Phase, train: TrainingData, validation: TrainingData, session: RunOptions
    ) -> None:
        self.trained = select_parameters(model, phase)
        self.statistics: list[tuple[str, Tensor]] = []
        self._model, self._phase, self._session = model, phase, session
        self._train, self._validation = train, validation

    def __len__(self) -> int:
        return len(self._train)

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """One loss for each role that learns from these pictures, each seen in a random one of its views."""
        self._model.vision.eval()
        self._model.qformer.train("qformer" in self._phase.trains)
        self._model.language.train()
        views = rng.integers(self._train.features.views, size=len(images))
        for loss, _ in self._role_losses(self._train, images, views, rng):
            yield loss

    def validate(self) -> tuple[float, dict[str, float]]:
        """CIDEr of greedy captions where the phase trains a writer of captions, else the loss with its sign turned."""
        figures = {"validation_loss": self.validation_loss()}
        figures |= caption_figures(self._model, self._phase, self._validation)
        return figures.get("validation_cider", -figures["validation_loss"]), figures

    def validation_loss(self) -> float:
        """Mean loss over the rows of the phase's tasks, on view 0 of every picture held out."""
        self._model.eval()
        losses = counts = 0.0
        with torch.no_grad():
            for start in range(0, len(self._validation), self._phase.images_per_step):
                images = np.arange(start, min(start + self._phase.images_per_step, len(self._validation)))
                rng = np.random.default_rng(0)
                for loss, rows in self._role_losses(self._validation, images, np.zeros_like(images), rng):
                    losses += loss.item() * rows
                    counts += rows
        return losses / max(counts, 1)

    def _role_losses(
        self, material: TrainingData, images: NDArray[np.int64], views: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, int]]:
        """(loss, number of rows) for each role that learns from these pictures."""
        model = self._model
        rows: dict[str | None, list[list[Row]]] = {}
        for place, image in enumerate(images):
            for task in self._phase.tasks:
                for row in TASKS[task](material.training_samples[image], model.tokenizer, rng):
                    rows.setdefault(row.role, [[] for _ in images])[place].append(row)
        device = next(model.language.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=self._session.bf16):
            patches_BPD = material.features.patches(images, views)
            learns = "qformer" in self._phase.trains
            seen_BQH = None if learns else model.encode(patches_BPD, [CAPTION] * len(images))
            if seen_BQH is not None and model.language.training:
                seen_BQH = mixed(seen_BQH, self._phase.mixup, rng)
            for role, by_image in rows.items():
                if model.has_experts:
                    lora.activate(model.language, role)
                taught = [place for place, own in enumerate(by_image) if own]
                packed = pack(model.tokenizer, [by_image[place] for place in taught]).to(device)
                if seen_BQH is not None:
                    tokens_BQH = seen_BQH[taught]
                else:  # for each role anew, as a graph serves one backward pass
                    tokens_BQH = model.encode(patches_BPD[taught], [CAPTION] * len(taught))
                loss = answer_loss(model.language, tokens_BQH, packed, model.config.language.dropout)
                yield loss, sum(map(len, by_image))


class FinetuneObjective(TextObjective):
    """The same from few pictures, where the epoch of least loss is the best.

    CIDEr weighs words by their rarity: of a handful of pictures of one kind every word is common, and all captions
    score nought.
    """

    def validate(self) -> tuple[float, dict[str, float]]:
        """The loss with its sign turned; CIDEr is kept for the log."""
        _, figures = super().validate()
        return -figures["validation_loss"], figures


def mixed(tokens_BQH: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Vision tokens of which about such a share is blended with those of another picture, each by a random amount.

    A writer that sees clearly never needs the drafts of others; what it cannot make out by itself, it learns to take
    from them (after mixup, Zhang et al. 2018, arXiv 1710.09412).
    """
    if not share:
        return tokens_BQH
    images = len(tokens_BQH)
    amounts_B = rng.uniform(0, _MOST_MIXED, images) * (rng.random(images) < share)
    amounts_B11 = torch.from_numpy(amounts_B).to(tokens_BQH)[:, None, None]
    return torch.lerp(tokens_BQH, tokens_BQH[torch.from_numpy(rng.permutation(images))], amounts_B11)


def caption_figures(model: RSMoE, phase: Phase, material: TrainingData) -> dict[str, float]:
    """CIDEr of greedy captions by what the phase trains; nothing where it trains no writer of them, or has none."""
    described = [i for i, training_sample in enumerate(material.training_samples) if training_sample.sample.captions]
    if not phase.teaches_captions or not described:
        return {}
    writer = for_inference(model)
    captions: list[str] = []
    for first in range(0, len(described), _WRITING_BATCH):
        numbers = described[first : first + _WRITING_BATCH]
        instructions = [CAPTION] * len(numbers)
        with torch.inference_mode():
            tokens_BQH = writer.encode(material.features.patches(numbers), instructions)
            if not phase.fuses:
                written = writer.answer(tokens_BQH, instructions)
            else:
                drafts = [dict(material.training_samples[i].drafts) for i in numbers]
                if "fuse_derived" in phase.tasks:  # experts that learn at the same time write theirs now
                    _, drafts = writer.ask_experts(tokens_BQH, instructions)
                written = writer.fuse(tokens_BQH, instructions, drafts, beams=1)
        captions += [model.tokenizer.decode(w.ids) for w in written]
    cider = PictureCider([material.training_samples[i].sample.captions for i in described])
    return {"validation_cider": float(np.mean([cider(picture, text) for picture, text in enumerate(captions)]))}
