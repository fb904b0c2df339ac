"""The training stages of a mixture on a base: a vision-language model of transformers.

    1         align    the connector (Q-Former, projection) and the first adapter learn to caption, and to answer the
                       questions of the sub-tasks
    2         experts  the adapters of router and experts, which begin as copies of the first one
              fusion   the adapter of fusion, on drafts that those experts generated for the training images
    finetune  experts  the adapters of the experts of a finished mixture, on a few images of its user
              fusion   its fusion adapter, on drafts that those experts generated

The base is frozen in every stage, and stage 2 and fine-tuning freeze everything that stage 1 trained. The best epoch is
the one with the smallest validation loss, since generating captions takes such a model longer than learning from them.
"""

from __future__ import annotations

from rsmoe_core.roles import FUSION, ROUTER
from rsmoe_core.training.phases import EXPERTS_PART, Phase, Stage, TextSettings

_ALIGN = Phase(
    name="align",
    trains=("connector", "language"),
    objective=TextSettings(tasks=("caption", "subtask", "question"), selects_by="loss", texts_per_image=2),
    epochs=3,
    learning_rate=1e-4,
    images_per_step=16,
    weight_decay=0.01,
)
_EXPERTS = Phase(
    name="experts",
    trains=(ROUTER, EXPERTS_PART),
    objective=TextSettings(tasks=("route", "draft", "route_question", "answer"), selects_by="loss", texts_per_image=2),
    epochs=2,
    learning_rate=1e-4,
    images_per_step=16,
    weight_decay=0.01,
)
_FUSION = Phase(
    name="fusion",
    trains=(FUSION,),
    objective=TextSettings(tasks=("fuse",), selects_by="loss", texts_per_image=2),
    epochs=2,
    learning_rate=1e-4,
    images_per_step=16,
    weight_decay=0.01,
)
_FINETUNE_EXPERTS = Phase(
    name="experts",
    trains=(EXPERTS_PART,),
    objective=TextSettings(tasks=("draft", "answer"), selects_by="loss", texts_per_image=2),
    epochs=6,
    learning_rate=1e-4,
    images_per_step=8,
    weight_decay=0.0,
)
_FINETUNE_FUSION = Phase(
    name="fusion",
    trains=(FUSION,),
    objective=TextSettings(tasks=("fuse",), selects_by="loss", texts_per_image=2),
    epochs=10,
    learning_rate=1e-4,
    images_per_step=8,
    weight_decay=0.0,
)

BASE_STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("1", starts_from=None, phases=(_ALIGN,), on_base=True),
        Stage("2", starts_from="1", phases=(_EXPERTS, _FUSION), on_base=True),
        Stage(
            "finetune",
            starts_from="2",
            phases=(_FINETUNE_EXPERTS, _FINETUNE_FUSION),
            learns_from="texts",
            on_base=True,
            standalone=True,
        ),
    )
}
"""Every stage of a mixture on a base, by name."""
