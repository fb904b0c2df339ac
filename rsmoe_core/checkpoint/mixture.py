"""Folders of mixtures on a base: what was trained, and a reference to the base, which is never copied.

    mixture.json            MixtureConfig: the base by hub id or folder and revision, experts, limits of tokens
    adapters/<role>/        peft's own format; `stage1` is that of the language model without experts. The others began
                            as copies of it, so each stands alone: peft and vLLM load any of them on the base
    connector.safetensors   all weights of the connector (Q-Former, projection), where it was trained

    folder ─read_mixture─▶ Mixture, checked but for the base ─apply_mixture(base)─▶ PeftModel with an adapter for a role

As with native models, peft itself reads nothing of a folder.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rsmoe_core.checkpoint import hub
from rsmoe_core.checkpoint.base_weights import BaseWeights, find_base
from rsmoe_core.checkpoint.validation import expert_faults, parse_settings, refuse_links
from rsmoe_core.checkpoint.weights import (
    ADAPTER_SETTINGS,
    ADAPTER_WEIGHTS,
    ADAPTERS,
    check_adapter,
    read_weights,
    write_weights,
)
from rsmoe_core.config import BaseReference, MixtureConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.model.vlm_parts import adapter_shapes, connector_state, target_pattern
from rsmoe_core.roles import BASE, all_roles
from rsmoe_core.strict_json import read_json_file

if TYPE_CHECKING:
    from rsmoe_core.model.lora import PeftModel

MIXTURE, CONNECTOR = "mixture.json", "connector.safetensors"
STAGE_1 = "stage1"
"""Name of the adapter of the language model without experts, whose role is BASE."""
BASE_FOLDER = "base"
"""Where an exported mixture has its base."""
_FORMAT = 1
_BESIDE = "./"
"""Beginning of the name of a base that lies in the folder of its mixture."""


def adapter_name(role: str) -> str:
    """The name of a role's adapter, in peft and on disk."""
    return STAGE_1 if role == BASE else role


@dataclass(frozen=True)
class Mixture:
    """A folder that `read_mixture` has checked."""

    folder: Path
    config: MixtureConfig
    adapters: Mapping[str, Path]
    """Role → the folder of its adapter; BASE is the language model without experts."""
    connector: Path | None
    """Weights of the connector; None where those of the base are to be used."""

    @property
    def has_experts(self) -> bool:
        """Whether router, experts and fusion have adapters; after stage 1 they have not."""
        return set(all_roles(self.config.experts)) <= set(self.adapters)

    @property
    def pattern(self) -> str:
        """How peft finds the layers that have adapters."""
        return target_pattern(self.config.language, self.config.lora.targets)


def is_mixture(folder: Path) -> bool:
    """Whether a folder is that of a mixture on a base."""
    return (folder / MIXTURE).is_file()


def read_mixture(folder: Path) -> Mixture:
    """Read and check a folder, except for what only its base can tell.

    Raises:
        ModelError: it is no such folder, or it is incomplete or damaged.
    """
    if not is_mixture(folder):
        raise ModelError(f"{folder}: no mixture on a base ({MIXTURE} is missing); name one that rsmoe trained")
    refuse_links(folder)
    config = _read_config(folder)
    names = {adapter_name(role): role for role in (BASE, *all_roles(config.experts))}
    found = sorted(path.name for path in (folder / ADAPTERS).glob("*") if path.is_dir())
    if odd := [name for name in found if name not in names]:
        raise ModelError(f"{folder / ADAPTERS}: '{odd[0]}' is no role of this mixture; remove it")
    adapters = {names[name]: folder / ADAPTERS / name for name in found}
    if not adapters:
        raise ModelError(f"{folder}: has no adapters; copy the whole model folder again")
    connector = folder / CONNECTOR
    mixture = Mixture(folder, config, adapters, connector if connector.is_file() else None)
    for own in adapters.values():
        check_adapter(own / ADAPTER_SETTINGS, config.lora, mixture.pattern, config.base.name)
    return mixture


def _read_config(folder: Path) -> MixtureConfig:
    path = folder / MIXTURE
    try:
        values = read_json_file(path)
    except ValueError as error:
        raise ModelError(f"{path}: damaged ({error}); copy the model folder again") from error
    if isinstance(values, dict) and isinstance(values.get("format"), int) and values["format"] > _FORMAT:
        raise ModelError(f"{path}: made by a newer rsmoe (format {values['format']}); update rsmoe")
    config, faults = parse_settings(MixtureConfig, values)
    if faults := faults or list(_inconsistencies(config)):
        raise ModelError(f"{path}: {'; '.join(faults)}; copy the model folder again")
    return config


def _inconsistencies(config: MixtureConfig) -> Iterator[str]:
    for what, value in (("base.name", config.base.name), ("language", config.language)):
        if not value:
            yield f"{what} is missing"
    if not config.lora.targets:
        yield "lora.targets are missing"
    yield from expert_faults(config.experts)


