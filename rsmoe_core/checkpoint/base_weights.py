"""Vision-language models of transformers as bases of the mixture: found, fetched, and checked before they are loaded.

    hub id or folder ─find_base─▶ BaseWeights(folder, id, revision) ─check_memory─▶ load

Weights are safetensors only and code comes from transformers only: nothing in a base is ever executed. Of a hub id the
settings are fetched first, so that a base that cannot be used is refused before its gigabytes are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rsmoe_core.checkpoint import hub
from rsmoe_core.checkpoint.base_checks import check_base
from rsmoe_core.checkpoint.headers import (
    ITEM_BITS,
    StoredTensor,
    quick_fingerprint,
    stored_tensors,
    weight_files,
)
from rsmoe_core.errors import ModelError, UsageError

QUANTIZED_BITS = {"int8": 8, "8bit": 8, "4bit": 4}
"""Bits of a weight by the name of a quantisation; its scales come on top."""

_SPARE = 0.05
"""Share of the weights that loading takes beside them: buffers and the largest tensor twice."""
SCALES = 1 / 16
"""Memory of the scales of quantised weights, by that of the weights."""
_LANGUAGE_LAYER = re.compile(r"^(?!.*(?:vision|visual|image_|qformer)).*\blayers\.\d+\.")
"""In the names of what is in a layer of the language model."""


@dataclass(frozen=True)
class BaseWeights:
    """A checkpoint of transformers that can be a base; its weights are not loaded."""

    folder: Path
    id: str
    """As the user gave it: a hub id, or a folder."""
    revision: str
    """Commit on the hub; of a local folder the `quick_fingerprint` of its files."""
    config: Mapping[str, Any]
    """Its config.json."""

    @property
    def model_type(self) -> str:
        """Transformers' name of the architecture: `qwen3_vl`."""
        return str(self.config["model_type"])

    @cached_property
    def tensors(self) -> dict[str, StoredTensor]:
        """Every stored tensor by name, from the headers."""
        return stored_tensors(self.folder)

    @property
    def parameters(self) -> int:
        """Numbers in all tensors together."""
        return sum(tensor.numbers for tensor in self.tensors.values())

    def memory(self, dtype: str, quantize: str | None = None) -> int:
        """Bytes of the weights once they are loaded.

        `dtype` is torch's name of the type in which the model computes; `quantize` a name of `QUANTIZED_BITS`, whose
        bits the matrices of the language model's layers then have.
        """
        total = 0.0
        for name, tensor in self.tensors.items():
            if quantize is not None and is_quantized(name, tensor):
                total += tensor.numbers * QUANTIZED_BITS[quantize] / 8 * (1 + SCALES)
            elif tensor.is_real:
                total += tensor.numbers * _item_bytes(dtype)
            else:
                total += tensor.end - tensor.start
        return round(total)


def find_base(name: str, revision: str | None = None) -> BaseWeights:
    """A base by its hub id (`owner/name`, at a branch, tag or commit) or in a local folder.

    What is missing of a hub id is downloaded.

    Raises:
        UsageError: the name is neither.
        ModelError: the hub does not have it or cannot be reached, or it cannot be used as a base; see `base_checks`.
    """
    if Path(name).is_dir():
        if revision is not None:
            raise UsageError(f"'{name}' is a folder, which has no revisions; leave --revision out")
        config = check_base(Path(name), name)
        return _checked_weights(BaseWeights(Path(name), name, revision_of(Path(name)), config))
    if not hub.is_hub_id(name):
        raise UsageError(f"no model '{name}'; give a folder, or the id of a model on the hub (owner/name)")
    settings = hub.fetch(name, revision, hub.SETTINGS)
    config = check_base(settings, name)
    # The same commit, whatever happens to the branch meanwhile.
    folder = hub.fetch(name, hub.commit_of(settings) or revision, hub.WEIGHTS)
    return _checked_weights(BaseWeights(folder, name, revision_of(folder), config))


def check_memory(base: BaseWeights, device: str, dtype: str, quantize: str | None = None) -> None:
    """Refuse to load weights for which there is no room.

    Raises:
        ModelError: the device has less memory free than the weights take.
    """
    from rsmoe_core.devices import available_memory

    needed, free = base.memory(dtype, quantize) * (1 + _SPARE), available_memory(device)
    if free is None or needed <= free:
        return
    advice = ["close other programs, or choose a smaller model"]
    if quantize is None:
        advice.insert(0, "try --quantize int8" if device == "cpu" else "try --quantize 4bit")
        if dtype == "float32":
            advice.insert(0, "try --precision bf16")
    raise ModelError(
        f"'{base.id}' needs {needed / 1e9:.1f} GB of memory in {quantize or dtype}, and {device} has {free / 1e9:.1f} "
        f"GB free; {', '.join(advice)}"
    )


def _checked_weights(base: BaseWeights) -> BaseWeights:
    """The same, once all of its weight files are known to be there in full."""
    if not weight_files(base.folder):
        older = list(base.folder.glob("*.bin")) or hub.is_hub_id(base.id)
        advice = (
            f"turn weights of an older release (.bin) into such files once: rsmoe models import {base.id} -o FOLDER"
            if older
            else "copy them into the folder"
        )
        raise ModelError(f"'{base.id}' has no weights as safetensors; {advice}")
    if not base.tensors:
        raise ModelError(f"'{base.id}': its weight files are empty; copy or download them again")
    return base


def revision_of(folder: Path) -> str:
    """The commit of a folder in the hub's cache, and the fingerprint of any other one."""
    return hub.commit_of(folder) or quick_fingerprint(
        folder, ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
    )


def is_quantized(name: str, tensor: StoredTensor) -> bool:
    """Whether quantisation takes a stored tensor: the matrices of the language model's layers."""
    return tensor.is_real and len(tensor.shape) == 2 and _LANGUAGE_LAYER.match(name) is not None


def _item_bytes(dtype: str) -> float:
    names = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
    return ITEM_BITS[names[dtype]] / 8
