"""The transformers backend over tiny models of ten classes; the reference is `generate` of transformers alone."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.huggingface.backend import (
    TransformersBackend,
    allows_static_cache,
    load_base,
    load_transformers,
)
from rsmoe_core.backends.instructions import Instructions
from rsmoe_core.checkpoint.mixture import adapter_name, read_mixture, save_mixture
from rsmoe_core.config import BaseReference, CaptionOptions, LoraSettings, MixtureConfig
from rsmoe_core.engine import Engine
from rsmoe_core.errors import BackendError, ModelError
from rsmoe_core.model import lora
from rsmoe_core.model.vlm_parts import language_name, layer_kinds, target_pattern
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, DEFAULT_EXPERTS, FUSION, ROUTER
from rsmoe_core.types import Generation, Request
from rsmoe_core.words.replies import ReplyForm
from tests.vlm import CLASSES

CAPTIONERS = {"paligemma", "florence2"}
"""Classes that take tasks instead of instructions."""
WITHOUT_STATIC_CACHE = {"paligemma", "smolvlm"}
LENGTH = 10
RAW = ReplyForm("anything", "", {}, lambda text: text, LENGTH)
"""A form that takes every text as it is."""

Folders = Callable[[str], Path]
Backends = Callable[[str], TransformersBackend]


class Short(Instructions):
    """Instructions whose replies have few tokens, so that tests are quick."""

    def form(self, turn: Turn) -> ReplyForm:
        return dataclasses.replace(super().form(turn), max_tokens=LENGTH)


SHORT = Short(DEFAULT_EXPERTS)


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    """Eight images of different sizes and contents."""
    rng = np.random.default_rng(0)
    sizes = [(64, 64), (32, 32), (50, 80), (64, 64), (31, 33), (100, 100), (64, 64), (16, 40)]
    return [Request((rng.random((h, w, 3)) * rng.integers(40, 255, 3)).astype(np.uint8)) for h, w in sizes]


@pytest.fixture(scope="module")
def backends(vlm: Folders) -> Backends:
    """A backend of each class, which is loaded once."""
    return lru_cache(lambda name: load_transformers(vlm(name), instructions=SHORT))


def turns_about(images: int, name: str = "") -> list[Turn]:
    """A raw text about each image; prompts have different lengths, but for a model that takes no words."""
    words = [" with words" * (image % 3 if name != "florence2" else 0) for image in range(images)]
    return [Turn(image, BASE, CAPTION_INSTRUCTION + words[image], form=RAW) for image in range(images)]


def texts_of(generations: Iterable[Generation]) -> list[str]:
    return [one.text for one in generations]


def generated_by_transformers(folder: Path, prompts: list[str], images: list[Image.Image]) -> list[tuple[str, float]]:
    """Text and confidence of each prompt about its image, one at a time, without anything of this project's."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    tokenizer = processor.tokenizer
    whole = {}
    if getattr(processor.image_processor, "do_image_splitting", False):
        whole = {"do_image_splitting": False, "size": processor.image_processor.max_image_size}
    told = []
    for prompt, image in zip(prompts, images, strict=True):
        adds = {} if not prompt.startswith(tokenizer.bos_token) else {"add_special_tokens": False}
        inputs = processor(text=[prompt], images=[[image]], return_tensors="pt", **adds, **whole)
        asked = {"do_sample": False, "num_beams": 1, "return_dict_in_generate": True, "output_scores": True}
        output = model.generate(**inputs, **asked, max_new_tokens=LENGTH + 1)  # Florence-2 forces the last one
        best = [scores[0].float().log_softmax(-1).max(-1) for scores in output.scores[:LENGTH]]
        ids = [token.item() for _, token in best]
        end = ids.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in ids else len(ids)
        log_probs = [value.item() for value, _ in best[: end + 1]]
        text = tokenizer.decode(ids[:end], skip_special_tokens=True).strip()
        told.append((text, math.exp(sum(log_probs) / len(log_probs))))
    return told


@pytest.mark.parametrize("name", CLASSES)
def test_same_as_transformers_alone_in_batches_of_any_size(
    name: str, vlm: Folders, backends: Backends, requests: list[Request]
):
    backend, turns = backends(name), turns_about(8, name)

    by_size = {}
    for size in (8, 3, 1):
        parts = [slice(first, first + size) for first in range(0, 8, size)]
        by_size[size] = [
            one
            for part in parts
            for one in backend.generate(
                backend.encode(requests[part]),
                [dataclasses.replace(turn, image=turn.image - part.start) for turn in turns[part]],
                max_tokens=1,
            )
        ]

    assert texts_of(by_size[8]) == texts_of(by_size[3]) == texts_of(by_size[1])
    assert len(set(texts_of(by_size[8]))) > 3
    size = (backend.image_size, backend.image_size)
    images = [Image.fromarray(one.image).resize(size, Image.Resampling.BICUBIC) for one in requests[:3]]
    prompts = [backend._text(turn, 1).prompt for turn in turns[:3]]
    expected = generated_by_transformers(vlm(name), prompts, images)
    assert texts_of(by_size[8][:3]) == [text for text, _ in expected]
    for described in by_size.values():
        confidences = [one.confidence for one in described[:3]]
        assert confidences == pytest.approx([confidence for _, confidence in expected], rel=1e-4)


