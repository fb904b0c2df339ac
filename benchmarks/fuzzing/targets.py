"""A mutant → what becomes of it, in one word and one line. Each target is one way in which files reach rsmoe."""

from __future__ import annotations

import json
import random
import shutil
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from rsmoe_core.errors import DataError, ModelError, RsmoeError

FULL_MODEL, SOME, REFUSED = "taken", "in part", "refused"
TRACEBACK, PARTIAL, UNNAMED, DISAGREEING = "traceback", "partial output", "file not named", "readings disagree"
FINE = (FULL_MODEL, SOME, REFUSED)
"""What may become of a mutant; everything else is a fault of rsmoe."""

Outcome = tuple[str, str]
_MOST_TILES = 64


def read_scene(path: Path) -> Outcome:
    """Opens a raster as every command does, and reads its first tiles."""
    from itertools import islice

    from rsmoe_cli.raster.georeference import Footprints
    from rsmoe_cli.raster.scene import open_scene
    from rsmoe_cli.tiles.grid import Grid, fitting_tile_size
    from rsmoe_cli.tiles.image import TileFailure
    from rsmoe_cli.tiles.reader import read_tiles

    scene = open_scene(str(path))
    size = fitting_tile_size(scene.width, scene.height, 48)
    assert scene.metres_per_pixel is None or scene.metres_per_pixel >= 0
    footprints = Footprints(scene.georeference, scene.georeference.crs)
    failed = 0
    for result in islice(read_tiles(scene, Grid(scene.width, scene.height, size), 64), _MOST_TILES):
        footprints.of(result.tile.rect)
        failed += isinstance(result, TileFailure)
    return (SOME, f"{failed} tiles failed") if failed else (FULL_MODEL, "")


def caption_scene(path: Path) -> Outcome:
    """The whole command, with an engine that says the same of every picture; then looks at what it left behind."""
    from typer.testing import CliRunner

    import rsmoe_core
    from rsmoe_cli.main import app
    from rsmoe_cli.pipeline.journal import journal_path

    rsmoe_core.load = _engine
    folder = path.parent / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    out = folder / random.Random(path.name).choice(("map.gpkg", "map.geojson", "map.fgb"))
    result = CliRunner().invoke(app, ["caption", "--tile-size", "48", "-o", str(out), "--", str(path)])
    left = sorted(found.name for found in folder.iterdir())
    told = result.stderr.strip().splitlines() or [repr(result.exception)]
    # What failed can be tried again, for which the journal stays.
    expected = {0: [out.name], 3: [out.name, journal_path(out).name]}.get(result.exit_code, [])
    if left != expected or (
        out.suffix == ".geojson" and out.exists() and "features" not in json.loads(out.read_text())
    ):
        return PARTIAL, f"exit {result.exit_code}, and there is {left}"
    if result.exit_code in (0, 3):
        return (FULL_MODEL, "") if result.exit_code == 0 else (SOME, told[-1])
    if result.exit_code not in (1, 2) or "unexpected" in result.stderr or not told[-1].startswith("error: "):
        return TRACEBACK, told[-1]
    return REFUSED, told[-1]


def load_folder(path: Path) -> Outcome:
    """Loads a model folder in both forms and lets it describe a picture; `path` is the file in it that was changed."""
    import numpy as np

    from rsmoe_core.checkpoint.inference import load_for_inference
    from rsmoe_core.checkpoint.load import load_model
    from rsmoe_core.engine import load

    folder = next(parent for parent in path.parents if parent.name == "model")
    refused = [error for read in (load_for_inference, load_model) if (error := _refusal(read, folder))]
    if not refused:
        said = load(str(folder), device="cpu").caption([np.full((32, 32, 3), 90, np.uint8)])
        return FULL_MODEL, said[0].caption
    if len(refused) == 1:
        return DISAGREEING, refused[0]
    named = all(path.name in error or path.parent.name in error for error in refused)
    return (REFUSED if named else UNNAMED), refused[0]


def _refusal(read: Callable[[Path], object], folder: Path) -> str | None:
    try:
        read(folder)
    except ModelError as error:
        return str(error)
    return None


def read_data(path: Path) -> Outcome:
    """Reads a folder of annotated pictures, all of the pictures, and sums it up."""
    from rsmoe_core.data.base import read_image
    from rsmoe_core.data.formats.registry import read_dataset
    from rsmoe_core.data.summary import summarise
    from rsmoe_core.data.targets import derive

    dataset = read_dataset(path)
    problems = list(summarise(dataset).problems)
    for sample in dataset.samples:
        derive(sample)
        assert sample.image.resolve().is_relative_to(path.resolve()), f"{sample.image} is outside"
        try:
            read_image(sample.image)
        except DataError as error:
            problems.append(str(error))
    assert all("\n" not in line for line in problems)
    return (SOME, problems[0]) if problems else (FULL_MODEL, "")


TARGETS: dict[str, Callable[[Path], Outcome]] = {
    "scene": read_scene,
    "caption": caption_scene,
    "model": load_folder,
    "data": read_data,
}


def outcome(target: str, path: Path) -> Outcome:
    """What becomes of one mutant."""
    try:
        return TARGETS[target](path)
    except RsmoeError as error:
        return (TRACEBACK, f"several lines: {error!r}") if "\n" in str(error).strip() else (REFUSED, str(error))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        own = [f for f in traceback.extract_tb(error.__traceback__) if "rsmoe" in f.filename]
        where = own[-1] if own else place
        return TRACEBACK, f"{type(error).__name__}: {error} in {Path(where.filename).name}:{where.lineno}"


@lru_cache(maxsize=1)
def _made() -> Any:
    from rsmoe_core.types import Description

    class Engine:
        name, revision, device, dtype, image_size, batch_size = "none", "0", "cpu", "float32", 32, 8

        def describe(self, requests: Any) -> list[Description]:
            return [Description("a picture.", "picture", "", "", 0.5, prompts={}) for _ in requests]

    return Engine()


def _engine(*_: object, **__: object) -> Any:
    return _made()
