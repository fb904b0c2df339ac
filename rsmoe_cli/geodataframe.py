"""Scenes → captions as a GeoDataFrame, for Python programs: what `rsmoe caption` writes into a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas

from rsmoe_cli.captioning.layer import DESCRIPTIONS
from rsmoe_cli.captioning.run import CaptionJob, caption_scenes
from rsmoe_cli.option_groups import OutputOptions, TilingOptions
from rsmoe_cli.pipeline.inputs import find_scenes
from rsmoe_cli.pipeline.run import Engine
from rsmoe_cli.pipeline.session import open_session


def caption_scene(
    scene: str | Path | Sequence[str | Path],
    engine: Engine,
    *,
    dst_crs: str | None = None,
    prompts: bool = False,
    counts: bool = False,
    **tiling: Any,
) -> geopandas.GeoDataFrame:
    """Caption a scene, or several; returns one row for each tile, with its footprint.

    The columns are those of the layer `captions`. The footprints are in the CRS of a single scene, unless `dst_crs` is
    given, and without a CRS in pixels. A tile that fails is a row with the status `failed`. `tiling` are fields of
    `TilingOptions`: `bands`, `stretch`, `tile_size`, `overlap`, `nodata`, `allow_external`. `engine` comes from
    `rsmoe_core.load`. Nothing is kept to continue an interrupted call; `rsmoe caption` does that.

    Raises:
        SceneError: the scene, or none of several, can be opened.
        UsageError: an option that is impossible.
        OutputError: the temporary folder cannot be written.
    """
    scenes = [scene] if isinstance(scene, str | Path) else scene
    job = CaptionJob(find_scenes([str(path) for path in scenes]), TilingOptions(**tiling), prompts, counts)
    with TemporaryDirectory() as folder:
        out = Path(folder) / "captions.gpkg"
        with open_session(job, lambda: engine, DESCRIPTIONS, out, OutputOptions(dst_crs=dst_crs)) as session:
            caption_scenes(session, job)
        return geopandas.read_file(out, layer="captions")
