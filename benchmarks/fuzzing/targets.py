"""A mutant → its outcome, in one word and one line. Each target is one way in which files reach rsmoe."""

from __future__ import annotations

import json
import os
import random
import shutil
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from benchmarks.fuzzing import encodings, fills, geopackages
from benchmarks.fuzzing.command import caption, last_line, refusal
from benchmarks.fuzzing.verdicts import (
    ACCEPTED,
    INCONSISTENT,
    PARTIAL,
    PARTLY,
    REFUSED,
    TRACEBACK,
    UNNAMED,
    Outcome,
)
from rsmoe_core.errors import DataError, ModelError, RsmoeError

_MAX_TILES = 64


def read_scene(path: Path) -> Outcome:
    """Open a raster as every command does, and read its first tiles."""
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
    for result in islice(read_tiles(scene, Grid(scene.width, scene.height, size), 64), _MAX_TILES):
        footprints.of(result.tile.rect)
        failed += isinstance(result, TileFailure)
    return (PARTLY, f"{failed} tiles failed") if failed else (ACCEPTED, "")


def caption_scene(path: Path) -> Outcome:
    """Caption a raster, then check the files that the command left."""
    from rsmoe_cli.pipeline.journal import journal_path

    folder = path.parent / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    out = folder / random.Random(path.name).choice(("map.gpkg", "map.geojson", "map.fgb"))
    result = caption(path, out)
    left = sorted(found.name for found in folder.iterdir())
    # Where tiles failed, the journal is kept for --retry-failed.
    expected = {0: [out.name], 3: [out.name, journal_path(out).name]}.get(result.exit_code, [])
    if left != expected or (
        out.suffix == ".geojson" and out.exists() and "features" not in json.loads(out.read_text())
    ):
        return PARTIAL, f"exit {result.exit_code}, and there is {left}"
    if result.exit_code in (0, 3):
        return (ACCEPTED, "") if result.exit_code == 0 else (PARTLY, last_line(result))
    return refusal(result)


def load_folder(path: Path) -> Outcome:
    """Load a model folder for inference and for training, and describe an image; `path` is the damaged file in it."""
    import numpy as np

    from rsmoe_core.checkpoint.load import load_for_inference, load_model
    from rsmoe_core.loading import load

    folder = next(parent for parent in path.parents if parent.name == "model")
    refused = [error for read in (load_for_inference, load_model) if (error := _refusal(read, folder))]
    if not refused:
        [description] = load(str(folder), device="cpu").caption([np.full((32, 32, 3), 90, np.uint8)])
        return ACCEPTED, description.caption
    if len(refused) == 1:
        return INCONSISTENT, refused[0]
    named = all(path.name in error or path.parent.name in error for error in refused)
    return (REFUSED if named else UNNAMED), refused[0]


def _refusal(read: Callable[[Path], object], folder: Path) -> str | None:
    try:
        read(folder)
    except ModelError as error:
        return str(error)
    return None


def read_data(path: Path) -> Outcome:
    """Read a folder of annotated images with all images, summarise it, and derive training targets."""
    from rsmoe_core.data.base import read_image, summarise
    from rsmoe_core.data.formats.registry import read_dataset
    from rsmoe_core.roles import expert_targets_of
    from rsmoe_core.words.expert_targets import AnnotationFacts

    dataset = read_dataset(path)
    problems = list(summarise(dataset).problems)
    for sample in dataset.samples:
        expert_targets_of(AnnotationFacts.of(sample.captions, sample.scene_class, sample.objects))
        # Links are the user's own; names must not lead out of the folder.
        assert Path(os.path.normpath(sample.image)).is_relative_to(path), f"{sample.image} is outside"
        with suppress(DataError):  # it is one of the problems
            read_image(sample.image)
    assert all("\n" not in line for line in problems)
    return (PARTLY, problems[0]) if problems else (ACCEPTED, "")


TARGETS: dict[str, Callable[[Path], Outcome]] = {
    "scene": read_scene,
    "caption": caption_scene,
    "model": load_folder,
    "data": read_data,
    "fill": fills.check,
    "encoding": encodings.check,
    "geopackage": geopackages.check,
}


def outcome(target: str, path: Path) -> Outcome:
    """The outcome of one mutant."""
    try:
        return TARGETS[target](path)
    except RsmoeError as error:
        return (TRACEBACK, f"several lines: {error!r}") if "\n" in str(error).strip() else (REFUSED, str(error))
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        frame = ([f for f in frames if "rsmoe" in f.filename] or frames)[-1]
        return TRACEBACK, f"{type(error).__name__}: {error} in {Path(frame.filename).name}:{frame.lineno}"
