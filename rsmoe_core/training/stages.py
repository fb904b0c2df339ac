"""The training stages, as data. One loop (`loop.run_phase`) runs every phase of every stage.

    1         adapt    the image encoder learns scene classes and words; from then on it is frozen
              align    Q-Former and language model learn to caption, and to answer the questions of the sub-tasks
    2         experts  the adapters of router and experts, initialised from the stage-1 language model
              fusion   the adapter of fusion, on drafts that those experts generated for the training images
    continue  adapt    all of both stages once more, from a finished model, to learn from more images
              align
              experts
              fusion
    joint     joint    Q-Former, language model and all adapters in one phase, to measure what two stages are worth
    detect    near     the detector for aerial images, initialised from the first layers of the image encoder
              far      the detector for satellite scenes, initialised from the near one
    finetune  experts  the adapters of the experts of a finished model, on a few images of its user
              fusion   its fusion adapter, on drafts that those experts generated

Stage 2 and fine-tuning freeze everything that stage 1 trained. The joint stage takes the image encoder of another
model, and where stage 2 uses drafts that finished experts generated, it uses the experts' targets.
"""

from __future__ import annotations

import dataclasses

from rsmoe_core.errors import UsageError
from rsmoe_core.roles import FUSION, ROUTER
from rsmoe_core.training.mixtures.stages import BASE_STAGES
from rsmoe_core.training.phases import (
    EXPERTS_PART,
    ClassificationSettings,
    DetectionSettings,
    Phase,
    Stage,
    TextSettings,
)

_ADAPT = Phase(
    name="adapt",
    trains=("vision",),
    objective=ClassificationSettings(),
    epochs=3,
    learning_rate=4e-4,
    images_per_step=32,
    warmup=0.1,
)
_ALIGN = Phase(
    name="align",
    trains=("qformer", "language"),
    objective=TextSettings(tasks=("caption", "subtask", "question"), consensus=True),
    epochs=3,
    learning_rate=8e-4,
    images_per_step=24,
    ema_decay=0.998,
)
_EXPERTS = Phase(
    name="experts",
    trains=(ROUTER, EXPERTS_PART),
    objective=TextSettings(tasks=("route", "draft", "route_question", "answer")),
    epochs=1,
    learning_rate=5e-4,
    images_per_step=32,
    weight_decay=0.01,
)
_FUSION = Phase(
    name="fusion",
    trains=(FUSION,),
    objective=TextSettings(tasks=("fuse",), consensus=True, mixup=0.5),
    epochs=2,
    learning_rate=5e-4,
    images_per_step=32,
    weight_decay=0.01,
    ema_decay=0.98,
)
_JOINT = Phase(
    name="joint",
    trains=("qformer", "language", ROUTER, EXPERTS_PART, FUSION),
    objective=TextSettings(tasks=("any_role", "fuse_targets"), consensus=True),
    epochs=3,
    learning_rate=8e-4,
    images_per_step=24,
    ema_decay=0.998,
)
_NEAR = Phase(
    name="near",
    trains=("near",),
    objective=DetectionSettings(crops=(1200, 1200, 1200)),
    epochs=2,
    learning_rate=1e-3,
    images_per_step=16,
    ema_decay=0.998,
)
_FAR = Phase(
    name="far",
    trains=("far",),
    objective=DetectionSettings(crops=(3200,)),
    epochs=1,
    learning_rate=1e-3,
    images_per_step=16,
    ema_decay=0.998,
)
_FINETUNE_EXPERTS = Phase(
    name="experts",
    trains=(EXPERTS_PART,),
    objective=TextSettings(tasks=("draft", "answer"), selects_by="loss"),
    epochs=6,
    learning_rate=1e-3,
    images_per_step=8,
    weight_decay=0.0,
)
_FINETUNE_FUSION = Phase(
    name="fusion",
    trains=(FUSION,),
    objective=TextSettings(tasks=("fuse",), selects_by="loss"),
    epochs=10,
    learning_rate=1e-3,
    images_per_step=8,
    weight_decay=0.0,
)

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("1", starts_from=None, phases=(_ADAPT, _ALIGN)),
        Stage("2", starts_from="1", phases=(_EXPERTS, _FUSION), half=True),
        Stage(
            "continue",
            starts_from="2",
            phases=(
                dataclasses.replace(_ADAPT, epochs=2, learning_rate=2e-4, ema_decay=0.99),
                dataclasses.replace(_ALIGN, epochs=2, learning_rate=5e-4),
                _EXPERTS,
                dataclasses.replace(_FUSION, epochs=1),
            ),
            half=True,
        ),
        Stage("joint", starts_from=None, phases=(_JOINT,), half=True),
        Stage("detect", starts_from="2", phases=(_NEAR, _FAR), half=True, learns_from="all"),
        Stage(
            "finetune",
            starts_from="2",
            phases=(_FINETUNE_EXPERTS, _FINETUNE_FUSION),
            half=True,
            learns_from="texts",
            standalone=True,
        ),
    )
}
"""Every stage, by name."""


def find_stage(name: str, *, on_base: bool = False) -> Stage:
    """The stage called `name` of the native model, or that of a mixture on a base of transformers.

    Raises:
        UsageError: there is none; the message lists the names.
    """
    stages = BASE_STAGES if on_base else STAGES
    if name not in stages:
        whose = f" of a mixture on a base called '{name}'" if on_base else f" '{name}'"
        raise UsageError(f"no stage{whose}; choose one of: {', '.join(stages)}")
    return stages[name]
