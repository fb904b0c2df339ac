"""The objective that polishes whole captions: self-critical training (Rennie et al. 2017, arXiv 1612.00563).

The fusion pass writes several captions for a picture by chance. Those that agree better with the people's sentences
than the others of the same picture become likelier, the worse ones less so. Agreement is CIDEr-D, as in evaluation.
One person's sentence says nothing of what people agree on: such pictures are passed over where others are there.

Shapes: B images, N captions of each, Q vision tokens, H features.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsmoe_core.instructions import CAPTION
from rsmoe_core.metrics.cider import CiderReward
from rsmoe_core.model import lora
from rsmoe_core.model.fusion import fusion_prompt
from rsmoe_core.model.language import Written, answer_loss, write
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training.objectives import Material, Session, select_parameters
from rsmoe_core.training.packing import pack_ids
from rsmoe_core.training.stages import Phase
from rsmoe_core.training.teaching import caption_figures

_CAPTIONS = 5
"""Captions written for each picture in a step."""


class Reward:
    """Captions by how good they are as a whole; see `objectives.Objective`."""

    def __init__(self, model: RSMoE, phase: Phase, train: Material, validation: Material, session: Session) -> None:
        self.trained = select_parameters(model, phase)
        self.statistics: list[tuple[str, Tensor]] = []
        self._model, self._phase, self._session = model, phase, session
        self._train, self._validation = _of_several_voices(train), validation
        self._cider = CiderReward([study.sample.captions for study in self._train.studies])

    def __len__(self) -> int:
        return len(self._train)

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """One loss: the cross-entropy of written captions, each weighted by how much better than the others it is."""
        model = self._model.eval()  # a caption is learned under the same conditions under which it was written
        lora.activate(model.language, lora.FUSION)
        views = rng.integers(self._train.features.views, size=len(images))
        patches_BPD = self._train.features.patches(images, views)
        prompts = [fusion_prompt(model.codec, CAPTION, self._train.studies[i].drafts) for i in images]
        # Two regions: what autocast keeps of the weights in one that takes no gradients would take none in the other.
        with self._autocast(), torch.no_grad():
            tokens_BQH = model.encode(patches_BPD, [CAPTION] * len(images))
            written_BN = self._write(tokens_BQH, prompts)
        weights_BN = self._advantages(images, written_BN)
        rows = [
            [
                (model.codec.prompt_ids(prompt), [*text.ids, model.codec.eos], weight)
                for text, weight in zip(written, weights, strict=True)
            ]
            for prompt, written, weights in zip(prompts, written_BN, weights_BN, strict=True)
        ]
        with self._autocast():
            packed = pack_ids(rows, model.codec.pad).to(tokens_BQH.device)
            yield answer_loss(model.language, tokens_BQH, packed, dropout=0.0)

    def validate(self) -> tuple[float, dict[str, float]]:
        """CIDEr of greedy captions of the pictures held out."""
        figures = caption_figures(self._model, self._phase, self._validation)
        return figures["validation_cider"], figures

    def _autocast(self) -> torch.autocast:
        device = next(self._model.language.parameters()).device
        return torch.autocast(device.type, torch.bfloat16, enabled=self._session.bf16)

    def _write(self, tokens_BQH: Tensor, prompts: list[str]) -> list[list[Written]]:
        """N captions for each picture, drawn by their probability."""
        model = self._model
        limit = model.config.decoding.caption_tokens
        written = write(model.language, model.codec, tokens_BQH, prompts, max_tokens=limit, samples=_CAPTIONS)
        return [written[first : first + _CAPTIONS] for first in range(0, len(written), _CAPTIONS)]

    def _advantages(self, images: NDArray[np.int64], written_BN: list[list[Written]]) -> NDArray[np.float64]:
        """How much better each caption is than the mean of the picture's other captions."""
        rewards_BN = np.array(
            [
                [self._cider(int(image), self._model.codec.decode(text.ids)) for text in written]
                for image, written in zip(images, written_BN, strict=True)
            ]
        )
        others_BN = (rewards_BN.sum(axis=1, keepdims=True) - rewards_BN) / (_CAPTIONS - 1)
        return rewards_BN - others_BN


def _of_several_voices(material: Material) -> Material:
    """The pictures of which different things were said; all, where there are none."""
    several = [row for row, study in enumerate(material.studies) if len(study.sample.different_captions) > 1]
    if not several:
        return material
    return Material([material.studies[row] for row in several], material.features.select(np.array(several)))
