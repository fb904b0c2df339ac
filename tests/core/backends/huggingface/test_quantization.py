from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tests.vlm
from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.huggingface import quantization
from rsmoe_core.backends.huggingface.backend import load_base, load_transformers
from rsmoe_core.backends.huggingface.quantization import quantization_config
from rsmoe_core.checkpoint.base_weights import find_base, is_quantized
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.roles import BASE
from rsmoe_core.types import Request
from tests.core.checkpoint.test_base_weights import LAYER

PACKAGES = {"int8": "torchao", "8bit": "bitsandbytes", "4bit": "bitsandbytes"}


def config(quantize: str) -> Any:
    pytest.importorskip(PACKAGES[quantize])
    return quantization_config(quantize, "cpu", torch.float32)


def is_smaller(module: torch.nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return "bitsandbytes" in type(module).__module__ or "Int8Tensor" in type(weight).__name__


@pytest.mark.parametrize("quantize", PACKAGES)
@pytest.mark.parametrize("name", ["llava", "smolvlm", "instructblip"])
def test_only_the_language_model_is_quantised(vlm: Callable[[str], Path], name: str, quantize: str) -> None:
    folder = vlm(name)
    model, _ = load_base(folder, name, quantization=config(quantize))
    smaller = {name: module for name, module in model.named_modules() if is_smaller(module)}
    assert smaller
    assert all("language_model" in name or "text_model" in name for name in smaller)
    numbers = sum(module.in_features * module.out_features for module in smaller.values())
    # The estimate of memory counts the same ones.
    assert numbers == sum(t.numbers for key, t in find_base(str(folder)).tensors.items() if is_quantized(key, t))


@pytest.mark.parametrize("quantize", PACKAGES)
def test_a_quantised_model_writes_about_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantize: str) -> None:
    image = torch.arange(40 * 40 * 3).reshape(40, 40, 3).to(torch.uint8).numpy()
    monkeypatch.setattr(tests.vlm, "HIDDEN", 64)  # bitsandbytes packs 64 weights at a time
    folder = tests.vlm.save_vlm("llava", tmp_path)
    texts = []
    for own in (None, config(quantize)):
        backend = load_transformers(folder, quantization=own)
        encoded = backend.encode([Request(image)])
        texts += backend.generate(encoded, [Turn(0, BASE, "name the kind of place")], 8)
        assert backend.base.dtype == torch.float32
    assert texts[1].tokens > 0
    assert texts[1].confidence != texts[0].confidence  # it was quantised


def test_other_names_and_missing_packages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no quantisation '3bit'; choose one of: int8, 8bit, 4bit"):
        quantization_config("3bit", "cpu", torch.float32)
    monkeypatch.setattr(quantization, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"needs torchao; run: pip install 'rsmoe\[int8\]'"):
        quantization_config("int8", "cpu", torch.float32)
    with pytest.raises(ModelError, match=r"needs bitsandbytes; run: pip install 'rsmoe\[gpu\]'"):
        quantization_config("4bit", "cuda", torch.bfloat16)
    monkeypatch.setattr(quantization, "find_spec", importlib.util.find_spec)
    pytest.importorskip("torchao")
    with pytest.raises(UsageError, match="does not work on mps"):
        quantization_config("int8", "mps", torch.float32)


def test_layers_of_image_encoders_are_not_of_the_language_model() -> None:
    from rsmoe_core.checkpoint.headers import StoredTensor

    matrix = StoredTensor("F32", (2, 2), 0, 16)
    names = {
        LAYER: True,
        "language_model.model.layers.11.mlp.up_proj.weight": True,
        "model.layers.0.self_attn.q_proj.weight": True,
        "vision_tower.vision_model.encoder.layers.3.mlp.fc1.weight": False,
        "visual.blocks.0.attn.qkv.weight": False,
        "qformer.encoder.layer.0.attention.attention.query.weight": False,
        "model.embed_tokens.weight": False,
        "language_model.lm_head.weight": False,
    }
    assert {name: is_quantized(name, matrix) for name in names} == names
