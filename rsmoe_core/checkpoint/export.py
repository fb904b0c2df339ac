"""Adapters → merged copies of the language model, checked to give the same texts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsmoe_core.checkpoint.catalogue import CARD
from rsmoe_core.checkpoint.load import load_for_inference, load_model, save_model
from rsmoe_core.errors import ModelError
from rsmoe_core.loading import native_engine
from rsmoe_core.types import Description

IMAGES = 8
"""Images that both forms caption."""
_PATCHES = 6
"""Patches of one colour along each side of such an image, before it is enlarged."""


def export_merged(source: Path, target: Path, *, half: bool = False) -> list[Description]:
    """Write the model in `source` to the folder `target` with every role's adapter merged into a copy of its own.

    Both forms then caption the same images in float32; returns the descriptions. After an error the contents of
    `target` are of no use.

    Raises:
        ModelError: a prompt, draft or caption differs, or there is nothing to merge.
    """
    model = load_model(source)
    if not model.has_experts:
        raise ModelError(f"{source} has no adapters to merge; give a model that has been through stage 2")
    save_model(model, target, half=half, merged=True)
    if (source / CARD).is_file():
        shutil.copyfile(source / CARD, target / CARD)
    before, after = _describe(source), _describe(target)
    different = [pair for pair in zip(before, after, strict=True) if _texts(pair[0]) != _texts(pair[1])]
    if different:
        adapters, merged = different[0]
        advice = "try without --half" if half else "keep the adapters"
        raise ModelError(
            f"merged, {len(different)} of {IMAGES} texts differ ('{adapters.caption}' became '{merged.caption}'); "
            f"{advice}"
        )
    return before


def _describe(folder: Path) -> list[Description]:
    engine = native_engine(load_for_inference(folder))
    return engine.caption([_image(number, engine.image_size) for number in range(IMAGES)])


def _texts(description: Description) -> tuple[object, ...]:
    drafts = {role: draft.text for role, draft in description.drafts.items()}
    return description.caption, drafts, dict(description.prompts)


def _image(number: int, size: int) -> NDArray[np.uint8]:
    """Patches of random colours, always the same for a number."""
    patches = np.random.default_rng(number).integers(0, 256, (_PATCHES, _PATCHES, 3), np.uint8)
    return np.asarray(Image.fromarray(patches).resize((size, size), Image.Resampling.BICUBIC))