@pytest.mark.parametrize("name", CLASSES)
def test_static_cache_gives_the_same_tokens_where_the_class_allows_one(
    name: str, backends: Backends, requests: list[Request]
):
    backend = backends(name)
    assert allows_static_cache(backend.base) == (name not in WITHOUT_STATIC_CACHE)
    if name in WITHOUT_STATIC_CACHE:
        with pytest.raises(ModelError, match="does not allow a static cache"):
            TransformersBackend(backend.model, backend.prompting, static_cache=True)
        return
    static = TransformersBackend(backend.model, backend.prompting, static_cache=True)

    written = [one.generate(one.encode(requests[:3]), turns_about(3, name), 1) for one in (backend, static)]

    assert texts_of(written[0]) == texts_of(written[1])


@pytest.mark.parametrize("name", CLASSES)
def test_mixtures_look_at_each_image_once_and_count_what_they_cost(
    name: str, backends: Backends, requests: list[Request]
):
    backend = backends(name)
    encoder = first_layer(getattr(backend.base.base_model, _ENCODERS.get(name, "vision_tower")))
    for mixture, calls in (("full", 5), ("experts", 4), ("direct", 1)):
        # A captioner cannot be told what experts are.
        calls = 1 if name in CAPTIONERS else calls
        engine = Engine(backend, options=CaptionOptions(mixture=mixture))
        before = dataclasses.replace(backend.usage)

        seen, described = calls_of(encoder, lambda engine=engine: engine.describe(requests[:2]))

        assert seen == 1
        assert all(one.caption or one.error for one in described)
        assert any(one.caption for one in described)
        assert backend.usage.images - before.images == 2
        assert backend.usage.calls - before.calls == 2 * calls
        assert 0 < backend.usage.generated_tokens - before.generated_tokens <= 2 * calls * LENGTH
        assert backend.usage.prompt_tokens - before.prompt_tokens > 2 * calls * 4
        problems = {role for one in described for role in one.problems}
        assert (set(DEFAULT_EXPERTS) <= problems) == (name in CAPTIONERS and mixture != "direct")


_ENCODERS = {
    "qwen2_5_vl": "visual",
    "qwen3_vl": "visual",
    "qwen3_5": "visual",
    "smolvlm": "vision_model",
    "instructblip": "vision_model",
}
"""Names of image encoders, by class."""


def first_layer(module: torch.nn.Module) -> torch.nn.Module:
    return next(one for one in module.modules() if isinstance(one, torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.Linear))


def calls_of(module: Any, call: Callable[[], Any]) -> tuple[int, Any]:
    """How often a module is run in a call, and what the call returns."""
    calls: list[int] = []
    handle = module.register_forward_pre_hook(lambda *args: calls.append(1))
    try:
        result = call()
    finally:
        handle.remove()
    return len(calls), result


def with_adapters(folder: Path, name: str, target: Path) -> Path:
    """A mixture on a base, stored as training does: random adapters for some of the roles, BASE among them."""
    base, _ = load_base(folder, name)
    language = language_name(base)
    settings = LoraSettings(rank=2, alpha=8, dropout=0.0, targets=layer_kinds(base, language))
    roles = (BASE, ROUTER, "theme", FUSION)
    pattern = target_pattern(language, settings.targets)
    model = lora.add_adapters(base, [adapter_name(role) for role in roles], settings, pattern)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "lora_" in parameter_name:
                parameter.normal_(std=0.5)
    config = MixtureConfig(BaseReference(str(folder)), lora=settings, language=language)
    save_mixture(target, config, model, connector=False)
    return target


@pytest.mark.parametrize("name", CLASSES)
def test_roles_with_adapters_and_without_share_a_batch(
    name: str, vlm: Folders, backends: Backends, requests: list[Request], tmp_path: Path
):
    mixture = read_mixture(with_adapters(vlm(name), name, tmp_path / "mixture"))
    backend = load_transformers(vlm(name), mixture=mixture, instructions=SHORT)
    encoded = backend.encode(requests[:2])
    turns = [
        Turn(0, BASE, CAPTION_INSTRUCTION),
        Turn(0, ROUTER, CAPTION_INSTRUCTION),
        Turn(1, "theme", CAPTION_INSTRUCTION),
        Turn(1, FUSION, CAPTION_INSTRUCTION, {"theme": "a port"}),
        Turn(0, "theme", CAPTION_INSTRUCTION),
    ]
    untrained = [] if name in CAPTIONERS else [Turn(0, "objects", CAPTION_INSTRUCTION, form=RAW)]

    together = backend.generate(encoded, turns + untrained, LENGTH)

    alone = [one for turn in turns + untrained for one in backend.generate(encoded, [turn], LENGTH)]
    assert texts_of(together) == texts_of(alone)
    assert len(set(texts_of(together[:4]))) == 4
    assert backend.trained_roles == {BASE, ROUTER, "theme", FUSION}
    plain = backends(name)
    as_before = plain.generate(plain.encode(requests[:2]), untrained, LENGTH)
    assert texts_of(together[5:]) == texts_of(as_before)


