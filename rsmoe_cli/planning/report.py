"""Plans of scenes and of a model → lines for people, and figures for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rsmoe_cli.planning.scene_plan import ScenePlan
from rsmoe_cli.planning.speeds import Speed
from rsmoe_core.words.grammar import length

if TYPE_CHECKING:
    from rsmoe_core.inference.planning import Fit, ModelPlan

FILE_BYTES, TILE_BYTES = 110_000, 600
"""Of an output: of a GeoPackage without tiles, and of a row in any format, about."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run will take."""

    scenes: tuple[ScenePlan, ...]
    failed: dict[str, str]
    """Scenes that cannot be opened, and why."""
    model: ModelPlan | None
    """None for the model of a server."""
    speed: Speed | None
    """None where it was never measured."""
    available: float | None
    """Bytes of memory of the device; None where that is unknown."""

    @property
    def tiles(self) -> int:
        """All tiles."""
        return sum(scene.tiles for scene in self.scenes)

    @property
    def visible_tiles(self) -> int:
        """Tiles that get a caption, about."""
        return sum(scene.visible_tiles for scene in self.scenes)

    @property
    def output_bytes(self) -> int:
        """Size of the output, about."""
        return FILE_BYTES + TILE_BYTES * self.visible_tiles

    @property
    def seconds(self) -> float | None:
        """How long the model needs; None where its speed is unknown."""
        return None if self.speed is None else self.visible_tiles / self.speed.images_per_second

    @property
    def batch(self) -> int | None:
        """Images that are computed at a time; None where that is unknown."""
        if self.model is None or self.model.chosen.largest_batch is None:
            return None
        return min(self.model.chosen.largest_batch, self.model.most_at_a_time)

    def figures(self) -> dict[str, Any]:
        """Everything, as JSON."""
        return {
            "scenes": [dataclasses.asdict(scene) for scene in self.scenes],
            "failed": self.failed,
            "tiles": self.tiles,
            "visible_tiles": self.visible_tiles,
            "output_bytes": self.output_bytes,
            "model": None if self.model is None else dataclasses.asdict(self.model),
            "available_bytes": self.available,
            "batch": self.batch,
            "speed": None if self.speed is None else dataclasses.asdict(self.speed),
            "seconds": self.seconds,
        }

    def lines(self, check: str) -> Iterator[str]:
        """For people; `check` is the command that measures the speed."""
        for scene in self.scenes:
            yield from _scene_lines(scene)
        for path, error in self.failed.items():
            yield f"{path}: cannot be opened: {error}"
        if len(self.scenes) > 1:
            yield f"all scenes: {self.tiles:,} tiles, about {self.visible_tiles:,} of them not blank"
        yield f"output: about {_size(self.output_bytes)}"
        if self.model is None:
            yield "model: on a server, whose memory and speed are its own"
        else:
            yield from _model_lines(self.model, self.available, self.batch)
        if self.seconds is None or self.speed is None:
            yield f"time: unknown; measure it once with: {check}"
        else:
            speed = self.speed
            yield (
                f"time: about {_duration(self.seconds)} at {speed.images_per_second:.2f} tiles/s "
                f"({speed.by} on {speed.day})"
            )


def _scene_lines(scene: ScenePlan) -> Iterator[str]:
    metres = "pixels of unknown size" if scene.metres_per_pixel is None else f"{length(scene.metres_per_pixel)} a pixel"
    yield f"{scene.scene}: {scene.width:,} x {scene.height:,} pixels, {metres}, {scene.crs or 'no CRS'}"
    yield f"  bands: {', '.join(map(str, scene.bands))} ({scene.band_reason})"
    yield f"  stretch: {scene.stretch}"
    about = "about " if scene.blank_is_sampled else ""
    yield (
        f"  tiles: {scene.tiles:,} of {scene.tile_size} pixels, overlap {scene.overlap}; "
        f"{about}{scene.blank_share:.0%} blank"
    )
    yield from (f"  note: {note}" for note in scene.notes)


def _model_lines(model: ModelPlan, available: float | None, batch: int | None) -> Iterator[str]:
    chosen = model.chosen
    yield f"model: {model.model}, revision {model.revision}, on {model.device} in {_form(chosen)}"
    texts = "1 text" if model.texts == 1 else f"{model.texts} texts"
    yield f"  for a tile: {texts}, {model.prompt_tokens:,} tokens read, at most {model.new_tokens:,} written"
    memory = chosen.memory
    yield (
        f"  memory: weights {_size(memory.weights)}; for a tile more in a batch {_size(memory.each)} "
        f"(keys and values {_size(memory.cache)}, intermediate results {_size(memory.activations)})"
    )
    if available is None:
        yield "  batch: unknown, since the memory of the device is; give it with --memory"
    elif batch:
        yield f"  batch: {batch} tiles, {_size(memory.total(batch))} of {_size(available)}"
    else:
        yield f"  does not fit into {_size(available)}: not even with one tile at a time"
    for fit in model.others:
        room = ""
        if fit.largest_batch is not None:
            room = f", room for {fit.largest_batch:,} tiles" if fit.largest_batch else ", does not fit"
        yield f"  in {_form(fit)}: weights {_size(fit.memory.weights)}{room}"
    for training in model.training:
        bits = f", weights in {training.quantize}" if training.quantize else ""
        room = ""
        if training.largest_batch is not None:
            largest = training.largest_batch
            room = f", room for {largest:,} texts at a time" if largest else ", does not fit"
        yield f"  to train stage {training.stage}{bits}: {_size(training.memory.total(1))} with one text{room}"


def _form(fit: Fit) -> str:
    return fit.dtype if fit.quantize is None else f"{fit.dtype}, {fit.quantize}"


def _size(number: float) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def check_command(arguments: Sequence[str]) -> str:
    """The command that measures the speed of the same model."""
    return " ".join(("rsmoe models check", *arguments))
