"""Whether a model works here, and how fast: `rsmoe models check`.

engine ─check_engine─▶ ModelCheck: texts about three drawn images, alone and in a batch, features, speed, memory
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.backends.base import Turn
from rsmoe_core.config import LoraSettings
from rsmoe_core.engine import Engine
from rsmoe_core.roles import BASE, all_roles
from rsmoe_core.types import Description, Request

if TYPE_CHECKING:
    from rsmoe_core.backends.huggingface.backend import TransformersBackend

log = logging.getLogger(__name__)

_SIDE = 224
_TOKENS = 8
"""Tokens that are compared where features of a backend are tried."""


@dataclass(frozen=True)
class ModelCheck:
    """What came out of a check."""

    model: str
    revision: str
    device: str
    dtype: str
    image_size: int
    parameters: int | None
    """None where the weights are elsewhere."""
    load_seconds: float
    captions: tuple[str, ...]
    """Of the drawn images; empty where there is none."""
    errors: tuple[str, ...]
    """Why captions or drafts are missing, one line each."""
    trained_roles: tuple[str, ...]
    """The roles with weights of their own."""
    same_in_batch: int
    """Images whose texts are the same alone and in a batch with the others."""
    adapters: str
    """Whether a batch may mix adapters: `yes`, or why not."""
    static_cache: str
    """Whether keys and values may lie in memory that is reserved beforehand: `yes`, or why not."""
    seconds: float
    """For all images in one batch."""
    calls: float
    """Texts that were generated for an image."""
    prompt_tokens: float
    """Tokens that were read for an image; 0 where a server does not say."""
    generated_tokens: float
    """Tokens that were written for an image."""
    peak_bytes: int
    """Of the graphics memory, or of the memory of this process; 0 where the system does not say."""

    @property
    def images_per_second(self) -> float:
        """Images described in a second."""
        return len(self.captions) / self.seconds

    @property
    def tokens_per_second(self) -> float:
        """Tokens written in a second."""
        return self.generated_tokens * len(self.captions) / self.seconds

    @property
    def works(self) -> bool:
        """Whether every image has a caption."""
        return all(self.captions)


def check_engine(load: Callable[[], Engine]) -> ModelCheck:
    """Load an engine, describe the drawn images, and try what its backend can do.

    Raises:
        RsmoeError: it cannot be loaded, or stops working.
    """
    start = time.perf_counter()
    engine = load()
    load_seconds = time.perf_counter() - start
    requests = [Request(image) for image in drawn_images()]
    alone = [engine.describe([request], 1)[0] for request in requests]
    before = dict(vars(engine.usage))
    start = time.perf_counter()
    together = engine.describe(requests, len(requests))
    seconds = time.perf_counter() - start
    used = {key: value - before[key] for key, value in vars(engine.usage).items() if isinstance(value, int)}
    peak = _peak_bytes(engine.device)
    adapters, static_cache = _features(engine, requests)
    return ModelCheck(
        model=engine.name,
        revision=engine.revision,
        device=engine.device,
        dtype=engine.dtype,
        image_size=engine.image_size,
        parameters=_parameters(engine),
        load_seconds=load_seconds,
        captions=tuple(description.caption for description in together),
        errors=tuple(_errors(together)),
        trained_roles=tuple(role for role in (*all_roles(engine.experts), BASE) if role in _trained(engine)),
        same_in_batch=sum(_texts(one) == _texts(other) for one, other in zip(alone, together, strict=True)),
        adapters=adapters,
        static_cache=static_cache,
        seconds=seconds,
        calls=used["calls"] / len(requests),
        prompt_tokens=used["prompt_tokens"] / len(requests),
        generated_tokens=used["generated_tokens"] / len(requests),
        peak_bytes=peak,
    )


def drawn_images() -> tuple[NDArray[np.uint8], ...]:
    """Ships in a harbour, fields with a road, and a town, as seen from above; always the same."""
    return _harbour(), _fields(), _town()


def _canvas(colour: tuple[int, int, int], seed: int) -> NDArray[np.float32]:
    grain = np.random.default_rng(seed).normal(0, 6, (_SIDE, _SIDE, 1))
    return (np.array(colour, np.float32) + grain).astype(np.float32)


def _pixels(canvas: NDArray[np.float32]) -> NDArray[np.uint8]:
    return canvas.clip(0, 255).astype(np.uint8)


def _harbour() -> NDArray[np.uint8]:
    canvas = _canvas((38, 72, 96), 0)
    canvas[:, :70] += (110, 95, 70)  # the quay
    canvas[60:66, 70:130] = canvas[150:156, 70:130] = (150, 148, 145)  # piers
    for top, left in ((40, 80), (72, 90), (130, 84), (162, 95), (100, 150)):
        canvas[top : top + 10, left : left + 34] = (225, 225, 222)
        canvas[top + 2 : top + 8, left + 20 : left + 28] = (150, 70, 60)
    return _pixels(canvas)


def _fields() -> NDArray[np.uint8]:
    canvas = _canvas((110, 140, 70), 1)
    colours = ((150, 135, 85), (90, 130, 60), (175, 160, 110), (70, 110, 55))
    for number in range(16):
        row, column = divmod(number, 4)
        canvas[row * 56 + 2 : row * 56 + 54, column * 56 + 2 : column * 56 + 54] += np.array(
            colours[(number * 3) % 4], np.float32
        ) - (110, 140, 70)
    canvas[108:116] = (165, 160, 155)  # the road
    return _pixels(canvas)


def _town() -> NDArray[np.uint8]:
    canvas = _canvas((95, 120, 80), 2)
    for street in range(0, _SIDE, 45):
        canvas[street : street + 7] = canvas[:, street : street + 7] = (120, 120, 122)
    for top in range(12, _SIDE - 24, 45):
        for left in range(12, _SIDE - 24, 45):
            canvas[top : top + 20, left : left + 24] = (170, 95, 80) if (top + left) % 2 else (190, 185, 180)
            canvas[top + 20 : top + 23, left + 2 : left + 26] = (45, 50, 45)  # shadows
    return _pixels(canvas)


def _texts(description: Description) -> tuple[object, ...]:
    drafts = {role: draft.text for role, draft in description.drafts.items()}
    return description.caption, drafts, dict(description.prompts)


def _errors(descriptions: Sequence[Description]) -> list[str]:
    found: list[str] = []
    for description in descriptions:
        found += [f"{role}: {problem}" for role, problem in description.problems.items()]
        if description.error is not None:
            found.append(f"caption: {description.error}")
    return list(dict.fromkeys(found))


def _trained(engine: Engine) -> frozenset[str]:
    return engine.backend.trained_roles


def _parameters(engine: Engine) -> int | None:
    model = getattr(engine.backend, "base", None) or getattr(engine.backend, "model", None)
    return None if model is None else sum(parameter.numel() for parameter in model.parameters())


def _peak_bytes(device: str) -> int:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _features(engine: Engine, requests: Sequence[Request]) -> tuple[str, str]:
    """Whether batches may mix adapters, and whether a static cache may be used: `yes`, or why not."""
    from rsmoe_core.backends.native import NativeBackend

    backend: Any = engine.backend
    if isinstance(backend, NativeBackend):
        return "yes", "yes"  # its decoders have one for each role, and always reserve their memory
    if not hasattr(backend, "base"):
        return "the server's matter", "the server's matter"
    return _tried(lambda: _mixes_adapters(backend, requests)), _tried(lambda: _has_static_cache(backend, requests))


def _tried(feature: Callable[[], str]) -> str:
    try:
        return feature()
    except Exception as error:  # the very question is whether anything goes wrong
        log.debug("a feature failed", exc_info=True)
        return f"no ({(str(error).splitlines() or [type(error).__name__])[0][:120]})"


def _has_static_cache(backend: TransformersBackend, requests: Sequence[Request]) -> str:
    from rsmoe_core.backends.huggingface.backend import TransformersBackend, allows_static_cache

    if not allows_static_cache(backend.base):
        return f"no ({type(backend.base).__name__} does not allow it)"
    own = _first_words(backend, requests, [BASE])
    reserved = TransformersBackend(
        backend.model,
        backend.prompting,
        trained_roles=backend.trained_roles,
        instructions=backend.instructions,
        static_cache=True,
    )
    try:
        return "yes" if _first_words(reserved, requests, [BASE]) == own else "yes, with other texts"
    finally:
        for model in (backend.base, backend.model):  # the other one has changed the model's settings
            model.generation_config = backend._settings


def _mixes_adapters(backend: TransformersBackend, requests: Sequence[Request]) -> str:
    """Gives an untrained base two random adapters for a moment."""
    from rsmoe_core.backends.huggingface.backend import TransformersBackend

    roles = sorted(backend.trained_roles)[:2]
    if roles:
        return _is_mixed(backend, requests, roles)
    from rsmoe_core.model import lora
    from rsmoe_core.model.vlm_parts import language_name, layer_kinds, target_pattern

    roles, language = ["theme", "objects"], language_name(backend.base)
    kinds = layer_kinds(backend.base, language)
    model = lora.add_adapters(backend.base, roles, LoraSettings(rank=2, targets=kinds), target_pattern(language, kinds))
    try:
        import torch

        torch.manual_seed(0)
        for _, parameter in lora.parameters_of(model, roles):
            torch.nn.init.normal_(parameter, std=0.02)
        tried = TransformersBackend(
            model.eval(),
            backend.prompting,
            trained_roles=frozenset(roles),
            instructions=backend.instructions,
        )
        return _is_mixed(tried, requests, roles)
    finally:
        model.unload()


def _is_mixed(backend: TransformersBackend, requests: Sequence[Request], roles: Sequence[str]) -> str:
    alone = [_first_words(backend, requests, [role])[0] for role in roles]
    return "yes" if _first_words(backend, requests, roles) == alone else "yes, with other texts than one by one"


def _first_words(backend: TransformersBackend, requests: Sequence[Request], roles: Sequence[str]) -> list[str]:
    """What each role writes about the first image, all in one batch."""
    encoded = backend.encode(requests[:1])
    turns = [Turn(0, role, "name the objects") for role in roles]
    return [generation.text for generation in backend.generate(encoded, turns, _TOKENS)]