def test_texts_do_not_depend_on_unobserved_pixels(backends: Backends, requests: list[Request]):
    backend = backends("llava")
    image, valid = requests[0].image, np.ones((64, 64), bool)
    valid[:, 40:] = False
    noise = np.where(valid[..., None], image, 255 - image)

    def told(*asked: Request) -> list[Generation]:
        return backend.generate(backend.encode(asked), [Turn(0, BASE, CAPTION_INSTRUCTION, form=RAW)], 1)

    assert told(Request(image, valid)) == told(Request(noise, valid))
    assert told(Request(image)) != told(Request(noise))


def test_each_text_has_a_limit_of_its_own(backends: Backends, requests: list[Request]):
    backend = backends("gemma3")  # whose texts about this image would be longer
    long = TransformersBackend(backend.model, backend.prompting)
    forms = [dataclasses.replace(RAW, max_tokens=tokens) for tokens in (3, 9)]
    turns = [Turn(0, BASE, CAPTION_INSTRUCTION, form=form) for form in forms]

    short, longer = long.generate(long.encode(requests[:1]), turns, max_tokens=1)

    assert (short.tokens, longer.tokens) == (3, 9)
    assert longer.text.startswith(short.text)


def test_captioners_say_what_they_cannot_do(backends: Backends, requests: list[Request]):
    asked = [Turn(0, BASE, "how many ships are there?", form=RAW), Turn(0, "theme", "name it")]

    answers = {name: backends(name).generate(backends(name).encode(requests[:1]), asked, 1) for name in CAPTIONERS}

    assert answers["paligemma"][0].error is None
    for refused in (answers["florence2"][0], answers["florence2"][1], answers["paligemma"][1]):
        assert refused.error is not None
        assert refused.error.endswith("' takes no such instruction before it is trained")


def test_bfloat16_and_other_sizes_of_images(vlm: Folders, requests: list[Request]):
    backend = load_transformers(vlm("qwen2_5_vl"), dtype=torch.bfloat16, image_size=48, instructions=SHORT)

    encoded = backend.encode(requests[:2])

    assert (backend.dtype, backend.image_size, backend.device) == ("bfloat16", 48, "cpu")
    assert encoded.inputs["image_grid_thw"].tolist() == [[1, 6, 6]] * 2
    assert encoded.features.pooler_output[0].dtype == torch.bfloat16
    assert all(one.text for one in backend.generate(encoded, turns_about(2), 1))


def test_a_device_that_breaks_down_stops_the_run(
    backends: Backends, requests: list[Request], monkeypatch: pytest.MonkeyPatch
):
    backend = backends("llava")
    encoded = backend.encode(requests[:1])

    def fail(**inputs: Any) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure\nmore")

    monkeypatch.setattr(backend.model, "generate", fail)

    with pytest.raises(BackendError, match=r"^cpu stopped working: CUDA error: unspecified launch failure$"):
        backend.generate(encoded, turns_about(1), 1)


def test_what_cannot_be_loaded_is_refused_in_one_line(vlm: Folders, tmp_path: Path):
    copy = shutil.copytree(vlm("llava"), tmp_path / "llava")
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match=r"^'mine' has no chat template, so it cannot be instructed; "):
        load_transformers(copy, name="mine")
    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'][1]['text'] }}")
    with pytest.raises(ModelError, match=r"^the chat template of 'mine' has no place for an image; "):
        load_transformers(copy, name="mine")
    shutil.copy(vlm("llava") / "chat_template.jinja", copy)
    weights = load_file(copy / "model.safetensors")
    del weights["multi_modal_projector.linear_1.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"^'mine' is incomplete \(.*linear_1.weight is missing\); "):
        load_transformers(copy, name="mine")
    (copy / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"^'mine' cannot be loaded \(.*\)$"):
        load_transformers(copy, name="mine")


def test_a_missing_package_is_named(vlm: Folders, monkeypatch: pytest.MonkeyPatch):
    def fail(*args: Any, **options: Any) -> None:
        raise ImportError("\nQwen3VLVideoProcessor requires the Torchvision library but it was not found")

    monkeypatch.setattr("transformers.AutoProcessor.from_pretrained", fail)

    with pytest.raises(ModelError, match=r"^'mine' cannot be loaded \(it needs torchvision; run: pip install "):
        load_transformers(vlm("qwen3_vl"), name="mine")


def test_loading_and_generating_print_nothing(vlm: Folders, requests: list[Request], capfd: pytest.CaptureFixture[str]):
    folders = {name: vlm(name) for name in ("gemma3", "paligemma")}
    capfd.readouterr()
    for name, folder in folders.items():
        backend = load_transformers(folder, instructions=SHORT)
        backend.generate(backend.encode(requests[:2]), turns_about(2, name), 1)

    assert capfd.readouterr() == ("", "")
