"""What is in a vision-language model of transformers, or in a mixture on one, for `rsmoe models show`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsmoe_core.checkpoint.mixture import Mixture


@dataclass(frozen=True)
class BaseSummary:
    """A base, or a mixture on one; of a base on the hub, the weights need not be here."""

    model: str
    """As the user gave it."""
    folder: Path
    revision: str
    model_type: str
    """Transformers' name of the architecture."""
    base: str | None
    """Of a mixture: its base."""
    parts: dict[str, int]
    """Parameters of the language model's layers, of the connector, of all else, and of each role's adapter."""

    def figures(self) -> dict[str, Any]:
        """Everything, as JSON."""
        return {**vars(self), "folder": str(self.folder), "parameters": sum(self.parts.values())}

    def lines(self) -> Iterator[str]:
        """For people, above the table of parts."""
        yield f"{self.model}: revision {self.revision}, in {self.folder}"
        on = "" if self.base is None else f"a mixture on {self.base}, "
        yield f"{on}a model of transformers of the type {self.model_type}"


def summarise_base(name: str) -> BaseSummary:
    """The summary of a base or a mixture by hub id or folder.

    Raises:
        UsageError: there is no such model.
        ModelError: it cannot be used, or is damaged.
    """
    from rsmoe_core.checkpoint import hub
    from rsmoe_core.checkpoint.base_checks import check_base
    from rsmoe_core.checkpoint.base_weights import revision_of
    from rsmoe_core.checkpoint.catalogue import fingerprint
    from rsmoe_core.checkpoint.mixture import is_mixture, read_mixture
    from rsmoe_core.inference.memory import describe_base
    from rsmoe_core.inference.planning import settings_of_base
    from rsmoe_core.loading import find_folder

    folder = find_folder(name)
    adapters: dict[str, int] = {}
    base, base_folder, revision = None, folder, ""
    if is_mixture(folder):
        mixture = read_mixture(folder if Path(name).is_dir() else hub.fetch(name))
        adapters, folder = _adapter_sizes(mixture), mixture.folder
        base, base_folder = settings_of_base(mixture)
        revision = f"{fingerprint(folder)} on "
    config = check_base(base_folder, base or name)
    shape = describe_base(base_folder)
    return BaseSummary(
        model=name,
        folder=folder,
        revision=f"{revision}{revision_of(base_folder)}",
        model_type=str(config["model_type"]),
        base=base,
        parts={
            "language layers": shape.matrices,
            "connector": shape.connector,
            "all else": shape.others - shape.connector,
            **adapters,
        },
    )


def _adapter_sizes(mixture: Mixture) -> dict[str, int]:
    from rsmoe_core.checkpoint.headers import read_header
    from rsmoe_core.checkpoint.mixture import adapter_name
    from rsmoe_core.checkpoint.weights import ADAPTER_WEIGHTS

    return {
        f"adapter {adapter_name(role)}": sum(
            tensor.numbers for tensor in read_header(folder / ADAPTER_WEIGHTS).values()
        )
        for role, folder in mixture.adapters.items()
    }
