"""Models by name: where a model's folder is, and what is in it, without loading its weights."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

from rsmoe_core.checkpoint import hub
from rsmoe_core.checkpoint.validation import CONFIG, load_config
from rsmoe_core.checkpoint.weights import ADAPTER_WEIGHTS, ADAPTERS, DETECTORS, EXPERTS, WEIGHTS, shapes_of
from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.roles import all_roles

BUILT_IN = Path(__file__).parents[1] / "models"
"""Folder of the models that ship inside the package, one folder each."""

CARD = "README.md"

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""Names of tensors that are no parameters: running statistics of batch norms."""
_CARD_LINES = 12
"""Most lines of the model card in a summary."""


@dataclass(frozen=True)
class ModelSummary:
    """What is known about a model before it is loaded."""

    name: str
    """As the user gave it."""
    folder: Path
    revision: str
    """Fingerprint of everything that decides its output."""
    size: int
    """Bytes on disk."""
    config: ModelConfig
    parts: dict[str, int]
    """Parameters of image encoder, Q-Former, language model, each role and each detector."""
    card: str
    """The model card up to its first section; empty where there is none."""

    @property
    def parameters(self) -> int:
        """Parameters of all parts together."""
        return sum(self.parts.values())


def built_in_models() -> list[str]:
    """Names of the models that ship inside the package."""
    return sorted(path.parent.name for path in BUILT_IN.glob("*/config.json"))


def find_model(model: str, revision: str | None = None) -> Path:
    """The folder of a built-in model, a folder as it is, or that of a hub id, which is downloaded.

    Raises:
        UsageError: the name is none of these.
        ModelError: the hub does not have it, or cannot be reached.
    """
    if model in built_in_models():
        return BUILT_IN / model
    if Path(model).is_dir():
        return Path(model)
    if Path(model).is_file():
        raise UsageError(f"'{model}' is a file; give the folder of the model")
    if hub.is_hub_id(model):
        return hub.fetch(model, revision)
    known = ", ".join(built_in_models())
    raise UsageError(f"no model '{model}'; give a built-in name ({known}), a model folder, or a hub id (owner/name)")


def fingerprint(folder: Path) -> str:
    """Twelve hexadecimal digits that change whenever a file that decides the model's output changes."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".safetensors") and p.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def summarise(model: str) -> ModelSummary:
    """What is in a model, by built-in name, folder or hub id.

    Raises:
        UsageError: the name is none of these.
        ModelError: the model cannot be downloaded, or is damaged.
    """
    folder = find_model(model)
    config = load_config(folder)
    return ModelSummary(
        name=model,
        folder=folder,
        revision=fingerprint(folder),
        size=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        config=config,
        parts=_parts(folder, all_roles(config.experts)),
        card=_card_head(folder),
    )


def _parts(folder: Path, names: tuple[str, ...]) -> dict[str, int]:
    """Parameters by part, from the headers of the weight files."""
    parts = dict.fromkeys(("vision", "qformer", "language"), 0)
    for key, count in _counts(folder / WEIGHTS).items():
        name = key.split(".")[0]
        if name not in parts:
            raise ModelError(f"{folder / WEIGHTS}: does not fit {CONFIG} (it holds {key}); copy the model folder again")
        parts[name] += count
    for role in names:
        for path in (folder / ADAPTERS / role / ADAPTER_WEIGHTS, folder / EXPERTS / role / WEIGHTS):
            if path.is_file():
                parts[role] = sum(_counts(path).values())
    for path in sorted((folder / DETECTORS).glob("*.safetensors")):
        parts[f"detector {path.stem}"] = sum(_counts(path).values())
    return parts


def _counts(path: Path) -> dict[str, int]:
    """Number of parameters in each tensor of a weight file."""
    return {key: math.prod(shape) for key, shape in shapes_of(path).items() if not key.endswith(_BUFFERS)}


def _card_head(folder: Path) -> str:
    path = folder / CARD
    if not path.is_file():
        return ""
    # The block between lines of dashes is metadata for the hub.
    text = re.sub(r"\A---\n.*?\n---\n", "", path.read_text(encoding="utf-8", errors="replace"), flags=re.DOTALL)
    return "\n".join(text.split("\n## ")[0].strip().splitlines()[:_CARD_LINES])
