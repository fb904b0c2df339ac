"""Pictures → all that lessons draw on: derived texts and questions at first, drafts and agreement when a phase asks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from rsmoe_core.checkpoint.inference import writer_of
from rsmoe_core.data.base import Question, Sample
from rsmoe_core.data.qa import asked_of, questions_of
from rsmoe_core.data.targets import derive
from rsmoe_core.errors import TrainingError
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import CAPTION
from rsmoe_core.training.consensus import agreed_sentences
from rsmoe_core.training.examples import Study
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.stages import Stage

_WRITING_BATCH = 64


def studies_of(stage: Stage, samples: Sequence[Sample], say: Callable[[str], None]) -> list[Study]:
    """With questions, where any phase asks some. Raises TrainingError where there are no words to learn."""
    lessons = {lesson for phase in stage.phases for lesson in phase.lessons}
    asks = not lessons.isdisjoint(("question", "route_question", "answer", "turn"))
    questions: Sequence[tuple[Question, ...]] = [()] * len(samples)
    if asks and stage.learns_from == "texts":
        questions, unread = asked_of(samples)
        if unread:
            say(f"questions left out, as no expert could answer them: {len(unread)}; the first: {unread[0]}")
        if not any(questions) and not any(sample.captions for sample in samples):
            raise TrainingError("nothing to learn: no captions, and no question that an expert could answer; add some")
    elif asks:
        questions = questions_of(samples)
    return [Study(s, derive(s), {}, own) for s, own in zip(samples, questions, strict=True)]


def with_drafts(model: RSMoE, studies: Sequence[Study], features: FeatureBank, rows: NDArray[np.int64]) -> list[Study]:
    """The same studies, those of `rows` with what the experts write for view 0 of the picture; known drafts stay."""
    writer = writer_of(model)
    done = list(studies)
    missing = [row for row in rows.tolist() if not studies[row].drafts]
    for first in tqdm(range(0, len(missing), _WRITING_BATCH), desc="experts write drafts", disable=None):
        batch = missing[first : first + _WRITING_BATCH]
        instructions = [CAPTION] * len(batch)
        with torch.inference_mode():
            tokens_BQH = writer.encode(features.patches(batch), instructions)
            _, drafts = writer.ask_experts(tokens_BQH, instructions)
        for row, draft in zip(batch, drafts, strict=True):
            done[row] = dataclasses.replace(studies[row], drafts=draft)
    return done


def with_agreement(
    studies: Sequence[Study], features: FeatureBank, rows: NDArray[np.int64], sizes: Sequence[int]
) -> list[Study]:
    """The same studies, those of `rows` with what most people would say of the picture.

    Each data set, of which `sizes` gives the numbers of pictures in their order, has a way to put things, so likes are
    sought in the same one. Pictures with sentences made by rule keep them: their places and numbers are right.
    """
    done = list(studies)
    bounds = np.cumsum([0, *sizes])
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        own = [row for row in rows.tolist() if first <= row < last and _is_told(studies[row].sample)]
        if own:
            told = [studies[row].sample for row in own]
            means_ND = np.stack([features.patches([row])[0].mean(dim=0).numpy() for row in own])
            series = [sample.series or sample.image.stem for sample in told]
            agreed = agreed_sentences(means_ND, [sample.different_captions for sample in told], series)
            for row, sentences in zip(own, agreed, strict=True):
                done[row] = dataclasses.replace(studies[row], agreed=sentences)
    return done


def _is_told(sample: Sample) -> bool:
    return bool(sample.captions) and not sample.by_rule
