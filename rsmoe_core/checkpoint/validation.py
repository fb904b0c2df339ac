"""config.json → ModelConfig, reporting everything that is wrong with it at once. Free of torch at import.

A configuration decides how much memory a model takes, so every number in it has limits, wide ones, which are checked
before anything is built.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.roles import EXPERTS, RESERVED_NAMES
from rsmoe_core.strict_json import read_json_file

CONFIG = "config.json"

_LIMITS: dict[str, tuple[float, float]] = {
    "width": (0.01, 4096),
    "depth": (0.01, 8),
    "image_size": (32, 2048),
    "feature_size": (1, 16_384),
    "queries": (1, 1024),
    "hidden_size": (1, 16_384),
    "layers": (1, 128),
    "heads": (1, 256),
    "intermediate_size": (1, 131_072),
    "cross_attention_every": (1, 128),
    "vocab_size": (1, 1_000_000),
    "max_length": (1, 32_768),
    "dropout": (0, 0.99),
    "rank": (1, 4096),
    "alpha": (1, 65_536),
    "thresholds": (0, 1),
    "slopes": (0, 1000),
    "log_count_stds": (0, 1000),
    "prompt_tokens": (1, 8192),
    "draft_tokens": (1, 8192),
    "caption_tokens": (1, 8192),
    "format": (1, 1_000_000),
}
"""Smallest and largest value of each numeric setting, or of each entry of a list of numbers."""
_MAY_BE_EMPTY = {"pretrained", "preset", "stage", "revision"}
_LORA_TARGETS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
_MAX_EXPERTS = 16
_PIPELINE = "model_index.json"
"""What a folder of diffusers has instead of a configuration."""
_MAX_LENGTH = 200
"""Characters of a text, entries of a list or an object."""
_MAX_DEPTH = 3
"""Objects and lists inside each other in free-form settings."""
_TYPE_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def load_config(folder: Path) -> ModelConfig:
    """Read `config.json` of a folder.

    Raises:
        ModelError: the folder is no model folder, has links that lead out of it, or its configuration is damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        if (folder / _PIPELINE).is_file():
            raise ModelError(f"{folder}: a pipeline of diffusers, which makes images; choose a vision-language model")
        raise ModelError(
            f"{folder}: not a model folder ({CONFIG} is missing); name one that rsmoe wrote, or a vision-language "
            "model of transformers"
        )
    refuse_links(folder)
    try:
        return parse_config(read_json_file(path))
    except ValueError as error:
        raise ModelError(f"{path}: damaged ({error}); copy the model folder again") from error
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from None


def parse_config(values: Any) -> ModelConfig:
    """The configuration of nested plain values, the inverse of `ModelConfig.to_dict`.

    Raises:
        ModelError: settings are unknown, wrong, too large or inconsistent; the message names all of them.
    """
    config, faults = parse_settings(ModelConfig, values)
    if faults := faults or list(_inconsistencies(config)):
        raise ModelError(f"config.json: {'; '.join(faults)}; export the model again")
    return config


def parse_settings(cls: Any, values: Any) -> tuple[Any, list[str]]:
    """The dataclass `cls` of nested plain values, and what is wrong with them; it must not be used if anything is."""
    faults: list[str] = []
    return _build(cls, values, "", faults), faults


def _build(cls: Any, values: Any, where: str, faults: list[str]) -> Any:
    """Build the dataclass `cls` from nested plain values; lists become tuples.

    What is wrong is appended to `faults`, one line each; the result must not be used if there are any. `where` is the
    path of `cls` in the whole configuration.
    """
    if not isinstance(values, dict):
        faults.append(f"{where}: expected an object, found {type(values).__name__}")
        return cls()
    hints = typing.get_type_hints(cls)
    if unknown := sorted(str(key) for key in set(values) - set(hints)):
        faults.append(f"{where}: unknown settings {', '.join(unknown)} (was the model made by a newer rsmoe?)")
    settings = {}
    for name in (name for name in values if name in hints):
        path = f"{where}.{name}" if where else name
        if dataclasses.is_dataclass(hints[name]):
            settings[name] = _build(hints[name], values[name], path, faults)
        else:
            found = list(_setting_faults(name, hints[name], values[name], path))
            faults += found
            if not found:
                settings[name] = tuple(values[name]) if isinstance(values[name], list) else values[name]
    return cls(**settings)