def find_base_of(mixture: Mixture) -> BaseWeights:
    """The base that a mixture names, in the revision that it names.

    Raises:
        ModelError: the base is missing, cannot be used, or is another one by now.
    """
    return find_reference(mixture.config.base, mixture.folder)


def find_reference(reference: BaseReference, beside: Path | None = None) -> BaseWeights:
    """A base by name and revision, of which the latter may be open; `beside` is the folder of the mixture on it.

    Raises:
        ModelError: the base is missing, cannot be used, or is another one by now.
    """
    name, revision = reference.name, reference.revision
    if name.startswith(_BESIDE) and beside is not None:
        name = str(beside / name.removeprefix(_BESIDE))
    is_folder = Path(name).is_dir()
    if not is_folder and not hub.is_hub_id(name):
        raise ModelError(f"the base is missing: no folder '{name}'; bring it back, or name its new place in {MIXTURE}")
    base = find_base(name, None if is_folder else revision or None)
    if is_folder and revision and base.revision != revision:
        raise ModelError(
            f"the base '{name}' is another one by now (revision {base.revision}, not {revision}); "
            "bring back the one that the mixture was trained on"
        )
    return base


def apply_mixture(base: Any, mixture: Mixture) -> PeftModel:
    """Put the trained weights on a base, which is changed: the connector's, and an adapter for each role.

    `base` is a model of transformers. The adapters' names are those of `adapter_name`.

    Raises:
        ModelError: a file is damaged, or was trained on another base.
    """
    from rsmoe_core.model import lora  # here, since importing peft takes seconds

    states = _adapter_states(base, mixture)
    load_connector(base, mixture)
    return lora.load_adapters(base, states, mixture.config.lora, mixture.pattern)


def load_weights(model: PeftModel, mixture: Mixture) -> None:
    """Give a model to which a mixture was applied the weights of another training of it.

    Raises:
        ModelError: a file is damaged, or was trained on another base.
    """
    from rsmoe_core.model import lora

    base = lora.without_wrapper(model)
    lora.set_states(model, _adapter_states(base, mixture))
    load_connector(base, mixture)


def _adapter_states(base: Any, mixture: Mixture) -> dict[str, dict[str, Tensor]]:
    """Name of each adapter → its factors, by peft's names."""
    shapes = adapter_shapes(base, mixture.pattern, mixture.config.lora.rank)
    expected = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    files = {adapter_name(role): own / ADAPTER_WEIGHTS for role, own in mixture.adapters.items()}
    return {name: _read(path, expected, base, mixture) for name, path in files.items()}


def load_connector(base: Any, mixture: Mixture) -> None:
    """Give a model of transformers the trained connector in float32, or in its own format; nothing if there is none.

    Raises:
        ModelError: it is damaged, or was trained on another base.
    """
    if mixture.connector is None:
        return
    own = connector_state(base, mixture.config.language)
    state = _read(mixture.connector, own, base, mixture)
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(state[name])


def _read(path: Path, expected: Mapping[str, Tensor], base: Any, mixture: Mixture) -> dict[str, Tensor]:
    """The tensors of a weight file; one that does not fit was most likely trained on another base."""
    try:
        return read_weights(path, expected)
    except ModelError as error:
        if "does not fit" not in str(error):
            raise
        name = f"{type(base).__name__} of {mixture.config.base.name}"
        raise ModelError(
            f"{mixture.folder}: was trained on another base than {name}; give the one that mixture.json names"
        ) from error


def copy_beside(mixture: Mixture, target: Path) -> None:
    """Write a mixture to a folder whose `BASE_FOLDER` holds its base, the trained connector included."""
    revision = find_base(str(target / BASE_FOLDER)).revision
    config = dataclasses.replace(mixture.config, base=BaseReference(_BESIDE + BASE_FOLDER, revision))
    (target / MIXTURE).write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
    shutil.copytree(mixture.folder / ADAPTERS, target / ADAPTERS)
    for path in (target / ADAPTERS).glob(f"*/{ADAPTER_SETTINGS}"):
        settings = {**json.loads(path.read_text(encoding="utf-8")), "base_model_name_or_path": config.base.name}
        path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def save_mixture(folder: Path, config: MixtureConfig, model: PeftModel, *, connector: bool) -> None:
    """Write a mixture in training to a folder; `connector` says whether its connector was trained."""
    from rsmoe_core.model import lora

    folder.mkdir(parents=True, exist_ok=True)
    (folder / MIXTURE).write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
    lora.save_adapters(model, folder / ADAPTERS, config.base.name)
    if connector:
        state = connector_state(lora.without_wrapper(model), config.language)
        write_weights({name: value.detach().cpu().contiguous() for name, value in state.items()}, folder / CONNECTOR)
