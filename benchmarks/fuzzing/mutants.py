"""Seeds → mutants: bytes and values are changed at random, but reproducibly for a given random generator."""

from __future__ import annotations

import os
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

_EDGES = (0, 1, 2, 3, 7, 8, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
"""Numbers on which programs tend to fail."""
_WORDS = (b"0", b"-1", b"1e308", b"nan", b"inf", b"99999999999", b"", b"../x", b"/etc/passwd", b"/vsizip/x", b"Byte")
_NAMES = (
    *("a\nb", "\x1b[31mred", "\udcff\udcfe", "x" * 200, ".hidden", "__MACOSX", "...", " ", "-rf", "=1+1", "a:b", "%20"),
    *(
        "train",
        "Test",
        "images",
        "road",
        "ROAD",
        "\u202egnp",
        "Straße",
        "🌲",
        "'\"",
        "a.png",
        "CON",
        "1",
        "_",
        "Thumbs.db",
    ),
)
"""Names of files and folders."""
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**400, float("nan"), float("inf"), "", " ", "x" * 5000, "../../etc/passwd"),
    *("/etc/passwd", "\x1b[31mred\x1b[0m", "a\x00b", "\ud800", [], {}, [[]], [None], {"": {}}, [1, "a"], "image"),
)


def mutant(seed: bytes, random: random.Random) -> bytes:
    """The seed after one or two random changes."""
    content = seed
    for _ in range(random.choice((1, 1, 2))):
        content = random.choice(_CHANGES)(content, random)
    return content


def value_mutant(value: Any, random: random.Random) -> Any:
    """A JSON value with one or two random parts replaced."""
    for _ in range(random.choice((1, 1, 2))):
        value = _replaced(value, random.choice(list(_paths(value))), random)
    return value


def rename(folder: Path, random: random.Random) -> None:
    """Give folders and files names that programs do not expect, and replace some by links, folders and pipes."""
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        if random.random() < 0.15:
            name = random.choice(_NAMES) + (path.suffix if path.is_file() else "")
            if not (path.parent / name).exists():
                path = path.rename(path.parent / name)
        if random.random() < 0.05 and path.is_file():
            path.unlink()
            random.choice(
                (
                    lambda path: path.symlink_to(random.choice(("/etc/passwd", path.name, "..", "nowhere"))),
                    lambda path: path.mkdir(),
                    lambda path: os.mkfifo(path),
                )
            )(path)


def _flips(content: bytes, random: random.Random) -> bytes:
    """A few bytes replaced, more often at the start."""
    changed = bytearray(content)
    end = random.choice((min(512, len(changed)), len(changed)))
    for _ in range(random.choice((1, 2, 4, 16)) if changed else 0):
        changed[random.randrange(end)] = random.choice((0, 255, random.randrange(256)))
    return bytes(changed)


def _cut(content: bytes, random: random.Random) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def _spliced(content: bytes, random: random.Random) -> bytes:
    """A piece copied to another position, overwriting or inserted."""
    if not content:
        return content
    start, position = random.randrange(len(content)), random.randrange(len(content))
    piece = content[start : start + random.choice((2, 8, 64, 1024))]
    return content[:position] + piece + content[position + random.choice((0, len(piece))) :]


def _other_words(content: bytes, random: random.Random) -> bytes:
    """Another word or number in a text file; other files get some bytes replaced."""
    found = list(re.finditer(rb"(?<=[>\"])[^<>\"]+(?=[<\"])", content[:100_000]))
    if not found:
        return _flips(content, random)
    word = random.choice(found)
    return content[: word.start()] + random.choice(_WORDS) + content[word.end() :]


def _other_tags(content: bytes, random: random.Random) -> bytes:
    """A TIFF with another type, length or value of one of the tags of its first directory."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    try:
        version = struct.unpack_from(f"{order}H", content, 2)[0]
        if order is None or version not in (42, 43):
            return _flips(content, random)
        big = version == 43
        offset = struct.unpack_from(f"{order}{'Q' if big else 'I'}", content, 8 if big else 4)[0]
        count = struct.unpack_from(f"{order}{'Q' if big else 'H'}", content, offset)[0]
        entry = offset + (8 if big else 2) + random.randrange(max(1, count)) * (20 if big else 12)
        offset_in_entry, code = random.choice(
            ((2, "H"), (4, "Q" if big else "I"), (12 if big else 8, "Q" if big else "I"))
        )
        limit = 2 ** (8 * struct.calcsize(f"<{code}"))
        changed = bytearray(content)
        struct.pack_into(f"{order}{code}", changed, entry + offset_in_entry, random.choice(_EDGES) % limit)
        return bytes(changed)
    except struct.error:
        return _flips(content, random)


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flips, _flips, _cut, _spliced, _other_words),
    *(_other_tags, _other_tags, _other_tags),
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _paths(value[key], (*path, key))
    elif isinstance(value, list):
        for number in range(len(value)):
            yield from _paths(value[number], (*path, number))


def _replaced(value: Any, path: tuple[Any, ...], random: random.Random) -> Any:
    if not path:
        return random.choice((*_VALUES, [value], {"a": value}))
    changed = dict(value) if isinstance(value, dict) else list(value)
    if isinstance(changed, dict) and len(path) == 1 and random.random() < 0.3:
        del changed[path[0]]
        return changed
    changed[path[0]] = _replaced(value[path[0]], path[1:], random)
    return changed
