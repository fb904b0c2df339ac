"""The objective of the image encoder: the scene class of an image, and the words of its captions.

An encoder pretrained on ImageNet knows cats, not storage tanks from above. Two linear heads on the mean patch feature
teach it; the heads are thrown away afterwards.

Shapes: B images, P patches, D features, S scene classes, W words.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.model.vision.base import find_encoder
from rsmoe_core.preprocess import normalise
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import make_views
from rsmoe_core.training.objectives.base import RunOptions, TrainingData, select_parameters
from rsmoe_core.training.phases import ClassificationSettings, Phase

MIN_IMAGES = 30
"""A word in the captions of fewer images is not learned."""
_WORDS_WEIGHT = 0.05
"""Weight of the loss of all words together beside that of the scene class: of the words, about a tenth apply to an
image."""
_LABEL_SMOOTHING = 0.1
_HEAD_DROPOUT = 0.2
_UNKNOWN = -100
"""The class that cross-entropy ignores."""


def has_targets(samples: Sequence[TrainingSample]) -> bool:
    """Whether the images have anything for an image encoder to learn: scene classes, or words in enough captions."""
    return any(one.sample.scene_class for one in samples) or bool(_word_shares(samples))


class ClassificationObjective:
    """Scene classes and words from pixels; see `objectives.base.Objective`."""

    def __init__(
        self,
        model: RSMoE,
        phase: Phase,
        settings: ClassificationSettings,
        train: TrainingData,
        validation: TrainingData,
        options: RunOptions,
    ) -> None:
        self.trained = select_parameters(model, phase)
        self.buffers = list(model.vision.named_buffers())
        self._vision = model.vision.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._size = model.config.vision.image_size
        self._normalisation = find_encoder(model.config.vision).normalisation(model.config.vision)
        self._train, self._validation, self._options = train.samples, validation.samples, options
        self._batch = phase.images_per_step
        self._scene_classes = sorted({s.sample.scene_class for s in train.samples if s.sample.scene_class})
        shares = _word_shares(train.samples)
        self._words = sorted(shares)
        device = next(model.vision.parameters()).device
        with warnings.catch_warnings():  # torch warns of a head without outputs, which is as it should be
            warnings.simplefilter("ignore", UserWarning)
            self._scene_head = nn.Linear(model.config.vision.feature_size, len(self._scene_classes), device=device)
            self._word_head = nn.Linear(model.config.vision.feature_size, len(self._words), device=device)
        with torch.no_grad():  # the frequencies of the words, as the best guess before any image is seen
            self._word_head.bias.copy_(torch.tensor([shares[word] for word in self._words]).logit(eps=1e-4))
        for head, layer in (("scene_head", self._scene_head), ("word_head", self._word_head)):
            self.trained += [(f"{head}.{name}", p) for name, p in layer.named_parameters()]

    def __len__(self) -> int:
        return len(self._train)

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """One loss, over a random view of each image."""
        self._vision.train()
        samples = [self._train[i] for i in images]
        views = make_views([one.sample for one in samples], self._size, [[seed] for seed in rng.spawn(len(samples))])
        scenes_BS, words_BW = self._classify(views, _HEAD_DROPOUT)
        yield self._loss(scenes_BS, words_BW, samples)

    def validate(self) -> tuple[float, dict[str, float]]:
        """The share of validation images whose scene class is found, and the loss.

        The share is the score; where no image has a scene class to find, a small loss is a good score.
        """
        self._vision.eval()
        losses, right, known = 0.0, 0, 0
        with torch.no_grad():
            for first in range(0, len(self._validation), self._batch):
                samples = self._validation[first : first + self._batch]
                images = make_views([one.sample for one in samples], self._size, [[None]] * len(samples))
                scenes_BS, words_BW = self._classify(images, 0.0)
                losses += self._loss(scenes_BS, words_BW, samples).item() * len(samples)
                truth_B = self._scene_targets(samples).to(scenes_BS.device)
                known_B = truth_B != _UNKNOWN
                if known_B.any():
                    right += int((scenes_BS.argmax(dim=1) == truth_B)[known_B].sum())
                    known += int(known_B.sum())
        loss = losses / len(self._validation)
        if not known:
            return -loss, {"validation_loss": loss}
        return right / known, {"validation_loss": loss, "validation_accuracy": right / known}

    def calibrate(self) -> None:
        """Nothing to set."""

    def _classify(self, images: Sequence[NDArray[np.uint8]], dropout: float) -> tuple[Tensor, Tensor]:
        """Logits of scene classes and of words."""
        device = self._scene_head.weight.device
        pixels_BCHW = normalise(np.stack(images), self._normalisation).to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._options.bf16):
            patches_BPD = self._vision(pixels_BCHW)
        mean_BD = F.dropout(patches_BPD.float().mean(dim=1), dropout, training=dropout > 0)
        return self._scene_head(mean_BD), self._word_head(mean_BD)

    def _loss(self, scenes_BS: Tensor, words_BW: Tensor, samples: Sequence[TrainingSample]) -> Tensor:
        truth_B = self._scene_targets(samples).to(scenes_BS.device)
        truth_BW = self._word_targets(samples).to(words_BW.device)
        words = F.binary_cross_entropy_with_logits(words_BW, truth_BW, reduction="sum") / len(samples)
        loss = _WORDS_WEIGHT * words
        if (truth_B != _UNKNOWN).any():
            loss = loss + F.cross_entropy(scenes_BS, truth_B, ignore_index=_UNKNOWN, label_smoothing=_LABEL_SMOOTHING)
        return loss

    def _scene_targets(self, samples: Sequence[TrainingSample]) -> Tensor:
        """Index of each image's scene class; a class that is not among those to learn counts as unknown."""
        indices = {name: index for index, name in enumerate(self._scene_classes)}
        return torch.tensor([indices.get(one.sample.scene_class or "", _UNKNOWN) for one in samples])

    def _word_targets(self, samples: Sequence[TrainingSample]) -> Tensor:
        """The share of each image's captions that contain each word."""
        shares = [_words_of(one) for one in samples]
        return torch.tensor([[own.get(word, 0.0) for word in self._words] for own in shares])


def _words_of(training_sample: TrainingSample) -> dict[str, float]:
    """Word → share of the image's captions that contain it."""
    captions = training_sample.sample.captions
    counts = Counter(word for caption in captions for word in set(re.findall(r"[a-z]+", caption)))
    return {word: count / len(captions) for word, count in counts.items()}


def _word_shares(training_samples: Sequence[TrainingSample]) -> dict[str, float]:
    """Frequent word → mean over all images of the share of captions that contain it."""
    images: Counter[str] = Counter()
    shares: Counter[str] = Counter()
    for training_sample in training_samples:
        words = _words_of(training_sample)
        images.update(words.keys())
        shares.update(words)
    return {word: shares[word] / len(training_samples) for word, count in images.items() if count >= MIN_IMAGES}
