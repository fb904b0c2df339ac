"""The files of a run, written so that a run that was killed finds each of them complete, old or new.

    RUN/stage1/              the finished model folder of a stage
    RUN/stage1-work/         settings.json: what the stage was started with; it is resumed with the same only
    RUN/stage1-work/PHASE/   log.jsonl, tensorboard/, curves.png, last/ (to resume from), best/ and best.json (the model
                             folder of the best epoch), finished.json (there once the phase has come to its end)
    RUN/cache/               features of the frozen image encoder, shared by all stages

RUN/ itself is the model folder of a standalone stage, and the rest lies in RUN-work/.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rsmoe_core.errors import TrainingError
from rsmoe_core.training.phases import Stage


@dataclass(frozen=True)
class RunFolder:
    """Where a stage keeps its files."""

    model: Path
    """The finished model folder."""
    work: Path
    """Settings, and a folder for each phase."""
    cache: Path
    """Features of the image encoder."""

    @classmethod
    def of(cls, stage: Stage, out: Path) -> RunFolder:
        """The folders of a stage in the run `out`.

        Raises:
            TrainingError: the model folder of a standalone stage holds something else.
        """
        model = out / stage.folder
        work = model.with_name(f"{model.name}-work")
        if stage.standalone and model.exists() and not work.is_dir():  # it would be replaced by the finished model
            raise TrainingError(f"{model} exists already, and not from this run; give another --out, or remove it")
        return cls(model, work, (work if stage.standalone else out) / "cache")

    def finished(self, phase: str) -> Path:
        """The file that is there once a phase has come to its end."""
        return self.work / phase / "finished.json"

    def best(self, phase: str) -> Path:
        """The model folder of a phase's best epoch."""
        return self.work / phase / "best"


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file in UTF-8 that appears complete or not at all, in a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class Saveable(Protocol):
    """A model that can write its folder; see `trainee.Trainee`."""

    def save(self, folder: Path, *, half: bool = False) -> None:
        """Write the model folder."""


def save_model_atomically(model: Saveable, folder: Path, *, half: bool = False) -> None:
    """Replace `folder` by a model folder; nothing of an earlier one is left in it."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    model.save(part, half=half)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def check_settings(work: Path, settings: Mapping[str, object]) -> None:
    """Store the settings of a run in `work/settings.json`, or compare them with those that are there.

    Raises:
        TrainingError: the run was started with other settings, so resuming it would give the model of neither.
    """
    path = work / "settings.json"
    if not path.is_file():
        write_text_atomically(path, json.dumps(settings, indent=2) + "\n")
        return
    started = json.loads(path.read_text(encoding="utf-8"))
    now = json.loads(json.dumps(settings))
    if changed := [name for name in {**started, **now} if started.get(name) != now.get(name)]:
        raise TrainingError(f"{work} was started with other {', '.join(changed)}; give another --out, or delete it")
