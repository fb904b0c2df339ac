from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsmoe_core.backends.huggingface.backend import TransformersBackend
from rsmoe_core.config import CaptionOptions
from rsmoe_core.engine import Engine
from rsmoe_core.inference.smoke_test import check_engine, drawn_images
from rsmoe_core.loading import load
from rsmoe_core.types import Description, Request

DIRECT = CaptionOptions("direct", words=3)


def test_the_images_are_different_and_always_the_same() -> None:
    images = drawn_images()
    assert {image.shape for image in images} == {(224, 224, 3)}
    assert {image.dtype for image in images} == {np.dtype(np.uint8)}
    assert all(np.array_equal(image, again) for image, again in zip(images, drawn_images(), strict=True))
    assert min(np.abs(images[i].astype(int) - images[j]).mean() for i, j in ((0, 1), (0, 2), (1, 2))) > 20


def test_a_native_model_is_checked(tiny_folder: Path) -> None:
    result = check_engine(lambda: load(tiny_folder, device="cpu"))
    assert result.same_in_batch == len(result.captions) == 3
    assert result.trained_roles == ("router", "theme", "objects", "relations", "fusion")
    assert (result.adapters, result.static_cache) == ("yes", "yes")
    assert result.calls == 5
    assert result.generated_tokens > 0
    assert result.images_per_second == pytest.approx(3 / result.seconds)
    assert result.peak_bytes > 10**7


def test_a_base_is_checked_and_left_as_it_was(vlm: Callable[[str], Path]) -> None:
    engines: list[Engine] = []

    def remembered() -> Engine:
        engines.append(load(vlm("llava"), device="cpu", options=DIRECT))
        return engines[0]

    result = check_engine(remembered)
    assert result.same_in_batch == 3
    assert result.works
    assert (result.adapters, result.static_cache, result.trained_roles) == ("yes", "yes", ())
    assert (result.calls, result.parameters) == (1, 63_840)
    backend: Any = engines[0].backend
    assert "lora" not in str(backend.base).lower()
    assert backend.model.generation_config.cache_implementation is None
    assert [engines[0].describe([Request(image)])[0].caption for image in drawn_images()] == list(result.captions)


def test_what_does_not_work_is_said_and_stops_nothing(
    vlm: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, *args: Any, **options: Any) -> None:
        raise RuntimeError("not here\nreally")

    engine = load(vlm("smolvlm"), device="cpu", options=DIRECT)
    monkeypatch.setattr(TransformersBackend, "__init__", broken)
    describe = engine.describe

    def forgetful(requests: Sequence[Request], batch_size: int | None = None) -> list[Description]:
        if len(requests) > 1:
            return [Description("", error="the model wrote nothing") for _ in requests]
        return describe(requests, batch_size)

    monkeypatch.setattr(engine, "describe", forgetful)
    result = check_engine(lambda: engine)
    assert not result.works
    assert result.errors == ("caption: the model wrote nothing",)
    assert result.same_in_batch == 0
    assert result.adapters == "no (not here)"
    assert result.static_cache == "no (SmolVLMForConditionalGeneration does not allow it)"
