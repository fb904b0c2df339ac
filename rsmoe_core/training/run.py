"""data folders → model folder: everything around the loop.

RUN/cache/               features of the frozen image encoder, shared by all stages
RUN/stage1/              the finished model folder of a stage; RUN/stage2/ likewise
RUN/stage1-work/         settings.json, what the stage was begun with; it goes on with the same only
RUN/stage1-work/PHASE/   log.jsonl, tensorboard/, curves.png, last/ (to resume from) and best/ (model folder of the
                         best epoch)

Of a stage that stands alone RUN/ itself is the model folder, and the rest lies in RUN-work/.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from rsmoe_core.checkpoint.load import fingerprint, load_model
from rsmoe_core.config import ModelConfig
from rsmoe_core.data.base import Sample
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.errors import TrainingError
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.model.vision.efficientnet_lite import folded_copy
from rsmoe_core.training import distributed
from rsmoe_core.training.checkpoints import BestCheckpoint
from rsmoe_core.training.distributed import from_rank0
from rsmoe_core.training.examples import TrainingSample, texts
from rsmoe_core.training.features import FeatureBank, cached_features
from rsmoe_core.training.log import draw_curves
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives.base import Objective, RunOptions, TrainingData, select_parameters
from rsmoe_core.training.objectives.classification import ClassificationObjective
from rsmoe_core.training.objectives.detection import DetectionObjective
from rsmoe_core.training.objectives.text import FinetuneObjective, TextObjective
from rsmoe_core.training.run_folder import check_settings, save_whole, write_whole
from rsmoe_core.training.samples import studies_of, with_agreement, with_drafts
from rsmoe_core.training.split import manner, validation_split
from rsmoe_core.training.stages import Phase, Stage
from rsmoe_core.training.start import check_start, starting_model

OBJECTIVES: dict[str, Callable[[RSMoE, Phase, TrainingData, TrainingData, RunOptions], Objective]] = {
    "recognise": ClassificationObjective,
    "teach": TextObjective,
    "tune": FinetuneObjective,
    "count": DetectionObjective,
}
"""What a phase may learn, by the name that it gives."""

_VALIDATION_PICTURES = 400
_LATER_SETTINGS = {
    "average": 0.0,
    "mixup": 0.0,
    "windows": (),
    "patience": None,
    "needs_consensus": False,
    "processes x accumulate": 1,
}
"""Settings that came later, with the value that all runs had before: kept where it is another, so that those go on."""


@dataclass(frozen=True)
class TrainConfig:
    """What to train on, and how long."""

    data: tuple[Path, ...]
    """Folders of annotated pictures; their `train` splits are initialised."""
    out: Path
    """The run's folder."""
    seed: int = 0
    views: int = 2
    """Views of each picture: itself and random others."""
    holdout: float = 0.06
    """Share of the picture series that is kept from training, to choose the best epoch by."""
    device: str = "cpu"
    """Where to compute."""
    bf16: bool = True
    """Forward passes in bfloat16."""
    max_steps: int | None = None
    """Stop each phase after this many steps and keep what it is then; for trying things out. A later run without it,
    or with more steps, goes on from there."""
    max_pictures: int | None = None
    """Learn from the first so many pictures of each folder only; for trying things out."""
    accumulate: int = 1
    """Parts of each step's pictures, of which only one is in memory."""


