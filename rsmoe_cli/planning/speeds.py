"""How fast models were on this machine, kept in the user's cache for later plans.

models check, bench ─record_speed─▶ speeds.json ─find_speed─▶ plan
"""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsmoe_cli.atomic import atomic_write
from rsmoe_core.errors import RsmoeError
from rsmoe_core.strict_json import read_json_file

if TYPE_CHECKING:
    from rsmoe_core.config import CaptionOptions

_MOST = 500
"""Speeds that are kept; the oldest are forgotten."""


@dataclass(frozen=True)
class SpeedKey:
    """What a speed depends on, beside the machine."""

    revision: str
    """Of the model, with its quantisation."""
    device: str
    dtype: str
    mixture: str
    words: int | None
    detail: str

    @staticmethod
    def of(revision: str, device: str, dtype: str, options: CaptionOptions) -> SpeedKey:
        """The key of a model that makes captions by these options."""
        return SpeedKey(revision, device_name(device), dtype, options.mixture, options.words, options.detail)


@dataclass(frozen=True)
class Speed:
    """How fast images were described."""

    images_per_second: float
    by: str
    """The command that measured it."""
    day: str
    """When, as 2026-11-28."""


def device_name(device: str) -> str:
    """A device by what decides its speed: the name of the GPU, the number of cores of the processor."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    if device == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return f"cpu, {cores} cores"
    return device


def record_speed(key: SpeedKey, images_per_second: float, by: str) -> None:
    """Keep a speed; if the cache cannot be written, nothing is kept."""
    speed = Speed(round(images_per_second, 4), by, date.today().isoformat())
    speeds = _read()
    speeds.pop(_text(key), None)
    speeds[_text(key)] = dataclasses.asdict(speed)
    with suppress(OSError, RsmoeError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        atomic_write(_file(), json.dumps(dict(list(speeds.items())[-_MOST:]), indent=1) + "\n")


def find_speed(key: SpeedKey) -> Speed | None:
    """The last speed that was measured on this machine; None if there is none."""
    with suppress(TypeError, KeyError):
        return Speed(**_read()[_text(key)])
    return None


def _file() -> Path:
    """`rsmoe/speeds.json` in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "rsmoe" / "speeds.json"


def _read() -> dict[str, dict[str, Any]]:
    with suppress(ValueError):
        values = read_json_file(_file())
        if isinstance(values, dict):
            return values
    return {}


def _text(key: SpeedKey) -> str:
    return json.dumps(dataclasses.astuple(key))
