"""A model by name, folder or hub id → the engine that runs it: which backend belongs to what is found there."""

from __future__ import annotations

from pathlib import Path

import torch

from rsmoe_core.checkpoint.catalogue import find_model, fingerprint
from rsmoe_core.checkpoint.load import load_for_inference
from rsmoe_core.devices import find_device, uses_bf16
from rsmoe_core.engine import Engine
from rsmoe_core.errors import ModelError
from rsmoe_core.inference.batching import one_core
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.model.language.native import NativeBackend
from rsmoe_core.model.rsmoe import RSMoE


def load(
    model: str | Path = "nano", *, device: str = "auto", precision: str = "fp32", revision: str | None = None
) -> Engine:
    """Load a model by built-in name, from a folder, or from the Hugging Face hub by id (`owner/name`).

    `device` is `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` ...; `precision` is `fp32`, `bf16`, which
    changes some words, or `auto`, which measures what is faster; `revision` a branch, tag or commit of a hub model.

    Raises:
        UsageError: there is no such model, device or precision.
        ModelError: the folder is damaged, or holds a stage-1 model.
    """
    folder = find_model(str(model), revision)
    weights_revision = fingerprint(folder)
    where = find_device(device)
    dtype = torch.bfloat16 if uses_bf16(precision, where) else torch.float32
    with one_core():
        loaded = load_for_inference(folder, where, dtype)
    if not loaded.has_experts:
        raise ModelError(f"{folder} holds a stage-1 model, which has no experts; train stage 2 from it first")
    return native_engine(loaded, str(model), weights_revision, where)


def native_engine(model: RSMoE, name: str = "", revision: str = "", device: str = "cpu") -> Engine:
    """The engine of a native model with experts, in the form that `checkpoint.inference` gives it."""
    backend = NativeBackend(model, name, revision, device)
    detectors = Detectors(model.detectors, model.config.detection, device)
    return Engine(backend, detectors, model.config.experts, model.config.decoding)
