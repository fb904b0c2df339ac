"""The roles that one language model plays, and the registry of experts. Free of torch, peft and transformers.

    router      writes a prompt for each expert
    experts     answer their prompts: theme, objects and relations by default, and whatever else is registered
    fusion      reads the drafts and writes the final text

An expert is one entry of `EXPERTS`. Everything else follows from it: its adapter, its draft in the description, its
column in the output layer, its part of the fusion prompt, and how its training targets are made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rsmoe_core.errors import UsageError
from rsmoe_core.words import expert_targets
from rsmoe_core.words.expert_targets import AnnotationFacts
from rsmoe_core.words.replies import ITEMS, PHRASE, SENTENCE, ReplyForm

ROUTER, FUSION = "router", "fusion"
BASE = "__base__"
"""The language model without any adapter, by peft's name."""
CAPTION_INSTRUCTION = "describe the picture"
"""The instruction of the caption task; router and fusion read it."""
_PARTS = ("experts", "vision", "qformer", "language", "near", "far", "base", "stage1")
_SPECIAL_TOKENS = ("pad", "bos", "eos", "sep")
RESERVED_NAMES = frozenset((ROUTER, FUSION, *_PARTS, *_SPECIAL_TOKENS))
"""Names that no expert may have: other roles and parts of a model, and special tokens."""


@dataclass(frozen=True)
class Expert:
    """One expert of the mixture."""

    name: str
    """Lower-case letters, digits and underscores; also the name of its adapter and of its column."""
    default_prompt: str
    """What it is asked where the router has nothing more specific to ask."""
    description: str
    """What its draft says, in a few words for people."""
    target: Callable[[AnnotationFacts], str]
    """What it should write for an annotated image; an empty text means that the annotations do not say."""
    prompt_target: Callable[[AnnotationFacts], str] = lambda facts: ""
    """What the router should ask it about an annotated image; an empty text means the default prompt."""
    form: ReplyForm = SENTENCE
    """The form of its draft, for models that follow instructions."""
    may_be_empty: bool = False
    """Whether it learns to write nothing where its target is empty: captions without a relation say that none is worth
    mentioning, while captions without a known object say nothing about objects."""


EXPERTS: dict[str, Expert] = {}
"""Every registered expert, by name."""


def register_expert(expert: Expert) -> None:
    """Make an expert known, so that a configuration can list it.

    Raises:
        UsageError: the name is taken or reserved.
    """
    if expert.name in EXPERTS or expert.name in RESERVED_NAMES:
        raise UsageError(f"the name '{expert.name}' is taken; give the expert another one")
    EXPERTS[expert.name] = expert


for _expert in (
    Expert(
        name="theme",
        default_prompt="name the kind of place",
        description="the scene class",
        target=expert_targets.theme_target,
        form=PHRASE,
        prompt_target=expert_targets.theme_prompt,
    ),
    Expert(
        name="objects",
        default_prompt="name the objects and how many there are",
        description="which objects there are, and how many",
        target=expert_targets.objects_target,
        form=ITEMS,
        prompt_target=expert_targets.objects_prompt,
    ),
    Expert(
        name="relations",
        default_prompt="say how the objects lie to each other",
        description="where objects lie relative to each other",
        target=expert_targets.relations_target,
        prompt_target=expert_targets.relations_prompt,
        may_be_empty=True,
    ),
):
    register_expert(_expert)

DEFAULT_EXPERTS: tuple[str, ...] = ("theme", "objects", "relations")
"""The sub-tasks of the paper, in the order in which drafts are listed and fused."""


def all_roles(experts: Sequence[str]) -> tuple[str, ...]:
    """Every role of a model with these experts, in the order in which they are run."""
    return (ROUTER, *experts, FUSION)


def default_prompts(experts: Sequence[str]) -> dict[str, str]:
    """What each expert is asked where nothing more specific is."""
    return {name: EXPERTS[name].default_prompt for name in experts}


@dataclass(frozen=True)
class ExpertTargets:
    """What experts and router should write for one annotated image; an empty text means that annotations do not say."""

    drafts: Mapping[str, str]
    """By expert."""
    prompts: Mapping[str, str]
    """The router's prompt for each expert."""


def expert_targets_of(facts: AnnotationFacts, experts: Sequence[str] = DEFAULT_EXPERTS) -> ExpertTargets:
    """The targets of every expert, derived from annotations."""
    return ExpertTargets(
        drafts={name: EXPERTS[name].target(facts) for name in experts},
        prompts={name: EXPERTS[name].prompt_target(facts) or EXPERTS[name].default_prompt for name in experts},
    )
