"""Where an output comes from: the entries of its metadata, by key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from pyproj import CRS

from rsmoe_cli.formats.base import rounded
from rsmoe_cli.pipeline.run import Engine
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.grid import Grid

_FOLDERS = re.compile(r"(?<![\w:/.])/(?!vsi)(?:[^\s/:;,'\"]+/)+")
"""The folders of an absolute path in a message."""


def scene_names(paths: Sequence[str]) -> dict[str, str]:
    """Path → name of the file, with as many of its folders as tell all scenes apart.

    Names stay true when the scenes are moved, and say nothing about the machine.
    """
    parts = {path: [part for part in re.split(r"[/\\]", path.split("?")[0]) if part] or [path] for path in paths}
    for depth in range(1, max(map(len, parts.values()), default=0) + 1):
        names = {path: "/".join(own[-depth:]) for path, own in parts.items()}
        if len(set(names.values())) == len(names):
            return names
    return {path: path for path in paths}


def without_paths(text: str, names: Mapping[str, str]) -> str:
    """A message with the names of scenes in place of their paths, and without the folders of other files."""
    for path in sorted(names, key=len, reverse=True):
        text = text.replace(os.path.abspath(path), names[path]).replace(path, names[path])
    return _FOLDERS.sub("", text)


def of_scene(scene: Scene, grid: Grid | None) -> dict[str, object]:
    """How a scene was read, and how it was cut into tiles; `grid` is None where it was not."""
    georeference = scene.georeference
    tiling = {} if grid is None else {"tile_size": grid.size, "overlap": grid.overlap, "tiles": len(grid)}
    return {
        "source": scene.path,
        "source_width": scene.width,
        "source_height": scene.height,
        "source_crs": crs_name(georeference.crs),
        "metres_per_pixel": rounded(scene.metres_per_pixel, 6),
        "georeference": georeference.kind,
        "coordinates": georeference.warning or "of the CRS",
        "bands": str(scene.band_selection),
        "bands_reason": scene.band_selection.reason,
        "stretch": str(scene.stretch),
        "valid_pixels": scene.mask.source,
        "warnings": list(scene.notes),
        **tiling,
    }


def of_engine(engine: Engine | None) -> dict[str, object]:
    """The model and how it computed; nothing where no model was needed."""
    if engine is None:
        return {}
    return {
        "model": engine.name,
        "model_revision": engine.revision,
        "device": engine.device,
        "dtype": engine.dtype,
        "mixture": engine.options.mixture,
        "prompt": engine.options.prompt,
        "detail": engine.options.detail,
        "max_words": engine.options.words,
    }


def of_file(crs: CRS | None) -> dict[str, object]:
    """The reference system of the geometries, and what wrote the file when."""
    return {
        "crs": crs_name(crs),
        "tool": f"rsmoe {version('rsmoe')}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def crs_name(crs: CRS | None) -> str | None:
    """Short name such as EPSG:32631; the whole definition of a system that has none."""
    if crs is None:
        return None
    authority = crs.to_authority()
    return ":".join(authority) if authority else crs.to_wkt()
