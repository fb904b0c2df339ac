"""The training stages, as data. One loop (`loop.run_phase`) runs every phase of every stage.

    stage 1    adapt    the image encoder learns kinds of places and words; from then on it is frozen
               align    Q-Former and language model learn to caption, as most people would, and to answer the sub-tasks'
                        questions
    stage 2    experts  adapters of router, theme, objects and relations, started from the stage-1 language model
               fusion   the fusion adapter, on drafts that those experts wrote for the training pictures and on what
                        most people would say of them
    again      adapt    all of both stages once more, from a finished model, which is to learn from more pictures
               align
               experts
               fusion
    single     together all of that in one phase, for a comparison: Q-Former, language model and adapters from the start
    count      near     the detector of aerial pictures, from the image encoder's first layers
               far      the detector of satellite scenes, from the near one
    finetune   experts  adapters of theme, objects and relations of a finished model, on a few pictures of its user's
               fusion   its fusion adapter, on drafts that those experts wrote

Stage 2 and fine-tuning freeze everything that stage 1 trained. The single stage has the image encoder of another model,
and drafts derived from the sentences where stage 2 has those that finished experts wrote.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from rsmoe_core.errors import UsageError
from rsmoe_core.roles import FUSION, ROUTER

_FUSION = frozenset(("fuse", "fuse_derived"))
"""Lessons that teach captions from drafts."""
_EXPERTS = (ROUTER, "theme", "objects", "relations")


@dataclass(frozen=True)
class Phase:
    """One run of the loop."""

    name: str
    objective: Literal["recognise", "teach", "tune", "count"]
    """What is learned; see `objectives`."""
    trains: tuple[str, ...]
    """Parts whose parameters change: `vision`, `qformer`, `language` (without adapters), or names of adapters."""
    epochs: int
    learning_rate: float
    images_per_step: int
    tasks: tuple[str, ...] = ()
    """What is learned from each picture; names of `tasks.TASKS`."""
    weight_decay: float = 0.05
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises; it then falls to a tenth along a cosine."""
    needs_drafts: bool = False
    """The experts write a draft for every picture before the phase begins."""
    needs_consensus: bool = False
    """What most people would say of each picture is told from its neighbours before the phase begins; see `neighbours`."""
    mixup: float = 0.0
    """Share of the pictures whose vision tokens are mixed with another one's, so that the drafts have to decide."""
    average: float = 0.0
    """Decay of a moving average of the parameters, which is what is validated and kept; 0 for none."""
    windows: tuple[int, ...] = ()
    """Windows that show something, in an epoch of a detector, for each of its classes."""
    patience: int | None = None
    """Epochs without a better score after which the phase ends early; the rate falls as if it did not."""

    @property
    def teaches_captions(self) -> bool:
        """Whether it trains a writer of captions."""
        return self.fuses or "caption" in self.tasks

    @property
    def fuses(self) -> bool:
        """Whether it trains a writer of captions from drafts."""
        return not _FUSION.isdisjoint(self.tasks)


@dataclass(frozen=True)
class Stage:
    """Phases that are run one after the other, and what has to be there before."""

    name: str
    starts_from: str | None
    """The stage whose checkpoint it needs; None starts from a preset."""
    phases: tuple[Phase, ...]
    half: bool = False
    """Store the finished model's matrices in float16: enough to be used, too little to be trained on."""
    learns_from: Literal["sentences", "texts", "marks"] = "sentences"
    """Which pictures of a data set it takes: those with sentences, and questions made of them by rule; those that
    have sentences or questions, as they stand; or all, for the marks on some of them."""
    alone: bool = False
    """The run has no other stage: the run's folder is the model's folder itself."""

    @property
    def folder(self) -> str:
        """The model folder, seen from the run's."""
        return "" if self.alone else f"stage{self.name}"

    def with_epochs(self, epochs: int | None, patience: int | None = None) -> Stage:
        """The same stage with another number of epochs, or another patience, in each phase; None changes nothing."""
        if epochs is None and patience is None:
            return self
        phases = (
            dataclasses.replace(p, epochs=epochs or p.epochs, patience=patience or p.patience) for p in self.phases
        )
        return dataclasses.replace(self, phases=tuple(phases))

    def without_captions(self) -> Stage:
        """The same stage for pictures of which nothing but questions is known."""
        return dataclasses.replace(self, phases=tuple(p for p in self.phases if not p.teaches_captions))


