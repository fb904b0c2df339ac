"""What is learned from one picture: rows of (role, prompt, answer, weight).

Each different sentence weighs the same. Data sets that promise five sentences pad by repeating what was written; a
sentence that stands there five times was written by one person once, and a picture that five people described says more
of how people describe pictures.

Where it is known what most people would agree with (`neighbours`), captions are that, drawn anew for each look.

Rows of text → token ids of a batch, packed so that an image's rows stand behind one reading of its vision tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rsmoe_core.data.base import Question, Sample
from rsmoe_core.data.targets import Targets
from rsmoe_core.model.fusion import fusion_prompt
from rsmoe_core.model.language.llama import PackedRows
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.roles import ANSWERING, CAPTION, DEFAULT_PROMPTS, FUSION, ROUTER
from rsmoe_core.training.consensus import ConsensusCaption

# Weight of a sub-task's row beside a caption's, which is one.
_SUBTASK_WEIGHT = 1.0
# Questions learned from one look at a picture, and the weight of each: answers are a word or two, captions a dozen.
_QUESTIONS, _QUESTION_WEIGHT = 2, 2.0
# Experts that learn to write nothing where there is nothing to say: sentences without a relation tell that none is
# worth telling, while sentences without a known thing or place tell nothing of things and places.
_MAY_BE_SILENT = ("relations",)
# ConsensusCaption sentences drawn for one look at a picture.
_AGREED = 2
# Share of drafts left out while the fusion pass learns, so that it goes on looking at the picture.
_DRAFT_DROP = 0.3


@dataclass(frozen=True)
class Row:
    """One text to learn."""

    role: str | None
    """The adapter that learns it; None is the bare language model."""
    prompt: str
    answer: str
    weight: float


@dataclass(frozen=True)
class TrainingSample:
    """A picture with everything that tasks may draw on."""

    sample: Sample
    targets: Targets
    drafts: Mapping[str, str]
    """What the experts wrote for it; empty before they did."""
    questions: tuple[Question, ...] = ()
    """In the model's wording, with right answers; see `data.asking`."""
    agreed: tuple[ConsensusCaption, ...] = ()
    """What most people would say of it; empty where that was not sought."""


Task = Callable[[TrainingSample, Tokenizer, np.random.Generator], list[Row]]


def _captions(training_sample: TrainingSample, role: str | None, prompt: str, rng: np.random.Generator) -> list[Row]:
    if not training_sample.agreed:
        return [Row(role, prompt, text, 1.0) for text in training_sample.sample.unique_captions]
    chosen = rng.choice(len(training_sample.agreed), _AGREED, p=[agreed.share for agreed in training_sample.agreed])
    return [Row(role, prompt, training_sample.agreed[number].text, 1.0) for number in chosen.tolist()]


def _caption(training_sample: TrainingSample, tokenizer: Tokenizer, rng: np.random.Generator) -> list[Row]:
    return _captions(training_sample, None, CAPTION, rng)


def _subtask(training_sample: TrainingSample, tokenizer: Tokenizer, rng: np.random.Generator) -> list[Row]:
    """One sub-task, drawn at random; asked plainly or as the router would, so that both are learned."""
    name = tokenizer.experts[rng.integers(len(tokenizer.experts))]
    answer = getattr(training_sample.targets, name)
    prompt = DEFAULT_PROMPTS[name] if rng.random() < 0.5 else training_sample.targets.prompts[name]
    return [Row(None, prompt, answer, _SUBTASK_WEIGHT)] if answer or name in _MAY_BE_SILENT else []


def _drawn(training_sample: TrainingSample, rng: np.random.Generator) -> list[Question]:
    """A few questions of different kinds, so that what is asked often is not all that is learned."""
    kinds = sorted({question.type for question in training_sample.questions})
    chosen = rng.permutation(len(kinds))[:_QUESTIONS]
    by_kind = [[q for q in training_sample.questions if q.type == kinds[number]] for number in chosen]
    return [own[int(rng.integers(len(own)))] for own in by_kind]


def _question(training_sample: TrainingSample, tokenizer: Tokenizer, rng: np.random.Generator) -> list[Row]:
    return [Row(None, q.text, q.answer, _QUESTION_WEIGHT) for q in _drawn(training_sample, rng)]


def _route_question(training_sample: TrainingSample, tokenizer: Tokenizer, rng: np.random.Generator) -> list[Row]:
    return [
        Row(ROUTER, q.text, tokenizer.join_parts(dict.fromkeys(ANSWERING[q.type], q.text)), 1.0)
        for q in _drawn(training_sample, rng)
    ]


