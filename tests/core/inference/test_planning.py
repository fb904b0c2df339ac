from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rsmoe_cli.commands.show_base import summarise_base
from rsmoe_core.checkpoint.base_weights import find_base
from rsmoe_core.config import CaptionOptions, Mixture
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.inference import planning
from rsmoe_core.inference.planning import plan_model
from rsmoe_core.loading import load
from rsmoe_core.types import Request
from tests.core.backends.huggingface.test_backend import with_adapters


def test_a_plan_of_a_base_counts_what_the_engine_then_does(vlm: Callable[[str], Path]) -> None:
    folder, options = vlm("llava"), CaptionOptions("direct", words=3)
    plan = plan_model(str(folder), device="cpu", options=options, available=1e9)
    engine = load(folder, device="cpu", options=options)
    engine.describe([Request(np.zeros((20, 20, 3), np.uint8))])
    assert (plan.revision, plan.device, plan.image_size) == (engine.revision, engine.device, engine.image_size)
    assert (plan.texts, plan.prompt_tokens) == (engine.usage.calls, engine.usage.prompt_tokens)
    assert plan.new_tokens >= engine.usage.generated_tokens
    assert plan.chosen.dtype == engine.dtype
    assert plan.chosen.memory.weights == sum(p.numel() for p in engine.backend.base.parameters()) * 4


@pytest.mark.parametrize(("mixture", "texts", "at_once"), [("full", 5, 3), ("experts", 4, 3), ("direct", 1, 1)])
def test_mixtures_differ_in_texts_and_memory(
    vlm: Callable[[str], Path], mixture: Mixture, texts: int, at_once: int
) -> None:
    plan, direct = (
        plan_model(str(vlm("qwen3_vl")), device="cpu", options=CaptionOptions(kind), available=1e9)
        for kind in (mixture, "direct")
    )
    assert plan.texts == texts
    assert plan.chosen.memory.cache >= at_once * direct.chosen.memory.cache
    assert plan.fits


def test_a_plan_of_a_mixture_counts_its_own_prompts(vlm: Callable[[str], Path], tmp_path: Path) -> None:
    folder = with_adapters(vlm("llava"), "llava", tmp_path / "mixture")
    options = CaptionOptions("direct")
    plan = plan_model(str(folder), device="cpu", options=options)
    engine = load(folder, device="cpu", options=options)
    engine.limits = dataclasses.replace(engine.limits, caption_tokens=3)
    engine.describe([Request(np.zeros((20, 20, 3), np.uint8))])
    assert plan.revision == engine.revision
    assert (plan.texts, plan.prompt_tokens) == (1, engine.usage.prompt_tokens)
    summary = summarise_base(str(folder))
    assert (summary.revision, summary.base) == (engine.revision, str(vlm("llava")))
    assert summary.parts["adapter theme"] == summary.parts["adapter stage1"] > 0


def test_captioners_write_a_single_text(vlm: Callable[[str], Path]) -> None:
    assert plan_model(str(vlm("florence2")), device="cpu").texts == 1


def test_other_formats_of_the_weights_are_compared(vlm: Callable[[str], Path]) -> None:
    plan = plan_model(str(vlm("internvl")), device="cpu", precision="bf16", quantize="int8", available=100e3)
    assert plan.revision == f"{find_base(str(vlm('internvl'))).revision} in int8"
    assert [(fit.dtype, fit.quantize) for fit in plan.others] == [("float32", None), ("bfloat16", None)]
    half, full = plan.others[1].memory.weights, plan.others[0].memory.weights
    assert plan.chosen.memory.weights < half == full / 2
    assert plan.fits is False
    stages = [(fit.stage, fit.quantize) for fit in plan.training]
    assert stages == [(1, None), (2, None), (1, "4bit"), (2, "4bit")]
    assert plan.training[2].memory.total(1) < plan.training[0].memory.total(1)
    unknown = plan_model(str(vlm("internvl")), device="cpu")
    assert unknown.fits is None


def test_a_plan_of_a_native_model_has_its_revision_and_weights(tiny_folder: Path) -> None:
    plan = plan_model(str(tiny_folder), device="cpu", available=1e9)
    engine = load(tiny_folder, device="cpu")
    assert (plan.revision, plan.image_size, plan.texts) == (engine.revision, engine.image_size, 5)
    own = sum(parameter.numel() for parameter in engine.backend.model.parameters()) * 4
    assert plan.chosen.memory.weights == pytest.approx(own, rel=0.1)


def test_of_a_hub_id_only_settings_are_fetched(vlm: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def fetch(name: str, revision: str | None = None, patterns: tuple[str, ...] = ()) -> Path:
        fetched.append(patterns)
        return vlm("llava")

    monkeypatch.setattr(planning.hub, "fetch", fetch)
    plan = plan_model("owner/name", device="cpu")
    assert plan.model == "owner/name"
    assert set(fetched) == {planning.hub.SETTINGS}


def test_models_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["X"]}))
    with pytest.raises(ModelError, match="takes no image"):
        plan_model(str(tmp_path), device="cpu")
    with pytest.raises(UsageError, match="no model"):
        plan_model("nowhere", device="cpu")