_ADAPT = Phase(
    name="adapt",
    objective="recognise",
    trains=("vision",),
    epochs=3,
    learning_rate=4e-4,
    images_per_step=32,
    warmup=0.1,
)
_ALIGN = Phase(
    name="align",
    objective="teach",
    trains=("qformer", "language"),
    tasks=("caption", "subtask", "question"),
    epochs=3,
    learning_rate=8e-4,
    images_per_step=24,
    average=0.998,
    needs_consensus=True,
)
_EXPERTS_LEARN = Phase(
    name="experts",
    objective="teach",
    trains=_EXPERTS,
    tasks=("route", "draft", "route_question", "answer"),
    epochs=1,
    learning_rate=5e-4,
    images_per_step=32,
    weight_decay=0.01,
)
_FUSE = Phase(
    name="fusion",
    objective="teach",
    trains=(FUSION,),
    tasks=("fuse",),
    epochs=2,
    learning_rate=5e-4,
    images_per_step=32,
    weight_decay=0.01,
    average=0.98,
    mixup=0.5,
    needs_drafts=True,
    needs_consensus=True,
)

STAGES: dict[str, Stage] = {
    "1": Stage(
        name="1",
        starts_from=None,
        phases=(
            _ADAPT,
            _ALIGN,
        ),
    ),
    "2": Stage(
        name="2",
        starts_from="1",
        half=True,
        phases=(
            _EXPERTS_LEARN,
            _FUSE,
        ),
    ),
    "again": Stage(
        name="again",
        starts_from="2",
        half=True,
        phases=(
            dataclasses.replace(_ADAPT, epochs=2, learning_rate=2e-4, average=0.99),
            dataclasses.replace(_ALIGN, epochs=2, learning_rate=5e-4),
            _EXPERTS_LEARN,
            dataclasses.replace(_FUSE, epochs=1),
        ),
    ),
    "single": Stage(
        name="single",
        starts_from=None,
        half=True,
        phases=(
            Phase(
                name="together",
                objective="teach",
                trains=("qformer", "language", *_EXPERTS, FUSION),
                tasks=("turn", "fuse_derived"),
                epochs=3,
                learning_rate=8e-4,
                images_per_step=24,
                average=0.998,
                needs_consensus=True,
            ),
        ),
    ),
    "count": Stage(
        name="count",
        starts_from="2",
        half=True,
        learns_from="marks",
        phases=(
            Phase(
                name="near",
                objective="count",
                trains=("near",),
                windows=(1200, 1200, 1200),
                epochs=2,
                learning_rate=1e-3,
                images_per_step=16,
                average=0.998,
            ),
            Phase(
                name="far",
                objective="count",
                trains=("far",),
                windows=(3200,),
                epochs=1,
                learning_rate=1e-3,
                images_per_step=16,
                average=0.998,
            ),
        ),
    ),
    "finetune": Stage(
        name="finetune",
        starts_from="2",
        half=True,
        learns_from="texts",
        alone=True,
        phases=(
            Phase(
                name="experts",
                objective="tune",
                trains=("theme", "objects", "relations"),
                tasks=("draft", "answer"),
                epochs=6,
                learning_rate=1e-3,
                images_per_step=8,
                weight_decay=0.0,
            ),
            Phase(
                name="fusion",
                objective="tune",
                trains=(FUSION,),
                tasks=("fuse",),
                epochs=10,
                learning_rate=1e-3,
                images_per_step=8,
                weight_decay=0.0,
                needs_drafts=True,
            ),
        ),
    ),
}


def stage(name: str) -> Stage:
    """The stage called `name`. Raises UsageError that lists the names."""
    if name not in STAGES:
        raise UsageError(f"no stage '{name}'; choose one of: {', '.join(STAGES)}")
    return STAGES[name]
