"""`rsmoe plan`: what a run will take, without running it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options
from rsmoe_cli.option_groups import EngineOptions, MessageOptions, TilingOptions, grouped

if TYPE_CHECKING:
    from rsmoe_cli.planning.report import Plan
    from rsmoe_cli.planning.scene_plan import ScenePlan
    from rsmoe_core.inference.planning import ModelPlan

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


@grouped
def plan(
    scenes: options.Scenes,
    engine: EngineOptions = EngineOptions(),
    tiling: TilingOptions = TilingOptions(),
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory of the device, such as 24GB; by default what is free here."),
    ] = None,
    json: options.Json = False,
    messages: MessageOptions = MessageOptions(),
) -> None:
    """Say what a run will take, without running it: tiles, memory, batch size, time, output size.

    Of a model on the hub, only its settings are fetched. The time is known once `rsmoe models check` has measured it.
    """
    import json as json_format

    from rsmoe_cli.planning.report import check_command

    result = _plan(scenes, engine, tiling, None if memory is None else parse_size(memory))
    if json:
        typer.echo(json_format.dumps(result.figures()))
    else:
        for line in result.lines(check_command(list(_check_arguments(engine)))):
            console.print_result(line)
    if not result.scenes:
        console.print_error("no scene can be opened; see above")
        raise typer.Exit(1)


def parse_size(text: str) -> float:
    """`24GB`, `24 gb`, `800MB`, `24GiB` or bytes → bytes.

    Raises:
        UsageError: it is none of these.
    """
    from rsmoe_core.errors import UsageError

    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    if found is None or not float(found[1]):
        raise UsageError(f"memory '{text}' is not understood; write a size such as 24GB")
    if found[3] and found[2]:
        return float(found[1]) * 1024 ** "kmgt".index(found[2].lower()) * 1024
    return float(found[1]) * _UNITS[found[2].lower()]


def _plan(scenes: list[str], engine: EngineOptions, tiling: TilingOptions, memory: float | None) -> Plan:
    from rsmoe_cli.pipeline.inputs import find_scenes
    from rsmoe_cli.planning.report import Plan
    from rsmoe_cli.planning.speeds import SpeedKey, find_speed
    from rsmoe_core.devices import available_memory, find_device

    paths = find_scenes(scenes)
    available, model, speed = memory, None, None
    if engine.endpoint is None:
        available = available if available is not None else available_memory(find_device(engine.device))
        model = _model(engine, available)
        key = SpeedKey.of(model.revision, model.device, model.chosen.dtype, engine.caption_options())
        speed = find_speed(key)
    if model is None:
        from rsmoe_core.backends.endpoint.backend import IMAGE_SIZE

        planned, failed = _scenes(paths, tiling, IMAGE_SIZE)
    else:
        planned, failed = _scenes(paths, tiling, model.image_size)
    return Plan(tuple(planned), failed, model, speed, available)


def _model(engine: EngineOptions, available: float | None) -> ModelPlan:
    from rsmoe_core.inference.planning import plan_model

    return plan_model(
        engine.model,
        revision=engine.revision,
        device=engine.device,
        precision=engine.precision,
        quantize=engine.quantize,
        options=engine.caption_options(),
        available=available,
    )


def _scenes(paths: list[str], tiling: TilingOptions, image_size: int) -> tuple[list[ScenePlan], dict[str, str]]:
    """The plans of all scenes that can be opened, and why others cannot; the error of an only scene is raised."""
    from rsmoe_cli.planning.scene_plan import plan_scene
    from rsmoe_core.errors import RsmoeError, UsageError

    planned, failed = [], {}
    with console.progress_bar(len(paths), "scene", shown=len(paths) > 1) as advance:
        for path in paths:
            try:
                planned.append(plan_scene(path, tiling, image_size))
            except RsmoeError as error:
                if len(paths) == 1 or isinstance(error, UsageError):
                    raise
                failed[path] = str(error)
            advance(1)
    return planned, failed


def _check_arguments(engine: EngineOptions) -> list[str]:
    """The arguments of `models check` that measure this run's model."""
    import shlex

    given = {
        "--revision": engine.revision,
        "--endpoint": engine.endpoint,
        "--device": None if engine.device == "auto" else engine.device,
        "--precision": None if engine.precision == "fp32" else engine.precision,
        "--quantize": engine.quantize,
        "--mixture": None if engine.mixture == "full" else engine.mixture,
        "--words": engine.words,
        "--detail": None if engine.detail == "brief" else engine.detail,
    }
    pairs = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    return [shlex.quote(text) for text in (engine.model, *pairs)]
