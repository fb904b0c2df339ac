"""A tiny model with random weights, and a small folder of annotated images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, DEFAULT_EXPERTS, EXPERTS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rsmoe_core.model.rsmoe import RSMoE
    from rsmoe_core.model.vision.efficientnet_lite import EfficientNetLite
    from rsmoe_core.types import Description

SENTENCES = (
    "many green trees are near a pond .",
    "some white airplanes are parked in an airport .",
    "a river is between two roads .",
    "many buildings and some green trees are in a dense residential area .",
)


def make_tiny(
    seed: int = 0, experts: bool = True, dropout: bool = True, expert_names: Sequence[str] = DEFAULT_EXPERTS
) -> RSMoE:
    """The `tiny` preset in the form for training, with random weights.

    Adapters get random weights too, so that the roles generate different texts. Without `experts` it is a stage-1
    model.
    """
    import torch

    from rsmoe_core.model.rsmoe import build
    from rsmoe_core.model.tokenizer import Tokenizer
    from rsmoe_core.presets import tiny

    torch.manual_seed(seed)
    config = dataclasses.replace(tiny(), experts=tuple(expert_names))
    if not dropout:
        parts = {part: getattr(config, part) for part in ("qformer", "language", "lora")}
        config = dataclasses.replace(config, **{k: dataclasses.replace(v, dropout=0.0) for k, v in parts.items()})
    texts = [*SENTENCES, CAPTION_INSTRUCTION, EXPERTS["theme"].default_prompt]
    tokenizer = Tokenizer.train(texts, config.language.vocab_size, config.experts)
    language = dataclasses.replace(config.language, vocab_size=len(tokenizer))
    model = build(dataclasses.replace(config, language=language), tokenizer)
    if experts:
        model.add_experts()
        randomise_adapters(model)
    return model.eval()


def randomise_adapters(model: RSMoE) -> None:
    """Give the adapters of all roles random weights; fresh ones change nothing."""
    import torch

    with torch.no_grad():
        for name, parameter in model.language.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.2)


def language_models(model: RSMoE) -> dict[str, nn.Module]:
    """A language model of transformers for each role of a model in the form for training, and one without adapters."""
    from copy import deepcopy

    from rsmoe_core.model import lora

    if not model.has_experts:
        return {BASE: model.language}
    by_role = {role: lora.merged(model.language, role) for role in model.roles}
    return {BASE: deepcopy(model.language).unload(), **by_role}


def random_patches(count: int = 5) -> Tensor:
    """patches_BPD of so many images for the `tiny` preset, always the same."""
    import torch

    return torch.randn(count, 4, 32, generator=torch.Generator().manual_seed(0))


def texts_of(descriptions: Iterable[Description]) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """Caption, drafts and prompts of each description, without confidences."""
    return [
        (one.caption, {name: draft.text for name, draft in one.drafts.items()}, dict(one.prompts))
        for one in descriptions
    ]


def fit_batch_norms(encoder: EfficientNetLite) -> EfficientNetLite:
    """Fit the batch norms of a random image encoder to noise; before, all of its features are nearly zero."""
    import torch

    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        encoder.train()(torch.randn(16, 3, 64, 64))
    return encoder.eval()


def write_karpathy(root: Path) -> Path:
    """Forty images of four classes in the Karpathy layout; each class has one colour and two sentences."""
    classes = {"pond": (20, 60, 160), "airport": (200, 200, 200), "river": (40, 120, 140), "forest": (20, 110, 30)}
    entries = []
    for number in range(40):
        scene_class, colour = list(classes.items())[number % 4]
        split = "test" if number >= 36 else "train"
        (root / split).mkdir(parents=True, exist_ok=True)
        # The images of a class are numbered so that they fall into several groups.
        name = f"{scene_class}_{number // 4 * 10 + 1}.jpg"
        rng = np.random.default_rng(number)
        pixels = np.clip(np.array(colour) + rng.normal(0, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / split / name)
        sentences = [{"raw": f"a {scene_class} is near a road ."}] * 4
        sentences.append({"raw": f"it is a {scene_class} with some trees ."})
        entries.append({"filename": name, "filepath": split, "split": split, "sentences": sentences})
    (root / "dataset_small.json").write_text(json.dumps({"images": entries}))
    return root
