"""What a run leaves on disk, so that a killed run finds each thing whole, as it was or as it is to be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from rsmoe_core import files
from rsmoe_core.checkpoint.load import save_model
from rsmoe_core.errors import TrainingError
from rsmoe_core.model.rsmoe import RSMoE


def write_whole(path: Path, text: str) -> None:
    """Write a text file, which appears complete or not at all, in a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(path, text)


def save_whole(model: RSMoE, folder: Path, *, half: bool = False) -> None:
    """Put a model folder in the place of `folder`; nothing of an earlier one is left in it."""
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    save_model(model, aside, half=half)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


def check_settings(work: Path, settings: Mapping[str, object]) -> None:
    """Keep what decides a run in `work/settings.json`, or compare with what is there.

    Raises TrainingError where the run was begun with other settings: going on would make neither the one model nor
    the other.
    """
    path = work / "settings.json"
    if not path.is_file():
        write_whole(path, json.dumps(settings, indent=2) + "\n")
        return
    begun = json.loads(path.read_text(encoding="utf-8"))
    now = json.loads(json.dumps(settings))
    if others := [name for name in {**begun, **now} if begun.get(name) != now.get(name)]:
        raise TrainingError(f"{work} was begun with other {', '.join(others)}; give another --out, or delete it")
