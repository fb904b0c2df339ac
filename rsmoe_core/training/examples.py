"""What is learned from one image: texts by task, and how they are packed into batches of token ids.

    TrainingSample ─task─▶ TrainingExamples (role, prompt, answer, weight) ─pack─▶ PackedRows

Each different sentence of an image has the same weight. Data sets that promise five sentences repeat what they have: a
sentence that occurs five times was written by one person once, and an image that five people described says more about
how people describe images. Where consensus captions are known (see `consensus`), they take the place of the image's own
sentences, and a few are drawn each time that the image is seen.

Shapes: B images, T tokens of all texts of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rsmoe_core.data.base import Question, Sample
from rsmoe_core.model.language.llama import PackedRows
from rsmoe_core.model.moe import fusion_prompt, join_parts
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.questions.types import answering_experts
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, EXPERTS, FUSION, ROUTER, ExpertTargets
from rsmoe_core.training.consensus import ConsensusCaption

_SUBTASK_WEIGHT = 1.0
"""Weight of a sub-task's text; a caption's is one."""
_QUESTIONS_DRAWN, _QUESTION_WEIGHT = 2, 2.0
"""Questions drawn each time that an image is seen, and their weight: an answer is a word or two, a caption a dozen."""
_CONSENSUS_DRAWN = 2
"""Consensus captions drawn each time that an image is seen."""
_DRAFT_DROPOUT = 0.3
"""Share of drafts that fusion does not get while it learns, so that it does not rely on them alone."""
_DEFAULT_PROMPT_SHARE = 0.5
"""How often a sub-task is asked by the expert's default prompt rather than by the router's."""


@dataclass(frozen=True)
class TrainingExample:
    """One text to learn."""

    role: str
    """The adapter that learns it; `BASE` is the language model without adapters."""
    prompt: str
    answer: str
    weight: float


@dataclass(frozen=True)
class TrainingSample:
    """An annotated image with everything that tasks draw on."""

    sample: Sample
    targets: ExpertTargets
    """What experts and router should write."""
    drafts: Mapping[str, str] = field(default_factory=dict)
    """What each expert generated, by expert; empty until a phase needs it."""
    questions: tuple[Question, ...] = ()
    """In their canonical wording, with right answers (see `rsmoe_core.data.qa`)."""
    consensus: tuple[ConsensusCaption, ...] = ()
    """Captions to learn in place of the image's own; empty until a phase needs them."""


Task = Callable[[TrainingSample, Sequence[str], np.random.Generator], list[TrainingExample]]


def _caption(
    training_sample: TrainingSample, experts: Sequence[str], rng: np.random.Generator
) -> list[TrainingExample]:
    return _captions(training_sample, BASE, CAPTION_INSTRUCTION, rng)


def _captions(
    training_sample: TrainingSample, role: str, prompt: str, rng: np.random.Generator
) -> list[TrainingExample]:
    consensus = training_sample.consensus
    if not consensus:
        return [TrainingExample(role, prompt, text, 1.0) for text in training_sample.sample.unique_captions]
    drawn = rng.choice(len(consensus), _CONSENSUS_DRAWN, p=[caption.share for caption in consensus])
    return [TrainingExample(role, prompt, consensus[number].text, 1.0) for number in drawn.tolist()]


def _subtask(
    training_sample: TrainingSample, experts: Sequence[str], rng: np.random.Generator
) -> list[TrainingExample]:
    """One sub-task, drawn at random, by the default prompt or as the router would ask it, so that both are learned."""
    name = experts[int(rng.integers(len(experts)))]
    answer = training_sample.targets.drafts[name]
    by_default = rng.random() < _DEFAULT_PROMPT_SHARE
    prompt = EXPERTS[name].default_prompt if by_default else training_sample.targets.prompts[name]
    return [TrainingExample(BASE, prompt, answer, _SUBTASK_WEIGHT)] if _is_known(name, answer) else []


def _is_known(expert: str, target: str) -> bool:
    """Whether the annotations say what the expert should write."""
    return bool(target) or EXPERTS[expert].may_be_empty


def _draw_questions(training_sample: TrainingSample, rng: np.random.Generator) -> list[Question]:
    """A few questions of different types, so that frequent types are not all that is learned."""
    types = sorted({question.type for question in training_sample.questions})
    drawn = [types[number] for number in rng.permutation(len(types))[:_QUESTIONS_DRAWN]]
    by_type = [[question for question in training_sample.questions if question.type == type] for type in drawn]
    return [questions[int(rng.integers(len(questions)))] for questions in by_type]


def _question(
    training_sample: TrainingSample, experts: Sequence[str], rng: np.random.Generator
) -> list[TrainingExample]:
    return [
        TrainingExample(BASE, question.text, question.answer, _QUESTION_WEIGHT)
        for question in _draw_questions(training_sample, rng)
    ]


def _route_question(
    training_sample: TrainingSample, experts: Sequence[str], rng: np.random.Generator
) -> list[TrainingExample]:
    """The router passes a question on to the experts that can answer it."""
    return [
        TrainingExample(
            ROUTER,
            question.text,
            join_parts(dict.fromkeys(answering_experts(question.type), question.text), experts),
            1.0,
        )
        for question in _draw_questions(training_sample, rng)
    ]


def _answer(training_sample: TrainingSample, experts: Sequence[str], rng: np.random.Generator) -> list[TrainingExample]:
    return [
        TrainingExample(name, question.text, question.answer, _QUESTION_WEIGHT)
        for question in _draw_questions(training_sample, rng)
        for name in answering_experts(question.type)
        if name in experts
    ]


