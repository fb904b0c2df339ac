"""A model by name, folder, hub id or server → the engine that runs it.

built-in name, folder, hub id ─load─▶  native model              ─▶ NativeBackend       ─▶ Engine
                                       base of transformers      ─▶ TransformersBackend
                                       mixture trained on a base ─▶ TransformersBackend with its adapters
URL of a server ─connect─▶             what the server has       ─▶ EndpointBackend
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rsmoe_core.backends.instructions import BRIEF_WORDS, FULL_WORDS, Instructions
from rsmoe_core.backends.native import NativeBackend
from rsmoe_core.checkpoint import hub
from rsmoe_core.checkpoint.base_weights import BaseWeights, check_memory, find_base
from rsmoe_core.checkpoint.catalogue import find_model, fingerprint
from rsmoe_core.checkpoint.load import load_for_inference
from rsmoe_core.checkpoint.mixture import find_base_of, is_mixture, read_mixture
from rsmoe_core.checkpoint.validation import CONFIG
from rsmoe_core.checkpoint.weights import ADAPTER_SETTINGS
from rsmoe_core.config import CaptionOptions, DecodingConfig
from rsmoe_core.devices import find_device, uses_bf16
from rsmoe_core.engine import Engine
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.inference.batching import one_core
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import DEFAULT_EXPERTS
from rsmoe_core.strict_json import read_json_file

if TYPE_CHECKING:
    from rsmoe_core.checkpoint.mixture import Mixture

_LIMITS = DecodingConfig(prompt_tokens=128, draft_tokens=64, caption_tokens=256)
"""For models that reply in their own words; the forms of their replies have limits of their own."""


def load(
    model: str | Path = "nano",
    *,
    device: str = "auto",
    precision: str = "fp32",
    revision: str | None = None,
    quantize: str | None = None,
    options: CaptionOptions | None = None,
) -> Engine:
    """Load a model by built-in name, from a folder, or from the Hugging Face hub by id (`owner/name`).

    A folder or hub id holds a native model, a vision-language model of transformers, or what was trained on one.
    `device` is `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` ...; `precision` is `fp32`, `bf16`, which
    changes some words, or `auto`, which measures what is faster; `revision` a branch, tag or commit of a hub model;
    `quantize` is `int8` on a processor, `8bit` or `4bit` on a GPU; `options` say how captions are made.

    Raises:
        UsageError: there is no such model, device or precision, or the options do not fit the model.
        ModelError: the model is damaged or does not fit into memory, or it is a stage-1 model without experts.
    """
    name, chosen = str(model), options or CaptionOptions()
    where = find_device(device)
    dtype = torch.bfloat16 if uses_bf16(precision, where) else torch.float32
    folder = find_folder(name, revision)
    if is_mixture(folder):
        return _mixture_engine(folder, name, revision, where, dtype, quantize, chosen)
    if _is_transformers(folder):
        return _base_engine(find_base(name, revision), where, dtype, quantize, chosen)
    if quantize is not None:
        raise UsageError(f"{name} is a native model, which is not quantised; leave --quantize out")
    folder = find_model(name, revision)
    with one_core():
        loaded = load_for_inference(folder, where, dtype)
    if not loaded.has_experts:
        raise ModelError(f"{folder} holds a stage-1 model, which has no experts; train stage 2 from it first")
    return native_engine(loaded, name, fingerprint(folder), where, chosen)


def find_folder(name: str, revision: str | None = None) -> Path:
    """The folder of a model; of a hub id, all but its weights is fetched.

    Raises:
        UsageError: the name is neither a built-in one, nor a folder, nor a hub id, or a folder is to have a revision.
        ModelError: the hub does not have it, or cannot be reached.
    """
    if revision is not None and Path(name).is_dir():
        raise UsageError(f"'{name}' is a folder, which has no revisions; leave --revision out")
    if not Path(name).exists() and hub.is_hub_id(name):
        return hub.fetch(name, revision, hub.SETTINGS)
    return find_model(name, revision)


def is_native(name: str, revision: str | None = None) -> bool:
    """Whether a model knows only the words that it was trained on; raises what `find_folder` does."""
    folder = find_folder(name, revision)
    return not is_mixture(folder) and not _is_transformers(folder)


def _is_transformers(folder: Path) -> bool:
    """Whether a folder holds a checkpoint or an adapter of transformers, complete or not."""
    config = folder / CONFIG
    if not config.is_file():
        return (folder / ADAPTER_SETTINGS).is_file()
    try:
        values = read_json_file(config)
    except ValueError:
        return False
    return isinstance(values, dict) and not {"model_type", "architectures", "auto_map"}.isdisjoint(values)


def native_engine(
    model: RSMoE, name: str = "", revision: str = "", device: str = "cpu", options: CaptionOptions | None = None
) -> Engine:
    """The engine of a native model with experts, in the form that `checkpoint.load` gives it."""
    backend = NativeBackend(model, name, revision, device)
    detectors = Detectors(model.detectors, model.config.detection, device)
    return Engine(backend, detectors, model.config.experts, model.config.decoding, options)


def connect(
    endpoint: str,
    model: str,
    served_roles: Mapping[str, str] | None = None,
    *,
    concurrency: int = 8,
    options: CaptionOptions | None = None,
) -> Engine:
    """The engine of a model behind an OpenAI-compatible server; see `endpoint.connect` for the errors."""
    from rsmoe_core.backends.endpoint import backend as server

    chosen = options or CaptionOptions()
    told = instructions_for(DEFAULT_EXPERTS, chosen)
    backend = server.connect(endpoint, model, told, served_roles=served_roles, concurrency=concurrency)
    return Engine(backend, experts=DEFAULT_EXPERTS, limits=_LIMITS, options=chosen)


def _base_engine(
    base: BaseWeights, device: str, dtype: torch.dtype, quantize: str | None, options: CaptionOptions
) -> Engine:
    """A base without anything trained: its roles are instructions."""
    return _transformers_engine(base, base.id, base.revision, None, device, dtype, quantize, options)


def _mixture_engine(
    folder: Path,
    name: str,
    revision: str | None,
    device: str,
    dtype: torch.dtype,
    quantize: str | None,
    options: CaptionOptions,
) -> Engine:
    mixture = read_mixture(hub.fetch(name, revision) if hub.is_hub_id(name) and not Path(name).is_dir() else folder)
    base = find_base_of(mixture)
    label = f"{fingerprint(mixture.folder)} on {base.revision}"
    return _transformers_engine(base, name, label, mixture, device, dtype, quantize, options)


def _transformers_engine(
    base: BaseWeights,
    name: str,
    revision: str,
    mixture: Mixture | None,
    device: str,
    dtype: torch.dtype,
    quantize: str | None,
    options: CaptionOptions,
) -> Engine:
    from rsmoe_core.backends.huggingface.backend import load_transformers

    quantization = None
    if quantize is not None:
        from rsmoe_core.backends.huggingface.quantization import quantization_config

        quantization = quantization_config(quantize, device, dtype)
        revision = f"{revision} in {quantize}"
    check_memory(base, device, str(dtype).removeprefix("torch."), quantize)
    experts = mixture.config.experts if mixture is not None else DEFAULT_EXPERTS
    backend = load_transformers(
        base.folder,
        device=device,
        dtype=dtype,
        name=name,
        revision=revision,
        mixture=mixture,
        instructions=instructions_for(experts, options),
        quantization=quantization,
    )
    limits = mixture.config.decoding if mixture is not None else _LIMITS
    return Engine(backend, experts=experts, limits=limits, options=options)


def instructions_for(experts: tuple[str, ...], options: CaptionOptions) -> Instructions:
    """What a model that follows instructions is told in each role."""
    is_full = options.detail == "full"
    return Instructions(experts, options.words or (FULL_WORDS if is_full else BRIEF_WORDS), sentences=is_full)
