"""What is learned from one picture: rows of (role, prompt, answer, weight).

Each different sentence weighs the same. Data sets that promise five sentences pad by repeating what was written; a
sentence that stands there five times was written by one person once, and a picture that five people described says more
of how people describe pictures.

Where it is known what most people would agree with (`likes`), captions are that, drawn anew for each look.

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
from rsmoe_core.model.tokenizer import TextCodec
from rsmoe_core.roles import ANSWERING, CAPTION, DEFAULT_PROMPTS, FUSION, ROUTER
from rsmoe_core.training.consensus import Agreed

# Weight of a sub-task's row beside a caption's, which is one.
_SUBTASK_WEIGHT = 1.0
# Questions learned from one look at a picture, and the weight of each: answers are a word or two, captions a dozen.
_QUESTIONS, _QUESTION_WEIGHT = 2, 2.0
# Experts that learn to write nothing where there is nothing to say: sentences without a relation tell that none is
# worth telling, while sentences without a known thing or place tell nothing of things and places.
_MAY_BE_SILENT = ("relations",)
# Agreed sentences drawn for one look at a picture.
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
class Study:
    """A picture with everything that lessons may draw on."""

    sample: Sample
    targets: Targets
    drafts: Mapping[str, str]
    """What the experts wrote for it; empty before they did."""
    questions: tuple[Question, ...] = ()
    """In the model's wording, with right answers; see `data.asking`."""
    agreed: tuple[Agreed, ...] = ()
    """What most people would say of it; empty where that was not sought."""


Lesson = Callable[[Study, TextCodec, np.random.Generator], list[Row]]


def _captions(study: Study, role: str | None, prompt: str, rng: np.random.Generator) -> list[Row]:
    if not study.agreed:
        return [Row(role, prompt, text, 1.0) for text in study.sample.different_captions]
    chosen = rng.choice(len(study.agreed), _AGREED, p=[agreed.share for agreed in study.agreed])
    return [Row(role, prompt, study.agreed[number].text, 1.0) for number in chosen.tolist()]


def _caption(study: Study, codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    return _captions(study, None, CAPTION, rng)


def _subtask(study: Study, codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    """One sub-task, drawn at random; asked plainly or as the router would, so that both are learned."""
    name = codec.experts[rng.integers(len(codec.experts))]
    answer = getattr(study.targets, name)
    prompt = DEFAULT_PROMPTS[name] if rng.random() < 0.5 else study.targets.prompts[name]
    return [Row(None, prompt, answer, _SUBTASK_WEIGHT)] if answer or name in _MAY_BE_SILENT else []


def _drawn(study: Study, rng: np.random.Generator) -> list[Question]:
    """A few questions of different kinds, so that what is asked often is not all that is learned."""
    kinds = sorted({question.kind for question in study.questions})
    chosen = rng.permutation(len(kinds))[:_QUESTIONS]
    by_kind = [[q for q in study.questions if q.kind == kinds[number]] for number in chosen]
    return [own[int(rng.integers(len(own)))] for own in by_kind]


def _question(study: Study, codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    return [Row(None, q.text, q.answer, _QUESTION_WEIGHT) for q in _drawn(study, rng)]


def _route_question(study: Study, codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    return [
        Row(ROUTER, q.text, codec.join_parts(dict.fromkeys(ANSWERING[q.kind], q.text)), 1.0) for q in _drawn(study, rng)
    ]


def _answer(study: Study, codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    return [
        Row(name, q.text, q.answer, _QUESTION_WEIGHT)
        for q in _drawn(study, rng)
        for name in ANSWERING[q.kind]
        if name in codec.experts
    ]


def _route(study: Study, codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    return [Row(ROUTER, CAPTION, codec.join_parts(study.targets.prompts), 1.0)]


def _draft(study: Study, codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    """Nothing where there are no sentences: what nobody described is not said to be nothing."""
    answers = {name: getattr(study.targets, name) for name in codec.experts if study.sample.captions}
    return [
        Row(name, study.targets.prompts[name], text, 1.0)
        for name, text in answers.items()
        if text or name in _MAY_BE_SILENT
    ]


def _turn(study: Study, codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    """What one of the roles before fusion, drawn at random, has to do with the picture."""
    name = (ROUTER, *codec.experts)[rng.integers(1 + len(codec.experts))]
    lessons = (_route, _route_question) if name == ROUTER else (_draft, _answer)
    return [row for lesson in lessons for row in lesson(study, codec, rng) if row.role == name]


def _fuse(study: Study, codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    return _fused(study, study.drafts, codec, rng)


def _fuse_derived(study: Study, codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    """The same from what the experts should write, as long as there are none that could."""
    return _fused(study, {name: getattr(study.targets, name) for name in codec.experts}, codec, rng)


def _fused(study: Study, drafts: Mapping[str, str], codec: TextCodec, rng: np.random.Generator) -> list[Row]:
    kept = {name: text for name, text in drafts.items() if rng.random() >= _DRAFT_DROP}
    return _captions(study, FUSION, fusion_prompt(codec, CAPTION, kept), rng)


LESSONS: dict[str, Lesson] = {
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


def texts(study: Study) -> list[str]:
    """Every text of a picture, for learning the vocabulary."""
    targets = study.targets
    return [
        *study.sample.captions,
        CAPTION,
        targets.theme,
        targets.objects,
        targets.relations,
        *targets.prompts.values(),
        *(text for question in study.questions for text in (question.text, question.answer)),
    ]


IdRow = tuple[Sequence[int], Sequence[int], float]
"""Ids of a prompt, ids of its answer with `<eos>`, and the row's weight."""


def pack(codec: TextCodec, rows: Sequence[Sequence[Row]]) -> PackedRows:
    """Token ids of every row of every image; see PackedRows."""
    ids = [
        [(codec.prompt_ids(row.prompt), [*codec.encode(row.answer), codec.eos], row.weight) for row in own]
        for own in rows
    ]
    return pack_ids(ids, codec.pad)


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
