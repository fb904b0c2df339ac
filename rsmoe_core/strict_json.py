"""JSON files from strangers, parsed strictly. Free of torch."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

_MAX_FILE_SIZE = 2**20
"""Bytes of a file of settings."""


def read_json(content: str) -> Any:
    """Parse JSON, strictly.

    Raises:
        ValueError: the content is not JSON, has a key twice in one object, holds NaN or an infinite number, or nests
            too deeply.
    """

    def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if doubled := [key for key, number in Counter(key for key, _ in pairs).items() if number > 1]:
            raise ValueError(f"'{doubled[0]}' is there twice")
        return dict(pairs)

    def refuse_constant(name: str) -> None:
        raise ValueError(f"{name} is no number")

    try:
        return json.loads(content, object_pairs_hook=unique_keys, parse_constant=refuse_constant)
    except RecursionError:
        raise ValueError("lists in lists without end") from None


def read_json_file(path: Path, max_size: int = _MAX_FILE_SIZE) -> Any:
    """Parse a JSON file as `read_json` does.

    Raises:
        ValueError: the file cannot be read, is larger than `max_size` bytes or is not strict JSON.
    """
    try:
        if path.stat().st_size > max_size:
            raise ValueError("far too long")
        return read_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(error.strerror) from error
