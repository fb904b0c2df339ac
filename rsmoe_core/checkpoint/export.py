"""Adapters → merged copies, with the proof that both say the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsmoe_core.checkpoint.catalogue import CARD
from rsmoe_core.checkpoint.load import load_model, save_model
from rsmoe_core.engine import Engine
from rsmoe_core.errors import ModelError
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.types import Description

PICTURES = 8
"""Pictures that both forms are shown."""

_PATCHES = 6
"""Patches of one colour along each side of such a picture, before it is drawn large."""


def export_merged(source: Path, target: Path, *, half: bool = False) -> list[Description]:
    """Write the model in `source` to the folder `target` with every role's adapter merged into a copy of its own.

    Both forms then caption the same pictures in float32; returns what they say. Raises ModelError where a prompt, draft
    or caption differs, and where there is nothing to merge; what is in `target` is then of no use.
    """
    model = load_model(source)
    if not (model.has_experts and model.config.share_base):
        raise ModelError(f"{source} has no adapters to merge; give a model that has been through stage 2")
    save_model(model, target, half=half, merged=True)
    if (source / CARD).is_file():
        shutil.copyfile(source / CARD, target / CARD)
    before, after = _say(model), _say(load_model(target))
    different = [
        number for number, pair in enumerate(zip(before, after, strict=True)) if _texts(pair[0]) != _texts(pair[1])
    ]
    if different:
        told, tells = before[different[0]].caption, after[different[0]].caption
        advice = "try without --half" if half else "keep the adapters"
        raise ModelError(f"merged, {len(different)} of {PICTURES} texts differ ('{told}' became '{tells}'); {advice}")
    return before


def _say(model: RSMoE) -> list[Description]:
    size = model.config.vision.image_size
    return Engine(model, model.config.name, "").caption([_picture(number, size) for number in range(PICTURES)])


def _texts(said: Description) -> tuple[object, ...]:
    return said.caption, said.theme, said.objects, said.relations, dict(said.prompts)


def _picture(number: int, size: int) -> NDArray[np.uint8]:
    """Patches of colours by chance, always the same for a number."""
    patches = np.random.default_rng(number).integers(0, 256, (_PATCHES, _PATCHES, 3), np.uint8)
    return np.asarray(Image.fromarray(patches).resize((size, size), Image.Resampling.BICUBIC))