def _setting_faults(name: str, hint: Any, value: Any, path: str) -> Iterator[str]:
    """What is wrong with the value of one setting."""
    if typing.get_origin(hint) is Mapping:
        if not (isinstance(value, dict) and _is_plain(value, _MAX_DEPTH)):
            yield f"{path} is not an object of plain values"
    elif isinstance(hint, types.GenericAlias):
        if not isinstance(value, list | tuple):
            yield f"{path} is no list"
            return
        if len(value) > _MAX_LENGTH:
            yield f"{path} is longer than {_MAX_LENGTH}"
            return
        for item in value:
            yield from _setting_faults(name, typing.get_args(hint)[0], item, path)
    elif not (type(value) is hint or (hint is float and type(value) is int)):
        yield f"{path} is not {_TYPE_NAMES[hint]}: {repr(value)[:40]}"
    elif hint is str and not (value.isprintable() and (value or name in _MAY_BE_EMPTY) and len(value) <= _MAX_LENGTH):
        yield f"{path} is empty, too long or not printable"
    elif name in _LIMITS:
        smallest, largest = _LIMITS[name]
        if not (smallest <= value <= largest and math.isfinite(value)):
            yield f"{path} is {repr(value)[:40]}, not from {smallest:g} to {largest:g}"


def _is_plain(value: Any, depth: int) -> bool:
    """Whether a free-form value is a finite number, a printable text, a truth value, null, or a few of them."""
    if isinstance(value, dict):
        keys_are_plain = all(isinstance(key, str) and _is_plain(key, 0) for key in value)
        return depth > 0 and keys_are_plain and _is_plain(list(value.values()), depth)
    if isinstance(value, list | tuple):
        return depth > 0 and len(value) <= _MAX_LENGTH and all(_is_plain(item, depth - 1) for item in value)
    if isinstance(value, str):
        return value.isprintable() and len(value) <= _MAX_LENGTH
    return value is None or (isinstance(value, int | float) and math.isfinite(value))


def _inconsistencies(config: ModelConfig) -> Iterator[str]:
    """What does not fit together in a configuration whose settings are each right by themselves."""
    yield from _vision_faults(config)
    for part in ("qformer", "language"):
        size, heads = getattr(config, part).hidden_size, getattr(config, part).heads
        if size % heads or (part == "language" and size // heads % 2):
            yield f"{part}.hidden_size {size} cannot be shared by {heads} heads"
    detection = config.detection
    lengths = {len(detection.classes), len(detection.thresholds), len(detection.slopes), len(detection.log_count_stds)}
    if len(lengths) > 1:
        yield "detection has not as many thresholds, slopes and log_count_stds as classes"
    if len(set(detection.classes)) < len(detection.classes):
        yield "detection.classes names one twice"
    if not config.lora.targets or not set(config.lora.targets) <= _LORA_TARGETS:
        yield f"lora.targets are not of: {', '.join(sorted(_LORA_TARGETS))}"
    yield from expert_faults(config.experts)


def _vision_faults(config: ModelConfig) -> Iterator[str]:
    from rsmoe_core.model.vision.base import find_encoder  # imports torch, which reading a configuration does not need

    try:
        faults = find_encoder(config.vision).check(config.vision)
    except ModelError as error:
        yield f"vision.encoder: {error}"
    else:
        yield from (f"vision.{fault}" for fault in faults)


def expert_faults(experts: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with the experts of a model."""
    if not 0 < len(experts) <= _MAX_EXPERTS or len(set(experts)) < len(experts):
        yield f"experts are not 1 to {_MAX_EXPERTS} different names"
    reserved = ", ".join(sorted(RESERVED_NAMES))
    for name in experts:
        # Names of experts are also names of folders and of parts of weights' names.
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name) or name in RESERVED_NAMES or "lora" in name:
            yield f"experts: '{name}' is not a valid name (small letters, digits and _; not {reserved})"
        elif name not in EXPERTS:
            yield (
                f"experts: no expert '{name}' is registered; choose from: {', '.join(EXPERTS)};"
                " or register it first (rsmoe_core.roles.register_expert)"
            )


def refuse_links(folder: Path) -> None:
    """Refuse a folder with anything that is a link out of it, or no ordinary file.

    Raises:
        ModelError: it has one.
    """
    home = folder.resolve()
    # The hub's cache keeps a model's files beside its snapshots, which hold links to them.
    homes = (home, home.parent.parent / "blobs") if home.parent.name == "snapshots" else (home,)
    for path in folder.rglob("*"):
        real = path.resolve()
        if not any(real.is_relative_to(own) for own in homes):
            raise ModelError(f"{path}: is a link out of the model folder; copy the files themselves")
        if not (real.is_file() or real.is_dir()):
            raise ModelError(f"{path}: is no ordinary file; remove it")
