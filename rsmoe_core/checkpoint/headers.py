"""What is in the weight files of a checkpoint of any size, from the headers of its safetensors. Free of torch.

    8 bytes: length of the header │ header: JSON, name → dtype, shape, place │ data of all tensors

The header says where the data end, so a truncated file is found without reading it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsmoe_core.errors import ModelError
from rsmoe_core.strict_json import read_json_file

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
"""The weights in one file, or the list of the files that they are in; transformers' names."""
ITEM_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), 8),
    "F4": 4,
}
"""Bits of a number, by safetensors' name of its type."""
_MAX_HEADER = 100_000_000
"""Bytes of a header; safetensors' own limit."""
_MAX_INDEX = 2**26
_WHOLE = 2**20
"""Bytes up to which a file is read whole for its fingerprint."""
_BLOCK = 4096
"""Bytes that are read of each tensor for its fingerprint."""
_LFS = b"version https://git-lfs"
_REMEDY = "copy or download it again"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a weight file."""

    dtype: str
    """Safetensors' name: `BF16`."""
    shape: tuple[int, ...]
    start: int
    """Bytes from the start of the file."""
    end: int

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def is_real(self) -> bool:
        """Whether its numbers are real ones, which can be converted to the type in which a model computes."""
        return self.dtype in ("F64", "F32", "F16", "BF16")


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Every tensor of a weight file by name.

    Raises:
        ModelError: the file is missing, truncated or no safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            if (start + file.read(len(_LFS) - 8)) == _LFS:
                raise ModelError(f"{path}: only a pointer of Git LFS; run 'git lfs pull' in its folder")
            length = int.from_bytes(start, "little")
            if len(start) < 8 or not 2 <= length <= min(size - 8, _MAX_HEADER):
                raise ModelError(f"{path}: damaged or no safetensors file; {_REMEDY}")
            file.seek(8)
            header = json.loads(file.read(length))
        tensors = {name: _tensor(entry, 8 + length) for name, entry in header.items() if name != "__metadata__"}
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path}: damaged header; {_REMEDY}") from error
    end = max((tensor.end for tensor in tensors.values()), default=8 + length)
    if end != size:
        what = f"truncated ({size:,} of {end:,} bytes)" if size < end else f"{size - end:,} bytes too long"
        raise ModelError(f"{path}: {what}; {_REMEDY}")
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's weights, in transformers' order of preference; empty if there are none.

    Raises:
        ModelError: one of them is missing, or their list is damaged.
    """
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    index = folder / INDEX
    if not index.is_file():
        return []
    names = sorted(set(read_weight_map(index).values()))
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise ModelError(f"{folder}: {len(missing)} of {len(names)} weight files are missing ({missing[0]}); {_REMEDY}")
    return [folder / name for name in names]


def read_weight_map(index: Path) -> dict[str, str]:
    """Name of each tensor → name of the file that holds it, from the list of a checkpoint in several files.

    Raises:
        ModelError: the list is damaged.
    """
    try:
        names = read_json_file(index, _MAX_INDEX)["weight_map"]
        if not all(isinstance(name, str) and Path(name).name == name for name in names.values()):
            raise ValueError("file names that are none")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{index}: damaged; {_REMEDY}") from error
    return dict(names)


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a checkpoint by name.

    Raises:
        ModelError: a weight file is missing or damaged.
    """
    return {name: tensor for path in weight_files(folder) for name, tensor in read_header(path).items()}


def quick_fingerprint(folder: Path, patterns: Iterable[str]) -> str:
    """Twelve hexadecimal digits for the files that match; seconds for a checkpoint of any size.

    Small files count whole. Of weight files count the length, the header and one block of 4096 bytes from the middle of
    every tensor: training changes all numbers of a tensor, so a fine-tuned copy differs, while a change of single bytes
    between the blocks stays unseen.

    Raises:
        ModelError: a weight file is damaged.
    """
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()}):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue
        size = path.stat().st_size
        digest.update(f"{name.as_posix()}\0{size}\0".encode())
        if path.suffix == ".safetensors" and size > _WHOLE:
            _add_samples(digest, path)
        else:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _add_samples(digest: Any, path: Path) -> None:
    tensors = sorted(read_header(path).values(), key=lambda tensor: tensor.start)
    with path.open("rb") as file:
        digest.update(file.read(min((tensor.start for tensor in tensors), default=0)))
        for tensor in tensors:
            file.seek(max(tensor.start, (tensor.start + tensor.end - _BLOCK) // 2))
            digest.update(file.read(min(_BLOCK, tensor.end - tensor.start)))


def _tensor(entry: dict[str, Any], data: int) -> StoredTensor:
    start, end = (int(offset) + data for offset in entry["data_offsets"])
    tensor = StoredTensor(str(entry["dtype"]), tuple(int(size) for size in entry["shape"]), start, end)
    bits = ITEM_BITS.get(tensor.dtype)
    if not 0 <= data <= start <= end or any(size < 0 for size in tensor.shape):
        raise ValueError("offsets")
    if bits is not None and tensor.numbers * bits != (end - start) * 8:
        raise ValueError("sizes")
    return tensor
