"""Exports that need nothing else, checked to give the same texts.

native model    adapters merged into copies of the language model
mixture         its base beside it: an ordinary checkpoint of transformers that has the trained connector, for servers
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsmoe_core.checkpoint.catalogue import CARD
from rsmoe_core.checkpoint.load import load_for_inference, load_model, save_model
from rsmoe_core.checkpoint.mixture import BASE_FOLDER, copy_beside, find_base_of, load_connector, read_mixture
from rsmoe_core.engine import Engine
from rsmoe_core.errors import ModelError
from rsmoe_core.loading import load, native_engine
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
    before, after = (_describe(native_engine(load_for_inference(folder))) for folder in (source, target))
    return _same(before, after, "merged", "try without --half" if half else "keep the adapters")


def export_with_base(source: Path, target: Path) -> list[Description]:
    """Write the mixture in `source` to the folder `target` with a copy of its base that has the trained connector.

    The copy, in `target/base`, is an ordinary checkpoint of transformers, which servers load; they serve the adapters
    beside it by name. The mixture in `target` refers to this copy. Both forms then caption the same images in float32;
    returns the descriptions. After an error the contents of `target` are of no use.

    Raises:
        ModelError: a prompt, draft or caption differs, or the base is missing or damaged.
    """
    import torch
    from transformers import AutoConfig

    from rsmoe_core.backends.huggingface.backend import load_base, quietly

    mixture = read_mixture(source)
    base = find_base_of(mixture)
    stored = AutoConfig.from_pretrained(base.folder, local_files_only=True, trust_remote_code=False).dtype
    model, processor = load_base(base.folder, base.id, dtype=stored or torch.float32)
    load_connector(model, mixture)
    with quietly():
        model.save_pretrained(target / BASE_FOLDER)
    processor.save_pretrained(target / BASE_FOLDER)
    copy_beside(mixture, target)
    before, after = (_describe(load(folder, device="cpu")) for folder in (source, target))
    return _same(before, after, "with its base", "keep the mixture as it is")


def _same(before: Sequence[Description], after: Sequence[Description], form: str, advice: str) -> list[Description]:
    """The descriptions, once both forms are known to give the same."""
    different = [pair for pair in zip(before, after, strict=True) if _texts(pair[0]) != _texts(pair[1])]
    if different:
        old, new = different[0]
        raise ModelError(
            f"{form}, {len(different)} of {IMAGES} texts differ ('{old.caption}' became '{new.caption}'); {advice}"
        )
    return list(before)


def _describe(engine: Engine) -> list[Description]:
    return engine.caption([_image(number, engine.image_size) for number in range(IMAGES)])


def _texts(description: Description) -> tuple[object, ...]:
    drafts = {role: draft.text for role, draft in description.drafts.items()}
    return description.caption, drafts, dict(description.prompts)


def _image(number: int, size: int) -> NDArray[np.uint8]:
    """Patches of random colours, always the same for a number."""
    patches = np.random.default_rng(number).integers(0, 256, (_PATCHES, _PATCHES, 3), np.uint8)
    return np.asarray(Image.fromarray(patches).resize((size, size), Image.Resampling.BICUBIC))
