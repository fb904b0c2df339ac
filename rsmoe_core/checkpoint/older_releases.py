"""Checkpoints of older releases, pickled in `.bin` shards, → safetensors; done once, by `rsmoe models import`.

    pytorch_model-*.bin, mm_projector.bin ─read_pickle─▶ tensors ─ShardWriter─▶ model-*.safetensors

A pickle can run any code when it is opened. These are opened with `weights_only=True`, which builds tensors and refuses
everything else. Tensors are mapped into memory from the file and written in shards of a gigabyte, so that a release of
any size takes no more than about two.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rsmoe_core.checkpoint.base_checks import CONFIG, json_object
from rsmoe_core.checkpoint.headers import INDEX, SINGLE, read_weight_map
from rsmoe_core.checkpoint.llava import LlavaRelease
from rsmoe_core.checkpoint.weights import write_weights
from rsmoe_core.errors import ModelError
from rsmoe_core.progress import Progress, no_progress

BIN_INDEX = "pytorch_model.bin.index.json"
SHARD_BYTES = 2**30
"""Most bytes of a written shard, but for a tensor that is larger."""
_SETTINGS = ("*.json", "*.model", "*.txt", "*.jinja")
_PROJECTOR = "mm_projector.bin"
_SPARE_BYTES = 2**26


@dataclass(frozen=True)
class Imported:
    """What an import has written."""

    layout: str
    """`llava`: converted to the names of transformers' LlavaForConditionalGeneration; `plain`: as it was."""
    files: int
    """Pickled files that were read."""
    tensors: int
    bytes: int
    """Of the weights."""
    notes: tuple[str, ...]
    """What the user should know, a line each."""


def import_release(source: Path, target: Path, tower: str | None = None, progress: Progress = no_progress) -> Imported:
    """Write the checkpoint in the folder `source` to the empty folder `target` as safetensors.

    Releases in the layout of LLaVA become models of transformers; `tower` is the hub id or folder of their image
    encoder, by default the one that they name. After an error the contents of `target` are of no use.

    Raises:
        ModelError: there are no such weights, a file is damaged or holds more than tensors, a part is missing, or the
            disk is too small.
    """
    files = pickled_files(source)
    _check_space(files, target)
    config = json_object(source / CONFIG) if (source / CONFIG).is_file() else {}
    notes: list[str] = []
    llava = LlavaRelease.find(source, config, tower, notes)
    writer = ShardWriter(target)
    with progress(len(files), "file", "import") as advance:
        for path in files:
            for name, tensor in read_pickle(path).items():
                own = llava.converted(name, tensor) if llava is not None else (name, tensor)
                if own is not None:
                    writer.add(*own)
            advance(1)
    if llava is not None:
        for name, tensor in llava.missing_tower(writer.names, read_pickle):
            writer.add(name, tensor)
        llava.check(writer.shapes)
    size = writer.close()
    if llava is not None:
        llava.write_settings(target)
    else:
        _copy_settings(source, target)
    return Imported("llava" if llava else "plain", len(files), len(writer.names), size, tuple(notes))


def pickled_files(folder: Path) -> list[Path]:
    """The pickled weight files of a release; what a projector of its own has comes first.

    Raises:
        ModelError: there are none, or one is missing.
    """
    projector = [folder / _PROJECTOR] if (folder / _PROJECTOR).is_file() else []
    if (folder / BIN_INDEX).is_file():
        names = sorted(set(read_weight_map(folder / BIN_INDEX).values()))
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise ModelError(f"{folder}: {len(missing)} of {len(names)} files are missing ({missing[0]}); fetch them")
        return projector + [folder / name for name in names]
    shards = sorted(folder.glob("pytorch_model*.bin"))
    if not shards and list(folder.glob("*.safetensors")):
        raise ModelError(f"{folder}: has its weights as safetensors already; there is nothing to import")
    if not shards:
        raise ModelError(f"{folder}: has no pytorch_model*.bin; give the folder or hub id of a release that has")
    return projector + shards


def read_pickle(path: Path) -> dict[str, Tensor]:
    """The tensors of a pickled file by name, still on the disk where its format allows that.

    Raises:
        ModelError: it holds anything but tensors, which is never opened, or is damaged.
    """
    try:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # files from before torch 1.6 cannot be mapped
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: holds more than tensors, or is damaged; such a file can run code, so it is not opened"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: damaged ({reason[:100]}); copy or download it again") from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path}: is no set of named tensors; give a release's pytorch_model*.bin")
    return state


class ShardWriter:
    """Collects tensors, and writes them in shards with the list of what is in which."""

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.shard_bytes = folder, shard_bytes
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._shards: list[list[str]] = []
        self._waiting: dict[str, Tensor] = {}
        self._bytes = self._waiting_bytes = 0

    @property
    def names(self) -> frozenset[str]:
        """What was added."""
        return frozenset(self.shapes)

    def add(self, name: str, tensor: Tensor) -> None:
        """One more tensor; of several with a name the first one stays."""
        if name in self.shapes:
            return
        size = tensor.numel() * tensor.element_size()
        if self._waiting and self._waiting_bytes + size > self.shard_bytes:
            self._write()
        # A copy: tensors of a pickle may share memory, and keep their whole file open.
        self._waiting[name] = tensor.detach().clone(memory_format=torch.contiguous_format)
        self._waiting_bytes += size
        self._bytes += size
        self.shapes[name] = tuple(tensor.shape)

    def close(self) -> int:
        """Write the rest; returns the bytes of all tensors."""
        if self._waiting:
            self._write()
        count = len(self._shards)
        if count == 1:
            self._temporary(0).rename(self.folder / SINGLE)
            return self._bytes
        weight_map: dict[str, str] = {}
        for number, names in enumerate(self._shards):
            file = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
            self._temporary(number).rename(self.folder / file)
            weight_map |= dict.fromkeys(names, file)
        index = {"metadata": {"total_size": self._bytes}, "weight_map": dict(sorted(weight_map.items()))}
        (self.folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        return self._bytes

    def _write(self) -> None:
        write_weights(self._waiting, self._temporary(len(self._shards)), {"format": "pt"})
        self._shards.append(list(self._waiting))
        self._waiting, self._waiting_bytes = {}, 0

    def _temporary(self, number: int) -> Path:
        return self.folder / f"unfinished-{number:05d}.safetensors"


def _check_space(files: list[Path], target: Path) -> None:
    needed = sum(path.stat().st_size for path in files) + _SPARE_BYTES
    free = shutil.disk_usage(target).free
    if needed > free:
        raise ModelError(
            f"{target.parent}: has {free / 1e9:.1f} GB free, and the import needs {needed / 1e9:.1f} GB; choose "
            "another disk"
        )


def _copy_settings(source: Path, target: Path) -> None:
    for path in _setting_files(source):
        shutil.copyfile(path, target / path.name)


def _setting_files(source: Path) -> Iterator[Path]:
    for pattern in _SETTINGS:
        yield from (path for path in sorted(source.glob(pattern)) if path.name != BIN_INDEX)