def _route(training_sample: TrainingSample, experts: Sequence[str], rng: np.random.Generator) -> list[TrainingExample]:
    prompts = join_parts(training_sample.targets.prompts, experts)
    return [TrainingExample(ROUTER, CAPTION_INSTRUCTION, prompts, 1.0)]


def _draft(training_sample: TrainingSample, experts: Sequence[str], rng: np.random.Generator) -> list[TrainingExample]:
    """Nothing for images without captions: that nobody described them does not mean that there is nothing to say."""
    if not training_sample.sample.captions:
        return []
    targets = training_sample.targets
    return [
        TrainingExample(name, targets.prompts[name], targets.drafts[name], 1.0)
        for name in experts
        if _is_known(name, targets.drafts[name])
    ]


def _any_role(
    training_sample: TrainingSample, experts: Sequence[str], rng: np.random.Generator
) -> list[TrainingExample]:
    """All that one of the roles before fusion, drawn at random, learns from the image."""
    role = (ROUTER, *experts)[rng.integers(1 + len(experts))]
    tasks = (_route, _route_question) if role == ROUTER else (_draft, _answer)
    return [example for task in tasks for example in task(training_sample, experts, rng) if example.role == role]


def _fuse(training_sample: TrainingSample, experts: Sequence[str], rng: np.random.Generator) -> list[TrainingExample]:
    """Captions from the drafts that the experts generated."""
    return _fuse_drafts(training_sample, training_sample.drafts, experts, rng)


def _fuse_targets(
    training_sample: TrainingSample, experts: Sequence[str], rng: np.random.Generator
) -> list[TrainingExample]:
    """Captions from the drafts that the experts should generate, while the experts are still being trained."""
    drafts = {name: training_sample.targets.drafts[name] for name in experts}
    return _fuse_drafts(training_sample, drafts, experts, rng)


def _fuse_drafts(
    training_sample: TrainingSample, drafts: Mapping[str, str], experts: Sequence[str], rng: np.random.Generator
) -> list[TrainingExample]:
    seen = {name: text for name, text in drafts.items() if rng.random() >= _DRAFT_DROPOUT}
    prompt = fusion_prompt(CAPTION_INSTRUCTION, seen, experts)
    return _captions(training_sample, FUSION, prompt, rng)


TASKS: dict[str, Task] = {
    "caption": _caption,
    "subtask": _subtask,
    "question": _question,
    "route_question": _route_question,
    "answer": _answer,
    "route": _route,
    "draft": _draft,
    "any_role": _any_role,
    "fuse": _fuse,
    "fuse_targets": _fuse_targets,
}
"""What the experts of these names, and the other roles, can learn from an image; `TextSettings.tasks` lists tasks."""


def draw_examples(
    training_samples: Sequence[TrainingSample], tasks: Sequence[str], experts: Sequence[str], rng: np.random.Generator
) -> dict[str, list[list[TrainingExample]]]:
    """Role → for each of the images the examples that it learns; `tasks` are names of `TASKS`."""
    by_role: dict[str, list[list[TrainingExample]]] = {}
    for row, training_sample in enumerate(training_samples):
        for task in tasks:
            for example in TASKS[task](training_sample, experts, rng):
                by_role.setdefault(example.role, [[] for _ in training_samples])[row].append(example)
    return by_role


def texts(training_sample: TrainingSample) -> list[str]:
    """Every text of an image, to learn the vocabulary from."""
    targets = training_sample.targets
    return [
        *training_sample.sample.captions,
        CAPTION_INSTRUCTION,
        *targets.drafts.values(),
        *targets.prompts.values(),
        *(text for question in training_sample.questions for text in (question.text, question.answer)),
    ]


TokenizedExample = tuple[Sequence[int], Sequence[int], float]
"""Ids of a prompt, ids of its answer with `<eos>`, and the example's weight."""


def pack(tokenizer: Tokenizer, examples: Sequence[Sequence[TrainingExample]]) -> PackedRows:
    """Token ids of all examples of each image, one after the other, so that its vision tokens are read once."""
    tokenized = [
        [
            (tokenizer.prompt_ids(one.prompt), [*tokenizer.encode(one.answer), tokenizer.eos], one.weight)
            for one in of_image
        ]
        for of_image in examples
    ]
    return pack_ids(tokenized, tokenizer.pad)


def pack_ids(examples: Sequence[Sequence[TokenizedExample]], pad: int) -> PackedRows:
    """The same for examples that are token ids already."""
    ids, rows, offsets, weights = [], [], [], []
    for of_image in examples:
        lengths = [len(prompt) + len(answer) for prompt, answer, _ in of_image]
        ids.append([token for prompt, answer, _ in of_image for token in (*prompt, *answer)])
        rows.append([row for row, length in enumerate(lengths) for _ in range(length)])
        offsets.append([offset for length in lengths for offset in range(length)])
        weights.append(
            [w for prompt, answer, weight in of_image for w in [0.0] * len(prompt) + [float(weight)] * len(answer)]
        )
    return PackedRows(
        ids_BT=_padded(ids, pad),
        row_BT=_padded(rows, -1),
        offset_BT=_padded(offsets, 0),
        weight_BT=_padded(weights, 0.0),
    )


def _padded(lists: Sequence[Sequence[float]], value: float) -> Tensor:
    return pad_sequence([torch.tensor(values) for values in lists], batch_first=True, padding_value=value)
