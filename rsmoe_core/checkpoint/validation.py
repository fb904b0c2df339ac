"""Plain values → a configuration, with every fault of them told at once. Free of torch, so that it is cheap.

A configuration decides how much memory a model takes, so each of its numbers has limits, wide ones, that are looked
at before anything is built.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
import typing
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    "beams": (1, 64),
}
"""Smallest and largest number that each setting may be, or hold."""
_LAYERS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
_RESERVED = {"router", "fusion", "base", "pad", "bos", "eos", "sep"}
"""Names of other roles, and of marks in texts."""
_MOST_EXPERTS = 16
_LONGEST = 200
_LONGEST_FILE = 2**20
"""Bytes of a file of settings."""
_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def read_json(content: str) -> Any:
    """JSON as it should be: no key twice, no NaN. Raises ValueError that says where it is not."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if doubled := [key for key, number in Counter(key for key, _ in pairs).items() if number > 1]:
            raise ValueError(f"'{doubled[0]}' is there twice")
        return dict(pairs)

    def refused(name: str) -> None:
        raise ValueError(f"{name} is no number")

    try:
        return json.loads(content, object_pairs_hook=once, parse_constant=refused)
    except RecursionError:
        raise ValueError("lists in lists without end") from None


def read_json_file(path: Path, longest: int = _LONGEST_FILE) -> Any:
    """`read_json` of a file of at most `longest` bytes. Raises ValueError, also where the file cannot be read."""
    try:
        if path.stat().st_size > longest:
            raise ValueError("far too long")
        return read_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(error.strerror) from error


def built(cls: Any, values: Any, where: str, faults: list[str]) -> Any:
    """Build the dataclass `cls` from nested plain values, tuples from lists; adds to the faults, one line each.

    What is built in spite of faults is not to be used.
    """
    if not isinstance(values, dict):
        faults.append(f"{where}: expected an object, found {type(values).__name__}")
        return cls()
    hints = typing.get_type_hints(cls)
    if unknown := sorted(str(key) for key in set(values) - set(hints)):
        faults.append(f"{where}: unknown settings {', '.join(unknown)} (was the model made by a newer rsmoe?)")
    known = {}
    for name in (name for name in values if name in hints):
        place = f"{where}.{name}" if where else name
        if dataclasses.is_dataclass(hints[name]):
            known[name] = built(hints[name], values[name], place, faults)
        else:
            found = list(_faults(name, hints[name], values[name], place))
            faults += found
            if not found:
                known[name] = tuple(values[name]) if isinstance(values[name], list) else values[name]
    return cls(**known)


def _faults(name: str, hint: Any, value: Any, place: str) -> Iterator[str]:
    """What is wrong with the value of one setting."""
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, list | tuple):
            yield f"{place} is no list"
            return
        if len(value) > _LONGEST:
            yield f"{place} is longer than {_LONGEST}"
            return
        for one in value:
            yield from _faults(name, typing.get_args(hint)[0], one, place)
    elif not (type(value) is hint or (hint is float and type(value) is int)):
        yield f"{place} is not {_KINDS[hint]}: {repr(value)[:40]}"
    elif hint is str and not (value.isprintable() and 0 < len(value) <= _LONGEST):
        yield f"{place} is empty, too long or not printable"
    elif name in _LIMITS:
        least, most = _LIMITS[name]
        if not (least <= value <= most and math.isfinite(value)):
            yield f"{place} is {repr(value)[:40]}, not from {least:g} to {most:g}"


def misfits(config: Any) -> Iterator[str]:
    """What does not fit together in a `ModelConfig` whose settings are right by themselves."""
    if config.vision.image_size % 32:
        yield f"vision.image_size is {config.vision.image_size}, which is no multiple of 32"
    for part in ("qformer", "language"):
        size, heads = getattr(config, part).hidden_size, getattr(config, part).heads
        if size % heads or (part == "language" and size // heads % 2):
            yield f"{part}.hidden_size {size} cannot be shared by {heads} heads"
    counting = config.detection
    lengths = {len(counting.classes), len(counting.thresholds), len(counting.slopes), len(counting.log_count_stds)}
    if len(lengths) > 1:
        yield "counting has not as many thresholds, slopes and log_count_stds as classes"
    if len(set(counting.classes)) < len(counting.classes):
        yield "counting.classes names one twice"
    if not config.lora.targets or not set(config.lora.targets) <= _LAYERS:
        yield f"lora.targets are not of: {', '.join(sorted(_LAYERS))}"
    if not 0 < len(config.experts) <= _MOST_EXPERTS or len(set(config.experts)) < len(config.experts):
        yield f"experts are not 1 to {_MOST_EXPERTS} different names"
    for name in config.experts:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name) or name in _RESERVED or "lora" in name:
            yield f"experts: '{name}' is no name for one (small letters, digits and _; not {', '.join(_RESERVED)})"
