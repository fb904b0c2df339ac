"""The image encoder's own objective: which kind of place a picture shows, and which words people use of it.

ImageNet knows cats, not storage tanks from above. Two linear heads on the mean patch feature teach the encoder, which
keeps what it learned; the heads are thrown away.

Shapes: B images, P patches, D features, S kinds of place, W words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.preprocess import normalise
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import make_views
from rsmoe_core.training.objectives.base import RunOptions, TrainingData, select_parameters
from rsmoe_core.training.stages import Phase

_COMMON = 30
"""A word that is said of fewer pictures than this is not learned."""
_WORDS_WEIGHT = 0.05
"""Weight of all words together beside the kind of place: about a tenth of the words apply to a picture."""
_SMOOTHING = 0.1
_HEAD_DROPOUT = 0.2
_UNKNOWN = -100
"""The class that cross-entropy leaves out."""


class ClassificationObjective:
    """Kinds of places and words from pixels; see `objectives.Objective`."""

    def __init__(
        self, model: RSMoE, phase: Phase, train: TrainingData, validation: TrainingData, session: RunOptions
    ) -> None:
        self.trained = select_parameters(model, phase)
        self.statistics = [(name, b) for name, b in model.vision.named_buffers()]
        self._vision = model.vision.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._size = model.config.vision.image_size
        self._train, self._validation, self._session = train.training_samples, validation.training_samples, session
        self._batch = phase.images_per_step
        self._scenes = sorted({s.sample.scene_class for s in train.training_samples if s.sample.scene_class})
        shares = _word_shares(train.training_samples)
        self._words = sorted(shares)
        device = next(model.vision.parameters()).device
        self._place_head = nn.Linear(model.config.vision.feature_size, len(self._scenes), device=device)
        self._word_head = nn.Linear(model.config.vision.feature_size, len(self._words), device=device)
        with torch.no_grad():  # what a picture is likely to show before it is looked at
            self._word_head.bias.copy_(torch.tensor([shares[word] for word in self._words]).logit(eps=1e-4))
        for head, layer in (("place_head", self._place_head), ("word_head", self._word_head)):
            self.trained += [(f"{head}.{name}", p) for name, p in layer.named_parameters()]

    def __len__(self) -> int:
        return len(self._train)

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """One loss, over a random view of each picture."""
        self._vision.train()
        training_samples = [self._train[i] for i in images]
        seen = make_views(
            [training_sample.sample for training_sample in training_samples],
            self._size,
            [[chance] for chance in rng.spawn(len(training_samples))],
        )
        places_BS, words_BW = self._recognise(seen, _HEAD_DROPOUT)
        yield self._loss(places_BS, words_BW, training_samples)

    def validate(self) -> tuple[float, dict[str, float]]:
        """Share of the pictures held out whose kind of place is found, and the loss; the share is the score."""
        self._vision.eval()
        losses, right, known = 0.0, 0, 0
        with torch.no_grad():
            for first in range(0, len(self._validation), self._batch):
                training_samples = self._validation[first : first + self._batch]
                pictures = make_views(
                    [training_sample.sample for training_sample in training_samples],
                    self._size,
                    [[None]] * len(training_samples),
                )
                places_BS, words_BW = self._recognise(pictures, 0.0)
                losses += self._loss(places_BS, words_BW, training_samples).item() * len(training_samples)
                truth_B = self._places(training_samples).to(places_BS.device)
                right += int((places_BS.argmax(dim=1) == truth_B).sum())
                known += int((truth_B != _UNKNOWN).sum())
        accuracy = right / max(known, 1)
        return accuracy, {"validation_loss": losses / len(self._validation), "validation_accuracy": accuracy}

    def _recognise(self, images: Sequence[NDArray[np.uint8]], dropout: float) -> tuple[Tensor, Tensor]:
        device = self._place_head.weight.device
        pixels_BCHW = normalise(np.stack(images)).to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._session.bf16):
            patches_BPD = self._vision(pixels_BCHW)
        mean_BD = F.dropout(patches_BPD.float().mean(dim=1), dropout, training=dropout > 0)
        return self._place_head(mean_BD), self._word_head(mean_BD)

    def _loss(self, places_BS: Tensor, words_BW: Tensor, training_samples: Sequence[TrainingSample]) -> Tensor:
        truth_B, truth_BW = (
            self._places(training_samples).to(places_BS.device),
            self._said(training_samples).to(words_BW.device),
        )
        words = F.binary_cross_entropy_with_logits(words_BW, truth_BW, reduction="sum") / len(training_samples)
        loss = _WORDS_WEIGHT * words
        if (truth_B != _UNKNOWN).any():
            loss = loss + F.cross_entropy(places_BS, truth_B, ignore_index=_UNKNOWN, label_smoothing=_SMOOTHING)
        return loss

    def _places(self, training_samples: Sequence[TrainingSample]) -> Tensor:
        """Number of each picture's kind of place; a kind that was not learned counts as unknown."""
        numbers = {scene: number for number, scene in enumerate(self._scenes)}
        return torch.tensor(
            [numbers.get(training_sample.sample.scene_class or "", _UNKNOWN) for training_sample in training_samples]
        )

    def _said(self, training_samples: Sequence[TrainingSample]) -> Tensor:
        """Share of each picture's sentences that hold each word."""
        said = [_words_of(training_sample) for training_sample in training_samples]
        return torch.tensor([[counts.get(word, 0.0) for word in self._words] for counts in said])


def _words_of(training_sample: TrainingSample) -> dict[str, float]:
    captions = training_sample.sample.captions
    counts = Counter(word for caption in captions for word in set(re.findall(r"[a-z]+", caption)))
    return {word: count / len(captions) for word, count in counts.items()}


def _word_shares(training_samples: Sequence[TrainingSample]) -> dict[str, float]:
    """Mean share of each common word over all pictures."""
    pictures: Counter[str] = Counter()
    shares: Counter[str] = Counter()
    for training_sample in training_samples:
        said = _words_of(training_sample)
        pictures.update(said.keys())
        shares.update(said)
    return {word: shares[word] / len(training_samples) for word, count in pictures.items() if count >= _COMMON}
