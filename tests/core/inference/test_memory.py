"""Estimates of memory against the memory that tiny models take."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import tests.vlm
from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.huggingface.backend import load_transformers
from rsmoe_core.checkpoint.base_weights import find_base
from rsmoe_core.errors import ModelError
from rsmoe_core.inference.memory import (
    BaseShape,
    Layers,
    Memory,
    Workload,
    describe_base,
    inference_memory,
    training_memory,
)
from rsmoe_core.types import Request

EXPERTS = ("theme", "objects", "relations")


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of all tensors that exist at a time, but for the given ones."""

    def __init__(self, known: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self.known = {tensor.untyped_storage()._cdata for tensor in known}
        self.live: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._see(tensor.untyped_storage())
        return result

    def _see(self, storage: Any) -> None:
        key = storage._cdata
        if key not in self.known and key not in self.live:
            self.live[key] = storage.nbytes()
            weakref.finalize(storage, self.live.pop, key, None)
            self.peak = max(self.peak, sum(self.live.values()))


@pytest.mark.parametrize("name", ["llava", "qwen3_vl"])
def test_inference_takes_what_was_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(tests.vlm, "HIDDEN", 128)
    folder = tests.vlm.save_vlm(name, tmp_path)
    backend = load_transformers(folder, name=name)
    requests = [Request(np.full((32, 32, 3), 50 * number, np.uint8)) for number in range(3)]
    turns = [Turn(image, role, "name the kind of place") for role in EXPERTS for image in range(len(requests))]
    backend.generate(backend.encode(requests[:1]), turns[:1], 2)  # what is kept for later calls
    gc.collect()
    parts = (*backend.base.parameters(), *backend.base.buffers())
    with PeakMemory(parts) as memory:
        backend.generate(backend.encode(requests), turns, 8)
    prompts = [backend.prompting.prompt(backend.instructions.chat_text(turn)) for turn in turns]
    tokens = backend.prompting.text_inputs(prompts)["input_ids"].shape[1]
    estimate = inference_memory(describe_base(folder), Workload(len(EXPERTS), tokens, 8, 16), "float32")
    assert 0.8 < len(requests) * estimate.each / memory.peak < 1.5


@pytest.mark.parametrize("name", tests.vlm.CLASSES)
def test_all_weights_are_counted_without_reading_them(vlm: Callable[[str], Path], name: str) -> None:
    folder = vlm(name)
    shape, base = describe_base(folder), find_base(str(folder))
    assert shape.parameters == pytest.approx(base.parameters, rel=0.02)  # which has a few buffers
    for quantize in (None, "int8", "4bit"):
        assert shape.weights("bfloat16", quantize) == pytest.approx(base.memory("bfloat16", quantize), rel=0.03)
    assert 0 < shape.connector < shape.others
    assert shape.text.layers == tests.vlm.LAYERS


def test_training_takes_what_was_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rsmoe_core.config import LoraSettings
    from rsmoe_core.model import lora
    from rsmoe_core.model.vlm_parts import language_name, layer_kinds, target_pattern

    monkeypatch.setattr(tests.vlm, "HIDDEN", 128)
    folder = tests.vlm.save_vlm("llava", tmp_path)
    backend = load_transformers(folder)
    language, kinds = language_name(backend.base), layer_kinds(backend.base, language_name(backend.base))
    settings = LoraSettings(rank=4, targets=kinds, dropout=0.0)
    model: Any = lora.add_adapters(backend.base, ["theme"], settings, target_pattern(language, kinds)).train()
    backend.base.gradient_checkpointing_enable({"use_reentrant": False})
    backend.base.enable_input_require_grads()
    own = [parameter for parameter in model.parameters() if parameter.requires_grad]
    inputs = backend.prompting.text_inputs([backend.prompting.prompt("a port . " * 60)] * 4)
    image = np.zeros((32, 32, 3), np.uint8)
    inputs |= backend.prompting.image_inputs([image] * 4)
    optimizer = torch.optim.AdamW(own, foreach=False)

    def step() -> None:
        model(**inputs, labels=inputs["input_ids"]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    gc.collect()
    with PeakMemory([*(p for name, p in model.named_parameters() if "lora" not in name), *model.buffers()]) as memory:
        step()
    moments = 2 * sum(parameter.numel() for parameter in own) * 4  # are there before
    tokens = inputs["input_ids"].shape[1]
    estimate = training_memory(describe_base(folder), Workload(1, 0, tokens, 16), "float32", rank=4)
    assert 0.8 < (estimate.total(4) - estimate.weights) / (memory.peak + moments) < 1.4


SHAPE = BaseShape(
    text=Layers(layers=10, hidden_size=100, intermediate_size=300, heads=4, key_value_heads=2, head_size=25),
    vision=Layers(layers=5, hidden_size=50, intermediate_size=200, heads=2, key_value_heads=2, head_size=25),
    vocabulary=1000,
    matrices=1_000_000,
    others=200_000,
    connector=10_000,
    adapted=50_000,
)
WORK = Workload(texts=3, prompt_tokens=90, new_tokens=10, patches=64)


def test_the_cache_holds_keys_and_values_of_every_token() -> None:
    assert inference_memory(SHAPE, WORK, "bfloat16").cache == 3 * (90 + 10) * 2 * 10 * 2 * 25 * 2


def test_batches_fill_what_is_left_beside_the_weights() -> None:
    memory = Memory(weights=500.0, trained=0.0, cache=30.0, activations=20.0)
    assert memory.largest_batch(1000) == int((1000 * 0.92 - 500) // 50) == 8
    assert memory.total(8) <= 1000
    assert memory.largest_batch(550) == 0


def test_training_counts_optimiser_connector_and_frozen_adapters() -> None:
    one = training_memory(SHAPE, WORK, "bfloat16", rank=8)
    assert one.trained == 8 * 50_000 * 16
    four = training_memory(SHAPE, WORK, "bfloat16", "4bit", rank=8, adapters=4, trains_connector=True)
    assert four.trained == 8 * 50_000 * (16 + 3 * 4) + 10_000 * 16
    assert four.weights == 1_000_000 / 2 * 17 / 16 + 200_000 * 2
    assert four.activations == one.activations


def test_settings_that_give_no_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llava", "text_config": {"model_type": "nothing"}}')
    with pytest.raises(ModelError, match=r"cannot build a model of its config\.json"):
        describe_base(tmp_path)