def _answer(training_sample: TrainingSample, tokenizer: Tokenizer, rng: np.random.Generator) -> list[Row]:
    return [
        Row(name, q.text, q.answer, _QUESTION_WEIGHT)
        for q in _drawn(training_sample, rng)
        for name in ANSWERING[q.type]
        if name in tokenizer.experts
    ]


def _route(training_sample: TrainingSample, tokenizer: Tokenizer, rng: np.random.Generator) -> list[Row]:
    return [Row(ROUTER, CAPTION, tokenizer.join_parts(training_sample.targets.prompts), 1.0)]


def _draft(training_sample: TrainingSample, tokenizer: Tokenizer, rng: np.random.Generator) -> list[Row]:
    """Nothing where there are no sentences: what nobody described is not said to be nothing."""
    answers = {
        name: getattr(training_sample.targets, name) for name in tokenizer.experts if training_sample.sample.captions
    }
    return [
        Row(name, training_sample.targets.prompts[name], text, 1.0)
        for name, text in answers.items()
        if text or name in _MAY_BE_SILENT
    ]


def _turn(training_sample: TrainingSample, tokenizer: Tokenizer, rng: np.random.Generator) -> list[Row]:
    """What one of the roles before fusion, drawn at random, has to do with the picture."""
    name = (ROUTER, *tokenizer.experts)[rng.integers(1 + len(tokenizer.experts))]
    tasks = (_route, _route_question) if name == ROUTER else (_draft, _answer)
    return [row for task in tasks for row in task(training_sample, tokenizer, rng) if row.role == name]


def _fuse(training_sample: TrainingSample, tokenizer: Tokenizer, rng: np.random.Generator) -> list[Row]:
    return _fused(training_sample, training_sample.drafts, tokenizer, rng)


def _fuse_derived(training_sample: TrainingSample, tokenizer: Tokenizer, rng: np.random.Generator) -> list[Row]:
    """The same from what the experts should write, as long as there are none that could."""
    return _fused(
        training_sample, {name: getattr(training_sample.targets, name) for name in tokenizer.experts}, tokenizer, rng
    )


def _fused(
    training_sample: TrainingSample, drafts: Mapping[str, str], tokenizer: Tokenizer, rng: np.random.Generator
) -> list[Row]:
    kept = {name: text for name, text in drafts.items() if rng.random() >= _DRAFT_DROP}
    return _captions(training_sample, FUSION, fusion_prompt(tokenizer, CAPTION, kept), rng)


TASKS: dict[str, Task] = {
    "caption": _caption,
    "subtask": _subtask,
    "question": _question,
    "route_question": _route_question,
    "answer": _answer,
    "route": _route,
    "draft": _draft,
    "turn": _turn,
    "fuse": _fuse,
    "fuse_derived": _fuse_derived,
}


def texts(training_sample: TrainingSample) -> list[str]:
    """Every text of a picture, for learning the vocabulary."""
    targets = training_sample.targets
    return [
        *training_sample.sample.captions,
        CAPTION,
        targets.theme,
        targets.objects,
        targets.relations,
        *targets.prompts.values(),
        *(text for question in training_sample.questions for text in (question.text, question.answer)),
    ]


IdRow = tuple[Sequence[int], Sequence[int], float]
"""Ids of a prompt, ids of its answer with `<eos>`, and the row's weight."""


def pack(tokenizer: Tokenizer, rows: Sequence[Sequence[Row]]) -> PackedRows:
    """Token ids of every row of every image; see PackedRows."""
    ids = [
        [(tokenizer.prompt_ids(row.prompt), [*tokenizer.encode(row.answer), tokenizer.eos], row.weight) for row in own]
        for own in rows
    ]
    return pack_ids(ids, tokenizer.pad)


def pack_ids(rows: Sequence[Sequence[IdRow]], pad: int) -> PackedRows:
    """The same for rows that are ids already."""
    ids, numbers, offsets, weights = [], [], [], []
    for own in rows:
        lengths = [len(prompt) + len(answer) for prompt, answer, _ in own]
        ids.append([token for prompt, answer, _ in own for token in (*prompt, *answer)])
        numbers.append([number for number, length in enumerate(lengths) for _ in range(length)])
        offsets.append([place for length in lengths for place in range(length)])
        weights.append(
            [w for prompt, answer, weight in own for w in [0.0] * len(prompt) + [float(weight)] * len(answer)]
        )
    return PackedRows(
        ids_BT=_padded(ids, pad),
        row_BT=_padded(numbers, -1),
        offset_BT=_padded(offsets, 0),
        weight_BT=_padded(weights, 0.0),
    )


def _padded(lists: Sequence[Sequence[float]], value: float) -> Tensor:
    return pad_sequence([torch.tensor(values) for values in lists], batch_first=True, padding_value=value)
