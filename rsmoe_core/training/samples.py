"""Annotated images → TrainingSamples: targets and questions first, drafts and consensus captions for later phases.

Which of them are the validation split is decided here, too: whole groups of images, by their names, so that it is the
same in every run.

    Samples ─make_training_samples─▶ TrainingSamples ─with_drafts, with_consensus─▶ TrainingSamples

Shapes: N images, D features.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import Question, Sample
from rsmoe_core.data.qa import annotated_questions, questions_of
from rsmoe_core.errors import TrainingError
from rsmoe_core.progress import Progress, progress_bar
from rsmoe_core.roles import expert_targets_of
from rsmoe_core.training.consensus import consensus_captions
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.phases import Stage
from rsmoe_core.training.trainee import Trainee
from rsmoe_core.words.expert_targets import AnnotationFacts

_GENERATION_BATCH = 64


def make_training_samples(
    stage: Stage, samples: Sequence[Sample], experts: Sequence[str], report: Callable[[str], None]
) -> list[TrainingSample]:
    """The targets of `experts` for every image, and questions where a phase of the stage learns from them.

    Raises:
        TrainingError: the images have neither captions nor a question that an expert could answer.
    """
    questions: Sequence[tuple[Question, ...]] = [()] * len(samples)
    if any(phase.objective.needs_questions for phase in stage.phases):
        derived = stage.learns_from != "texts"
        questions = questions_of(samples) if derived else _annotated_questions(samples, report)
    return [
        TrainingSample(sample, expert_targets_of(_facts(sample), experts), questions=own)
        for sample, own in zip(samples, questions, strict=True)
    ]


def _facts(sample: Sample) -> AnnotationFacts:
    return AnnotationFacts.of(sample.captions, sample.scene_class, sample.objects)


def _annotated_questions(samples: Sequence[Sample], report: Callable[[str], None]) -> Sequence[tuple[Question, ...]]:
    questions, left_out = annotated_questions(samples)
    if left_out:
        report(f"questions left out, as no expert could answer them: {len(left_out)}; the first: {left_out[0]}")
    if not any(questions) and not any(sample.captions for sample in samples):
        raise TrainingError("nothing to learn: no captions, and no question that an expert could answer; add some")
    return questions


def with_drafts(
    model: Trainee,
    training_samples: Sequence[TrainingSample],
    features: FeatureBank,
    rows: NDArray[np.int64],
    progress: Progress = progress_bar,
) -> list[TrainingSample]:
    """The samples, those of `rows` with what the experts generate for view 0 of the image; existing drafts stay."""
    drafting = model.drafting()
    updated = list(training_samples)
    missing = [row for row in rows.tolist() if not training_samples[row].drafts]
    with progress(len(missing), "image", "generating drafts") as advance:
        for first in range(0, len(missing), _GENERATION_BATCH):
            batch = missing[first : first + _GENERATION_BATCH]
            for row, by_expert in zip(batch, drafting(training_samples, features, batch), strict=True):
                texts = {name: generation.text for name, generation in by_expert.items()}
                updated[row] = dataclasses.replace(training_samples[row], drafts=texts)
            advance(len(batch))
    return updated


def with_consensus(
    training_samples: Sequence[TrainingSample], features: FeatureBank, rows: NDArray[np.int64], sizes: Sequence[int]
) -> list[TrainingSample]:
    """The samples, those of `rows` with consensus captions.

    `sizes` gives the number of images of each data set, in their order. Neighbours are sought within a data set, since
    each has a style of its own. Synthetic captions stay as they are: their numbers and locations are exact.
    """
    updated = list(training_samples)
    bounds = np.cumsum([0, *sizes])
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        within = [row for row in rows.tolist() if first <= row < last]
        own = [row for row in within if _is_captioned_by_people(training_samples[row].sample)]
        if own:
            samples = [training_samples[row].sample for row in own]
            means_ND = np.stack([features.patches([row])[0].mean(dim=0).numpy() for row in own])
            found = consensus_captions(
                means_ND, [sample.unique_captions for sample in samples], [group_of(sample) for sample in samples]
            )
            for row, captions in zip(own, found, strict=True):
                updated[row] = dataclasses.replace(training_samples[row], consensus=captions)
    return updated


def _is_captioned_by_people(sample: Sample) -> bool:
    return bool(sample.captions) and not sample.synthetic


_MIN_IMAGES = 2
"""Images in the validation split at least."""
_LARGEST_SPLIT = 2.0
"""A validation split that is chosen by groups has at most this many times the images that were asked for."""


def validation_split(samples: Sequence[Sample], share: float) -> NDArray[np.bool_]:
    """True for the images that are held out: about this share, in whole groups, chosen by a hash of their names.

    Where few groups are of very different sizes, those with the smallest hashes that come to about the share are held
    out. Where no groups do, because each is too large, single images are.

    Raises:
        TrainingError: there are too few images, or `share` is not between 0 and 1.
    """
    wanted = max(_MIN_IMAGES, round(share * len(samples)))
    if not (0 < share < 1 and wanted < len(samples)):
        raise TrainingError("too few images for a validation split; add images or give another --validation-split")
    groups = [group_of(sample) for sample in samples]
    for chosen in ({group for group in groups if _hash(group) < share}, _few_groups(groups, wanted)):
        held_out = np.array([group in chosen for group in groups])
        if _MIN_IMAGES <= held_out.sum() < len(samples) and wanted / 2 <= held_out.sum() <= _LARGEST_SPLIT * wanted:
            return held_out
    images = np.array([_hash(sample.image.name) for sample in samples])
    held_out = np.zeros(len(samples), bool)
    held_out[np.argsort(images, kind="stable")[:wanted]] = True
    return held_out


def _few_groups(groups: Sequence[str], wanted: int) -> set[str]:
    """The groups with the smallest hashes that have `wanted` images together, without those that are too large."""
    chosen: set[str] = set()
    images = 0
    for group, size in sorted(Counter(groups).items(), key=lambda item: (_hash(item[0]), item[0])):
        if images < wanted and images + size <= _LARGEST_SPLIT * wanted:
            chosen.add(group)
            images += size
    return chosen


def split_description(samples: Sequence[Sample], held_out: NDArray[np.bool_]) -> str:
    """How images were held out, for people."""
    validation, training = (
        {group_of(samples[i]) for i in np.flatnonzero(held_out == side).tolist()} for side in (True, False)
    )
    if not validation & training:
        return "by group"
    return "one by one, since " + (
        "all are of one group" if validation == training and len(training) == 1 else "the groups are too large"
    )


def group_of(sample: Sample) -> str:
    """The group of an image; an image that belongs to none is a group of its own."""
    return sample.group or sample.image.stem


def _hash(name: str) -> float:
    """A number from 0 to 1, spread evenly over names and always the same for a name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
