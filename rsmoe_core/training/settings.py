"""Settings of a training run that have no option of their own: tables of a TOML file.

    [lora]            fields of LoraSettings: rank, alpha, dropout, targets
    [tokens]          fields of DecodingConfig: prompt_tokens, draft_tokens, caption_tokens
    [phases.align]    fields of Phase and of the settings of its objective: learning_rate, images_per_step, ...
    [parts]           fields of BaseParts, of presets whose base is composed: vision, text

Free of torch.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rsmoe_core.config import BaseParts, MixtureConfig, ModelConfig
from rsmoe_core.errors import UsageError
from rsmoe_core.training.phases import Phase, Stage

Value = TypeVar("Value")
Config = TypeVar("Config", ModelConfig, MixtureConfig)
Table = Mapping[str, Any]

TABLES = ("lora", "tokens", "phases", "parts")
_OF_STAGES = {"name", "trains", "objective"}
"""What a phase is; the rest is how it is run."""


@dataclass(frozen=True)
class TrainingSettings:
    """Tables by name; see the module."""

    tables: Mapping[str, Table] = field(default_factory=dict)

    def stage(self, stage: Stage) -> Stage:
        """The stage with other settings of its phases.

        Raises:
            UsageError: there is no such phase or setting, or a value does not fit.
        """
        phases = {phase.name: phase for phase in stage.phases}
        for name, values in self.tables.get("phases", {}).items():
            if name not in phases:
                known = ", ".join(phases)
                raise UsageError(f"[phases.{name}]: stage {stage.name} has no such phase; choose from: {known}")
            phases[name] = _phase(phases[name], _table(values, f"phases.{name}"))
        return dataclasses.replace(stage, phases=tuple(phases.values()))

    def config(self, config: Config) -> Config:
        """The configuration of a new model with other adapters and limits of tokens. Raises what `stage` does."""
        return dataclasses.replace(
            config,
            lora=_replaced(config.lora, self._table("lora"), "lora"),
            decoding=_replaced(config.decoding, self._table("tokens"), "tokens"),
        )

    def parts(self, parts: BaseParts) -> BaseParts:
        """What a base is composed of. Raises what `stage` does."""
        return _replaced(parts, self._table("parts"), "parts")

    def refuse(self, *names: str, why: str) -> None:
        """Refuse tables that would be ignored.

        Raises:
            UsageError: one of them is given.
        """
        for name in names:
            if name in self.tables:
                raise UsageError(f"[{name}] has no meaning here: {why}; leave it out")

    def _table(self, name: str) -> Table:
        return _table(self.tables.get(name, {}), name)


def _table(values: Any, where: str) -> Table:
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: expected a table of settings, found {values!r}")
    return values


def _phase(phase: Phase, values: Table) -> Phase:
    """The phase with other settings, those of its objective included."""
    where = f"phases.{phase.name}"
    own = {name for name in _names(phase) if name not in _OF_STAGES}
    of_objective = set(_names(phase.objective))
    if unknown := sorted(values.keys() - own - of_objective):
        known = ", ".join(sorted(own | of_objective))
        raise UsageError(f"[{where}]: no setting '{unknown[0]}'; choose from: {known}")
    objective = _replaced(phase.objective, {k: v for k, v in values.items() if k in of_objective}, where)
    changed = _replaced(phase, {name: value for name, value in values.items() if name in own}, where)
    return dataclasses.replace(changed, objective=objective)


def _names(value: Any) -> list[str]:
    """Names of a dataclass's fields."""
    return [one.name for one in dataclasses.fields(value)]


def _replaced(value: Value, changes: Table, where: str) -> Value:
    """A dataclass with other values, which are checked."""
    if not changes:
        return value
    hints = typing.get_type_hints(type(value))
    if unknown := sorted(changes.keys() - hints.keys()):
        raise UsageError(f"[{where}]: no setting '{unknown[0]}'; choose from: {', '.join(hints)}")
    for name, new in changes.items():
        if not _fits(new, hints[name]):
            raise UsageError(f"[{where}]: {name} = {new!r} does not fit; its default is {getattr(value, name)!r}")
    new_values = {name: tuple(new) if isinstance(new, list) else new for name, new in changes.items()}
    return dataclasses.replace(value, **new_values)  # type: ignore[type-var]


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of a TOML file can be that of a field with this type; numbers are finite and not negative."""
    if isinstance(hint, types.UnionType):
        return any(_fits(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return value in typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return isinstance(value, list) and all(_fits(one, typing.get_args(hint)[0]) for one in value)
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value) and value >= 0
    return type(value) is hint and (hint is not int or value >= 1)
