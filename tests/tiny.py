"""A tiny model with random weights, and a small folder of annotated pictures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from rsmoe_core.model.rsmoe import RSMoE
    from rsmoe_core.model.vision.efficientnet_lite import EfficientNetLite

SENTENCES = (
    "many green trees are near a pond .",
    "some white airplanes are parked in an airport .",
    "a river is between two roads .",
    "many buildings and some green trees are in a dense residential area .",
)


def make_tiny(seed: int = 0, experts: bool = True, dropout: bool = True) -> RSMoE:
    """The `tiny` preset with random weights; adapters get random weights too, so that roles really differ."""
    import torch

    from rsmoe_core.model.rsmoe import build
    from rsmoe_core.model.tokenizer import Tokenizer
    from rsmoe_core.presets import tiny

    torch.manual_seed(seed)
    config = tiny()
    if not dropout:
        parts = {part: getattr(config, part) for part in ("qformer", "language", "lora")}
        config = dataclasses.replace(config, **{k: dataclasses.replace(v, dropout=0.0) for k, v in parts.items()})
    tokenizer = Tokenizer.train([*SENTENCES, "describe the picture", "name the kind of place"], 512, config.experts)
    language = dataclasses.replace(config.language, vocab_size=len(tokenizer))
    model = build(dataclasses.replace(config, language=language), tokenizer)
    if experts:
        model.add_experts()
        with torch.no_grad():
            for name, parameter in model.language.named_parameters():
                if "lora_" in name:
                    parameter.normal_(std=0.2)
    return model.eval()


def wake(encoder: EfficientNetLite) -> EfficientNetLite:
    """Let the batch norms of a random image encoder see noise once; before, its layers let every signal die out."""
    import torch

    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        encoder.train()(torch.randn(16, 3, 64, 64))
    return encoder.eval()


def write_karpathy(root: Path) -> Path:
    """Forty pictures of four classes in the Karpathy layout; each class has one colour and two sentences."""
    classes = {"pond": (20, 60, 160), "airport": (200, 200, 200), "river": (40, 120, 140), "forest": (20, 110, 30)}
    entries = []
    for number in range(40):
        scene, colour = list(classes.items())[number % 4]
        split = "test" if number >= 36 else "train"
        (root / split).mkdir(parents=True, exist_ok=True)
        # A class's pictures are numbered so that they fall into several series.
        name = f"{scene}_{number // 4 * 10 + 1}.jpg"
        rng = np.random.default_rng(number)
        pixels = np.clip(np.array(colour) + rng.normal(0, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / split / name)
        sentences = [{"raw": f"a {scene} is near a road ."}] * 4 + [{"raw": f"it is a {scene} with some trees ."}]
        entries.append({"filename": name, "filepath": split, "split": split, "sentences": sentences})
    (root / "dataset_small.json").write_text(json.dumps({"images": entries}))
    return root
