"""Pictures → all that tasks draw on: derived texts and questions at first, drafts and agreement when a phase asks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from rsmoe_core.checkpoint.inference import for_inference
from rsmoe_core.data.base import Question, Sample
from rsmoe_core.data.qa import asked_of, questions_of
from rsmoe_core.data.targets import derive
from rsmoe_core.errors import TrainingError
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import CAPTION
from rsmoe_core.training.consensus import consensus_captions
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.stages import Stage

_WRITING_BATCH = 64


def studies_of(stage: Stage, samples: Sequence[Sample], say: Callable[[str], None]) -> list[TrainingSample]:
    """With questions, where any phase asks some. Raises TrainingError where there are no words to learn."""
    tasks = {task for phase in stage.phases for task in phase.tasks}
    asks = not tasks.isdisjoint(("question", "route_question", "answer", "turn"))
    questions: Sequence[tuple[Question, ...]] = [()] * len(samples)
    if asks and stage.learns_from == "texts":
        questions, unread = asked_of(samples)
        if unread:
            say(f"questions left out, as no expert could answer them: {len(unread)}; the first: {unread[0]}")
        if not any(questions) and not any(sample.captions for sample in samples):
            raise TrainingError("nothing to learn: no captions, and no question that an expert could answer; add some")
    elif asks:
        questions = questions_of(samples)
    return [TrainingSample(s, derive(s), {}, own) for s, own in zip(samples, questions, strict=True)]


def with_drafts(
    model: RSMoE, training_samples: Sequence[TrainingSample], features: FeatureBank, rows: NDArray[np.int64]
) -> list[TrainingSample]:
    """The same training_samples, those of `rows` with what the experts write for view 0 of the picture; known drafts stay."""
    writer = for_inference(model)
    done = list(training_samples)
    missing = [row for row in rows.tolist() if not training_samples[row].drafts]
    for first in tqdm(range(0, len(missing), _WRITING_BATCH), desc="experts write drafts", disable=None):
        batch = missing[first : first + _WRITING_BATCH]
        instructions = [CAPTION] * len(batch)
        with torch.inference_mode():
            tokens_BQH = writer.encode(features.patches(batch), instructions)
            _, drafts = writer.ask_experts(tokens_BQH, instructions)
        for row, draft in zip(batch, drafts, strict=True):
            done[row] = dataclasses.replace(training_samples[row], drafts=draft)
    return done


def with_agreement(
    training_samples: Sequence[TrainingSample], features: FeatureBank, rows: NDArray[np.int64], sizes: Sequence[int]
) -> list[TrainingSample]:
    """The same training_samples, those of `rows` with what most people would say of the picture.

    Each data set, of which `sizes` gives the numbers of pictures in their order, has a way to put things, so neighbours are
    sought in the same one. Pictures with sentences made by rule keep them: their places and numbers are right.
    """
    done = list(training_samples)
    bounds = np.cumsum([0, *sizes])
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        own = [row for row in rows.tolist() if first <= row < last and _is_told(training_samples[row].sample)]
        if own:
            told = [training_samples[row].sample for row in own]
            means_ND = np.stack([features.patches([row])[0].mean(dim=0).numpy() for row in own])
            series = [sample.group or sample.image.stem for sample in told]
            agreed = consensus_captions(means_ND, [sample.unique_captions for sample in told], series)
            for row, sentences in zip(own, agreed, strict=True):
                done[row] = dataclasses.replace(training_samples[row], agreed=sentences)
    return done


def _is_told(sample: Sample) -> bool:
    return bool(sample.captions) and not sample.synthetic