def run_stage(
    stage: Stage,
    recipe: TrainConfig,
    *,
    config: ModelConfig | None = None,
    backbone: Path | None = None,
    start: Path | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Train one stage and return its model folder; a run that was broken off goes on where it stopped.

    In several processes (see `processes`) all of them call this alike, and the first says what there is to say.

    Stage 1 needs `config`, and takes the image encoder's weights from `backbone` (a published checkpoint, or the folder
    of a model) where that is given. Other stages need `start`, the model folder of the stage before. Raises
    TrainingError where one of these does not fit or `recipe.out` holds something else, and DataError where the data
    cannot be read.
    """
    say = say if distributed.is_rank0() else lambda text: None
    check_start(stage, config, start)
    folder, work, cache = _places(stage, recipe.out)
    folders = [_pictures(stage, root, recipe.max_pictures, say) for root in recipe.data]
    samples = [sample for own in folders for sample in own]
    if not any(sample.captions for sample in samples):
        stage = stage.without_captions()
    aside = validation_split(samples, recipe.holdout)
    training_samples = studies_of(stage, samples, say)
    model = starting_model(stage, training_samples, config, backbone, start, recipe.seed)
    from_rank0(lambda: check_settings(work, _settings(stage, recipe, training_samples, start, model.config)))
    say(f"stage {stage.name}: {len(samples)} pictures, {aside.sum()} of them held out {manner(samples, aside)}")
    model.to(recipe.device)
    for number, phase in enumerate(stage.phases):
        finished = work / phase.name / "finished.json"
        if not finished.is_file():
            if distributed.is_rank0():
                for later in stage.phases[number + 1 :]:  # what they learned before was learned from another start
                    shutil.rmtree(work / later.name, ignore_errors=True)
            if phase.objective == "count" and not set(phase.trains) <= set(model.detectors):
                model.add_detector(*phase.trains)
                model.to(recipe.device)
            say(_announcement(model, phase))
            # The image encoder's features say nothing as long as it changes, and a detector has features of its own.
            needs_features = phase.objective not in ("recognise", "count")
            features = _features(model, recipe, folders, cache) if needs_features else FeatureBank.of([])
            rows = np.flatnonzero(~aside), np.flatnonzero(aside)[:_VALIDATION_PICTURES]
            if phase.needs_drafts:
                training_samples = from_rank0(
                    partial(with_drafts, model, training_samples, features, np.concatenate(rows))
                )
            if phase.needs_consensus:
                sizes = [len(own) for own in folders]
                training_samples = from_rank0(partial(with_agreement, training_samples, features, rows[0], sizes))
            train, validation = (
                TrainingData([training_samples[i] for i in own.tolist()], features.select(own)) for own in rows
            )
            best = _learn(model, phase, train, validation, recipe, work / phase.name)
            if best is None:
                continue  # stopped early: the model as it is
            from_rank0(partial(write_whole, finished, json.dumps(best) + "\n"))
        model = load_model(work / phase.name / "best", recipe.device)
    from_rank0(lambda: save_whole(model, folder, half=stage.half))
    return folder


def _learn(
    model: RSMoE, phase: Phase, train: TrainingData, validation: TrainingData, recipe: TrainConfig, out: Path
) -> dict[str, float] | None:
    """Train `model` in place; returns epoch and score of the best, or None where `max_steps` stopped it early."""
    session = RunOptions(
        out, seed=recipe.seed, bf16=recipe.bf16, max_steps=recipe.max_steps, accumulate=recipe.accumulate
    )
    torch.manual_seed(recipe.seed)
    objective = OBJECTIVES[phase.objective](model, phase, train, validation, session)
    best_checkpoint = BestCheckpoint(model, objective, phase, session)
    ended = run_phase(objective, phase, session, best_checkpoint, best_checkpoint.should_stop)
    if distributed.is_rank0():
        draw_curves(out)
    return best_checkpoint.best if ended else None


def _places(stage: Stage, out: Path) -> tuple[Path, Path, Path]:
    """Model folder, working folder and feature cache. Raises TrainingError where the first is somebody else's."""
    folder = out / stage.folder
    work = folder.with_name(f"{folder.name}-work")
    if stage.alone and folder.exists() and not work.is_dir():  # the finished model replaces the folder whole
        raise TrainingError(f"{folder} is there already, and not from this run; give another --out, or remove it")
    return folder, work, (work if stage.alone else out) / "cache"


def _pictures(stage: Stage, root: Path, limit: int | None, say: Callable[[str], None]) -> Sequence[Sample]:
    dataset = read_dataset(root)
    if dataset.problems:
        say(f"{root}: {len(dataset.problems)} left out, the first: {dataset.problems[0]}")
    choose = {"sentences": dataset.captioned, "texts": dataset.worded, "marks": dataset.split}
    return choose[stage.learns_from]("train")[:limit]


def _settings(
    stage: Stage,
    recipe: TrainConfig,
    training_samples: Sequence[TrainingSample],
    start: Path | None,
    config: ModelConfig,
) -> dict[str, object]:
    """What a run must not change while it goes on."""
    # With the derived texts, so that a change of the rules is noticed too: the vocabulary is learned from them.
    learned = repr(
        [
            (training_sample.sample.image.name, training_sample.sample.group, texts(training_sample))
            for training_sample in training_samples
        ]
    )
    # How roles are stored is no choice of a run, and runs from before there was one go on.
    shape = {name: value for name, value in config.to_dict().items() if name != "share_base"}
    return {
        "data": hashlib.sha256(learned.encode()).hexdigest(),
        "model": shape,
        "from": fingerprint(start) if start is not None else None,
        "phases": [_chosen(dataclasses.asdict(phase)) for phase in stage.phases],
        "seed": recipe.seed,
        "views": recipe.views,
        "holdout": recipe.holdout,
        **_chosen({"processes x accumulate": distributed.world_size() * recipe.accumulate}),
    }


def _chosen(settings: dict[str, object]) -> dict[str, object]:
    """The settings without those later ones that are as they always were."""
    return {name: v for name, v in settings.items() if name not in _LATER_SETTINGS or v != _LATER_SETTINGS[name]}


def _features(model: RSMoE, recipe: TrainConfig, folders: Sequence[Sequence[Sample]], cache: Path) -> FeatureBank:
    """The frozen image encoder's features of every data folder; each has a folder of its own in `cache`."""
    encoder = folded_copy(model.vision)
    size = model.config.vision.image_size
    arrays, named = [], Counter[str]()
    for root, samples in zip(recipe.data, folders, strict=True):
        name = root.resolve().name
        named[name] += 1
        place = cache / (name if named[name] == 1 else f"{name}-{named[name]}")
        with torch.autocast(torch.device(recipe.device).type, torch.bfloat16, enabled=recipe.bf16):
            bank = cached_features(encoder, samples, place, views=recipe.views, image_size=size, seed=recipe.seed)
        arrays.append(bank)
    return FeatureBank.of(arrays)


def _announcement(model: RSMoE, phase: Phase) -> str:
    """Which parts the phase trains, and how many parameters that is."""
    chosen = sum(p.numel() for _, p in select_parameters(model, phase))
    every = sum(p.numel() for p in model.parameters())
    return f"phase {phase.name}: trains {', '.join(phase.trains)}: {chosen:,} of {every:,} parameters"
