"""Options that come in groups, listed once for all commands that have them.

    @grouped
    def caption(scenes: options.Scenes, engine: EngineOptions = EngineOptions()) -> None: ...

A parameter that is a group becomes one option for each of its fields on the command line, and arrives as one value in
the command. A command gives other defaults by another instance: `TrainingOptions(views=4)`; without one, the
fields have their own defaults.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from rsmoe_cli import options

if TYPE_CHECKING:
    from rsmoe_core.config import CaptionOptions
    from rsmoe_core.engine import Engine


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with a parameter for each option of its groups, as typer wants it."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if not dataclasses.is_dataclass(hints[name]):
            parameters.append(parameter.replace(annotation=hints[name]))
            continue
        groups[name] = hints[name]
        defaults = hints[name] if parameter.default is parameter.empty else parameter.default
        parameters += [
            parameter.replace(name=field, default=getattr(defaults, field, parameter.empty), annotation=hint)
            for field, hint in get_type_hints(hints[name], include_extras=True).items()
        ]

    @functools.wraps(command)
    def with_groups(**values: Any) -> None:
        packed = {
            name: group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        command(**values, **packed)

    with_groups.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_groups.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_groups


@dataclass(frozen=True)
class EngineOptions:
    """The model, how it computes, and how it is put to use."""

    model: options.Model = "nano"
    revision: options.Revision = None
    endpoint: options.Endpoint = None
    roles: options.ServedRoles = None
    concurrency: options.Concurrency = 8
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    quantize: options.Quantize = None
    batch_size: options.BatchSize = None
    mixture: options.MixtureName = "full"
    words: options.Words = None
    detail: options.Detail = "brief"

    def load(self, prompt: str | None = None) -> Engine:
        """The engine; imports torch, which takes a while. `prompt` is what captions are to be about.

        Raises:
            UsageError: there is no such model, server, device or precision, or the model takes no prompt.
            ModelError: the model is damaged, or cannot be downloaded.
        """
        from rsmoe_core import connect, load

        caption_options, roles = self.caption_options(prompt), self.served_roles()
        if self.endpoint is not None:
            self._check_endpoint()
            engine = connect(self.endpoint, self.model, roles, concurrency=self.concurrency, options=caption_options)
        else:
            engine = load(
                self.model,
                device=self.device,
                precision=self.precision,
                revision=self.revision,
                quantize=self.quantize,
                options=caption_options,
            )
        if self.batch_size is not None:
            engine.batch_size = self.batch_size
        return engine

    def takes_any_words(self) -> bool:
        """Whether the model follows instructions, as far as that is known without loading it.

        Raises:
            UsageError: there is no such model.
            ModelError: the hub does not have it, or cannot be reached.
        """
        if self.endpoint is not None:
            return True
        from rsmoe_core.loading import is_native

        return not is_native(self.model, self.revision)

    def caption_options(self, prompt: str | None = None) -> CaptionOptions:
        """How captions are made.

        Raises:
            UsageError: there is no such mixture or detail, or the prompt is empty.
        """
        from rsmoe_core.config import DETAILS, MIXTURES, CaptionOptions, Detail, Mixture
        from rsmoe_core.errors import UsageError

        for what, value, choices in (("mixture", self.mixture, MIXTURES), ("detail", self.detail, DETAILS)):
            if value not in choices:
                raise UsageError(f"no {what} '{value}'; choose one of: {', '.join(choices)}")
        if prompt is not None and not prompt.strip():
            raise UsageError('the prompt is empty; give words such as --prompt "Describe damage to buildings"')
        return CaptionOptions(cast(Mixture, self.mixture), prompt, self.words, cast(Detail, self.detail))

    def _check_endpoint(self) -> None:
        """
        Raises:
            UsageError: an option is for models that are loaded here, or the served model has no name.
        """
        from rsmoe_core.errors import UsageError

        if self.model == EngineOptions.model:
            raise UsageError("--endpoint needs --model NAME, the name of a model that the server has")
        for name in ("revision", "device", "precision", "quantize"):
            if getattr(self, name) != getattr(EngineOptions, name):
                raise UsageError(f"--{name} is for models that are loaded here; with --endpoint, leave it out")

    def served_roles(self) -> dict[str, str]:
        """Role → the name under which a server has its adapter.

        Raises:
            UsageError: one of them is not of the form ROLE=NAME.
        """
        from rsmoe_core.errors import UsageError

        pairs = [given.partition("=") for given in self.roles or ()]
        for role, _, name in pairs:
            if not role or not name:
                raise UsageError("--role takes ROLE=NAME, such as --role theme=my-theme")
        if pairs and self.endpoint is None:
            raise UsageError("--role names adapters of a server; give --endpoint too")
        return {role.strip(): name.strip() for role, _, name in pairs}


@dataclass(frozen=True)
class TilingOptions:
    """How scenes are read and cut into tiles; the same for all scenes of a run."""

    bands: options.Bands = None
    """None to choose by what the files say."""
    stretch: options.Stretch = "auto"
    tile_size: options.TileSize = None
    """Pixels or metres; None for tiles that fit the scene."""
    overlap: options.Overlap = 0
    """Pixels that neighbouring tiles share; None for a quarter of a tile."""
    allow_external: options.AllowExternal = False
    nodata: options.Nodata = None
    """None to find values that are no data although no file declares them."""


@dataclass(frozen=True)
class OutputOptions:
    """How the output is written."""

    dst_crs: options.DstCrs = None
    """Reference system of the geometries; None for the scene's own."""
    overwrite: options.Overwrite = False
    retry_failed: options.RetryFailed = False


@dataclass(frozen=True)
class TrainingOptions:
    """How a stage is trained."""

    epochs: options.Epochs = None
    patience: options.Patience = None
    accumulate: options.Accumulate = 1
    views: options.Views = 2
    validation_split: options.ValidationSplit = 0.06
    seed: options.Seed = 0
    device: options.Device = "auto"
    precision: options.Precision = "auto"


@dataclass(frozen=True)
class MessageOptions:
    """What is printed; these options act when they are parsed."""

    quiet: options.Quiet = False
    verbose: options.Verbose = False
    debug: options.Debug = False
