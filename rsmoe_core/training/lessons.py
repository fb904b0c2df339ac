"""What is learned from one picture: rows of (role, prompt, answer, weight).

Each different sentence weighs the same. Data sets that promise five sentences pad by repeating what was written; a
sentence that stands there five times was written by one person once, and a picture that five people described says more
of how people describe pictures.

Where it is known what most people would agree with (`likes`), captions are that, drawn anew for each look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rsmoe_core.data import Question, Sample
from rsmoe_core.data.targets import Targets
from rsmoe_core.instructions import ANSWERING, CAPTION, DEFAULT_PROMPTS
from rsmoe_core.model.fusion import fusion_prompt
from rsmoe_core.model.roles import FUSION, ROUTER
from rsmoe_core.tokenizer import TextCodec
from rsmoe_core.training.likes import Agreed

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
