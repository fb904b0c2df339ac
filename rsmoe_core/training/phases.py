"""What a training stage is made of: phases, each with the settings of its objective. Free of torch.

    Stage ─▶ Phase ─▶ ClassificationSettings | TextSettings | DetectionSettings

`stages` lists the stages that there are, `objectives.registry` the objective that belongs to each kind of settings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rsmoe_core.roles import FUSION, ROUTER

EXPERTS_PART = "experts"
"""Stands for the adapters of all experts of a model in `Phase.trains`."""


class ObjectiveSettings:
    """What a run has to prepare before a phase begins. The settings of each objective are a subclass."""

    @property
    def needs_features(self) -> bool:
        """Whether it learns from the features of the frozen image encoder; otherwise from pixels."""
        return False

    @property
    def needs_questions(self) -> bool:
        """Whether it learns questions and their answers."""
        return False

    @property
    def needs_drafts(self) -> bool:
        """Whether the experts of the model have to generate a draft for every image."""
        return False

    @property
    def needs_consensus(self) -> bool:
        """Whether the captions to learn are the consensus captions of each image (see `consensus`)."""
        return False

    @property
    def trains_captions(self) -> bool:
        """Whether it trains a role that generates captions."""
        return False


@dataclass(frozen=True)
class ClassificationSettings(ObjectiveSettings):
    """The image encoder learns scene classes and the words of captions."""


@dataclass(frozen=True)
class TextSettings(ObjectiveSettings):
    """Language model, Q-Former or adapters learn to generate texts."""

    tasks: tuple[str, ...]
    """What is learned from each image: names of `examples.TASKS`."""
    consensus: bool = False
    """Learn the consensus captions of each image instead of its own."""
    mixup: float = 0.0
    """Share of the images whose vision tokens are mixed with those of another image, which makes drafts matter more."""
    selects_by: Literal["cider", "loss"] = "cider"
    """What decides which epoch is best. CIDEr weighs words by their rarity: in a small set of similar images every word
    is common, and all captions score zero."""

    texts_per_image: int | None = None
    """Most texts of a role that are learned each time an image is seen, drawn at random from those of the tasks; None
    for all of them. A model that reads each text beside an image of its own has no memory for many."""

    @property
    def needs_features(self) -> bool:
        """Always."""
        return True

    @property
    def needs_questions(self) -> bool:
        """See `ObjectiveSettings`."""
        return not {"question", "route_question", "answer", "any_role"}.isdisjoint(self.tasks)

    @property
    def needs_drafts(self) -> bool:
        """See `ObjectiveSettings`."""
        return "fuse" in self.tasks

    @property
    def needs_consensus(self) -> bool:
        """See `ObjectiveSettings`."""
        return self.consensus

    @property
    def trains_captions(self) -> bool:
        """See `ObjectiveSettings`."""
        return self.trains_fusion or "caption" in self.tasks

    @property
    def trains_fusion(self) -> bool:
        """Whether captions are learned from drafts."""
        return self.needs_drafts or self.fuses_targets

    @property
    def fuses_targets(self) -> bool:
        """Whether fusion learns from the experts' targets, since the experts are trained at the same time."""
        return "fuse_targets" in self.tasks


@dataclass(frozen=True)
class DetectionSettings(ObjectiveSettings):
    """A detector learns to find single objects."""

    crops: tuple[int, ...]
    """Crops with objects in each epoch, for each class of the detector."""


@dataclass(frozen=True)
class Phase:
    """One run of the training loop."""

    name: str
    trains: tuple[str, ...]
    """Parts whose parameters change: `vision`, `qformer`, `language` (without adapters), `router`, `experts`, `fusion`,
    or a detector. Of a mixture on a base, `language` is the adapter of stage 1, and there is `connector`."""
    objective: ObjectiveSettings
    """What is learned."""
    epochs: int
    learning_rate: float
    images_per_step: int
    weight_decay: float = 0.05
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises; it then falls to a tenth along a cosine."""
    ema_decay: float = 0.0
    """Decay of the moving average of the parameters, which is validated and stored in their place; 0 for none."""
    patience: int | None = None
    """Epochs without a better score after which the phase ends early. The learning rate falls as if it did not."""

    def trained_parts(self, experts: Sequence[str]) -> tuple[str, ...]:
        """`trains` with every expert of a model in the place of `experts`."""
        return tuple(name for part in self.trains for name in (experts if part == EXPERTS_PART else (part,)))


@dataclass(frozen=True)
class Stage:
    """Phases that are run one after the other, and what they start from."""

    name: str
    starts_from: str | None
    """The stage whose model it needs; None starts from a preset."""
    phases: tuple[Phase, ...]
    half: bool = False
    """Store the matrices of the finished model in float16, which is enough for inference and not for more training."""
    learns_from: Literal["captions", "texts", "all"] = "captions"
    """Which images of a data set are used: `captions`, those with captions, and questions are derived from the
    annotations; `texts`, those with captions or questions, which are used as they are; `all` of them."""
    on_base: bool = False
    """Whether it trains a mixture on a base of transformers, and not a native model."""
    standalone: bool = False
    """The folder of the run is the model folder itself, since no other stage shares it."""

    @property
    def folder(self) -> str:
        """The model folder, relative to the folder of the run."""
        if self.standalone:
            return ""
        return f"stage{self.name}" if self.name.isdigit() else self.name

    @property
    def trains_adapters(self) -> bool:
        """Whether any phase trains router, experts or fusion."""
        return any(part in (ROUTER, EXPERTS_PART, FUSION) for phase in self.phases for part in phase.trains)

    def with_limits(self, epochs: int | None = None, patience: int | None = None) -> Stage:
        """The same stage with another number of epochs, or another patience, in each phase; None changes nothing."""
        phases = (
            dataclasses.replace(p, epochs=epochs or p.epochs, patience=patience or p.patience) for p in self.phases
        )
        return dataclasses.replace(self, phases=tuple(phases))

    def without_caption_phases(self) -> Stage:
        """The same stage for images that have questions and no captions."""
        return dataclasses.replace(self, phases=tuple(p for p in self.phases if not p.objective.trains_captions))

    def without_classification(self) -> Stage:
        """The same stage for images that have neither scene classes nor enough captions to learn words from."""
        kept = (p for p in self.phases if not isinstance(p.objective, ClassificationSettings))
        return dataclasses.replace(self, phases=tuple(kept))
