"""Data folders → model folder: one stage from start to end.

    folders ─read_dataset─▶ Samples ─▶ TrainingSamples ─▶ starting model
    for each phase: features, drafts, consensus captions ─▶ TrainingData ─objective, run_phase─▶ best checkpoint
    the model of the last phase ─▶ model folder

`run_folder` says which files a run has, `loop` what a phase does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rsmoe_core.checkpoint.catalogue import fingerprint
from rsmoe_core.config import MixtureConfig, ModelConfig
from rsmoe_core.data.base import Sample
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.progress import Progress, no_progress, progress_bar
from rsmoe_core.training import distributed
from rsmoe_core.training.checkpoints import BestCheckpoint
from rsmoe_core.training.distributed import from_all, from_rank0
from rsmoe_core.training.examples import TrainingSample, texts
from rsmoe_core.training.features import FeatureBank, cached_features
from rsmoe_core.training.log import draw_curves
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives import classification
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.phases import Phase, Stage
from rsmoe_core.training.run_folder import (
    RunFolder,
    check_settings,
    save_model_atomically,
    write_text_atomically,
)
from rsmoe_core.training.samples import (
    make_training_samples,
    split_description,
    validation_split,
    with_consensus,
    with_drafts,
)
from rsmoe_core.training.start import find_start
from rsmoe_core.training.train_config import TrainConfig
from rsmoe_core.training.trainee import Trainee

_MAX_VALIDATION_IMAGES = 400

Report = Callable[[str], None]
"""Takes one line for people."""


def run_stage(
    stage: Stage,
    config: TrainConfig,
    *,
    preset: ModelConfig | MixtureConfig | None = None,
    backbone: Path | None = None,
    start: Path | None = None,
    report: Report = print,
    progress: Progress = progress_bar,
) -> Path:
    """Train one stage and return its model folder; a run that was interrupted is resumed.

    Stages that start from nothing need `preset`, and take the weights of a native model's image encoder from `backbone`
    (a published checkpoint, or the folder of a model) if that is given. Other stages need `start`, the model folder of
    the stage before. In a distributed run every process calls this with the same arguments, and only rank 0 reports.

    Raises:
        TrainingError: one of these does not fit, or `config.out` holds another run.
        ModelError: a model folder or the backbone is damaged.
        DataError: the data cannot be read.
    """
    if not distributed.is_rank0():
        report, progress = _report_nothing, no_progress
    origin = find_start(stage, preset, backbone, start)
    folder = RunFolder.of(stage, config.out)
    datasets = [_training_images(stage, root, config.max_images, report) for root in config.data]
    samples = [sample for dataset in datasets for sample in dataset]
    if not any(sample.captions for sample in samples):
        stage = stage.without_caption_phases()
    held_out = validation_split(samples, config.validation_split)
    training_samples = make_training_samples(stage, samples, origin.experts, report)
    stage = _learnable(stage, [training_samples[i] for i in np.flatnonzero(~held_out).tolist()], report)
    model = origin.model(stage, training_samples, config)
    settings = _settings(stage, config, training_samples, start, model)
    from_rank0(lambda: check_settings(folder.work, settings))
    how = split_description(samples, held_out)
    report(f"stage {stage.name}: {len(samples)} images, {held_out.sum()} of them held out {how}")
    data = StageData(config, datasets, held_out, training_samples, folder.cache, progress)
    for number, phase in enumerate(stage.phases):
        finished = folder.finished(phase.name)
        if not finished.is_file():
            if distributed.is_rank0():
                for later in stage.phases[number + 1 :]:  # whatever they learned, they learned from another model
                    shutil.rmtree(folder.work / later.name, ignore_errors=True)
            model.prepare(phase)
            report(_announcement(model, phase))
            train, validation = data.prepare(model, phase)
            best = _train(model, phase, train, validation, config, folder.work / phase.name, progress)
            if best is None:
                continue  # stopped by max_steps: the next phase gets the model as it is
            from_rank0(partial(write_text_atomically, finished, json.dumps(best) + "\n"))
        model = model.restored(folder.best(phase.name))
    from_rank0(lambda: save_model_atomically(model, folder.model, half=stage.half))
    return folder.model


def _report_nothing(line: str) -> None:
    """The report of all processes but the first."""


def _training_images(stage: Stage, root: Path, limit: int | None, report: Report) -> Sequence[Sample]:
    dataset = read_dataset(root)
    if dataset.problems:
        report(f"{root}: {len(dataset.problems)} left out, the first: {dataset.problems[0]}")
    choose = {"captions": dataset.captioned, "texts": dataset.with_text, "all": dataset.split}
    return choose[stage.learns_from]("train")[:limit]


def _learnable(stage: Stage, training_samples: Sequence[TrainingSample], report: Report) -> Stage:
    """The stage without phases for which the images have nothing to learn."""
    learnable = stage if classification.has_targets(training_samples) else stage.without_classification()
    if left_out := [phase.name for phase in stage.phases if phase not in learnable.phases]:
        report(
            f"phase {', '.join(left_out)}: left out, and the image encoder stays as it is; "
            f"it learns from scene classes, and from words in captions of {classification.MIN_IMAGES} images or more"
        )
    return learnable


def _settings(
    stage: Stage,
    config: TrainConfig,
    training_samples: Sequence[TrainingSample],
    start: Path | None,
    model: Trainee,
) -> dict[str, object]:
    """What has to be the same when a run is resumed."""
    # With the derived texts, so that a change of the rules is noticed: the vocabulary is learned from them.
    learned = repr([(one.sample.image.name, one.sample.group, texts(one)) for one in training_samples])
    return {
        "data": hashlib.sha256(learned.encode()).hexdigest(),
        "model": model.settings,
        "from": fingerprint(start) if start is not None else None,
        "phases": [dataclasses.asdict(phase) for phase in stage.phases],
        "seed": config.seed,
        "views": config.views,
        "validation split": config.validation_split,
        "processes x accumulate": distributed.world_size() * config.accumulate,
    }


def _announcement(model: Trainee, phase: Phase) -> str:
    """Which parts the phase trains, and how many parameters that is."""
    trained, total = model.select(phase)
    parts = ", ".join(phase.trained_parts(model.experts))
    return f"phase {phase.name}: trains {parts}: {trained:,} of {total:,} parameters"


class StageData:
    """The images of a stage, with what its phases need: features, drafts and consensus captions."""

    def __init__(
        self,
        config: TrainConfig,
        datasets: Sequence[Sequence[Sample]],
        held_out: NDArray[np.bool_],
        training_samples: Sequence[TrainingSample],
        cache: Path,
        progress: Progress,
    ) -> None:
        """`datasets` has the samples of each data folder; the other sequences go through all of them."""
        self._config, self._datasets, self._cache, self._progress = config, datasets, cache, progress
        self._samples = list(training_samples)
        self._train = np.flatnonzero(~held_out)
        self._validation = np.flatnonzero(held_out)[:_MAX_VALIDATION_IMAGES]

    def prepare(self, model: Trainee, phase: Phase) -> tuple[TrainingData, TrainingData]:
        """What a phase learns from, and what it is validated on. Drafts and captions stay for later phases."""
        needs = phase.objective
        features = self._features(model) if needs.needs_features else FeatureBank.of([])
        if needs.needs_drafts:
            rows = np.concatenate([self._train, self._validation])
            generate = partial(with_drafts, model, self._samples, features, rows, self._progress)
            self._samples = (from_all if model.is_sharded else from_rank0)(generate)
        if needs.needs_consensus:
            sizes = [len(dataset) for dataset in self._datasets]
            self._samples = from_rank0(partial(with_consensus, self._samples, features, self._train, sizes))
        train, validation = (
            TrainingData([self._samples[i] for i in rows.tolist()], features.select(rows))
            for rows in (self._train, self._validation)
        )
        return train, validation

    def _features(self, model: Trainee) -> FeatureBank:
        """The features of the frozen image encoder; each data folder has a folder of its own in the cache."""
        config = self._config
        encoder = model.feature_encoder(config.views, config.seed)
        if encoder is None:
            return FeatureBank.of([])
        arrays, names = [], Counter[str]()
        for root, samples in zip(config.data, self._datasets, strict=True):
            name = root.resolve().name
            names[name] += 1
            folder = self._cache / (name if names[name] == 1 else f"{name}-{names[name]}")
            with torch.autocast(torch.device(config.device).type, torch.bfloat16, enabled=config.bf16):
                arrays.append(cached_features(encoder.network, samples, folder, encoder.options, self._progress))
        return FeatureBank.of(arrays)


def _train(
    model: Trainee,
    phase: Phase,
    train: TrainingData,
    validation: TrainingData,
    config: TrainConfig,
    out: Path,
    progress: Progress,
) -> dict[str, float] | None:
    """Train `model` in place. Returns epoch and score of the best epoch, or None where `max_steps` stopped it."""
    options = RunOptions(
        out,
        seed=config.seed,
        bf16=config.bf16,
        max_steps=config.max_steps,
        views=config.views,
        in_step=model.is_sharded,
        accumulate=config.accumulate,
        progress=progress,
    )
    torch.manual_seed(config.seed)
    objective = model.objective(phase, train, validation, options)
    best_checkpoint = BestCheckpoint(model, objective, phase, options)
    ended = run_phase(objective, phase, options, best_checkpoint, best_checkpoint.should_stop)
    if distributed.is_rank0():
        draw_curves(out)
    return best_checkpoint.best if ended else None
