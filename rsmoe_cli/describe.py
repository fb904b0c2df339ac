"""The journey of a scene, on one page.

scene → tiles → pictures → batches → engine → records → output
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Protocol

from pyproj import CRS
from tqdm import tqdm

from rsmoe_cli.georeference import Footprints
from rsmoe_cli.raster import Scene, first_line
from rsmoe_cli.reading import DETAIL, TileFailure, TileImage, TileResult, read_tiles
from rsmoe_cli.records import COLUMNS, PROMPT_COLUMNS, CaptionRecord, Layer, described, failed
from rsmoe_cli.sinks import Output
from rsmoe_cli.tally import Summary, Tally
from rsmoe_cli.tiling import Grid
from rsmoe_core.types import Description, Request

log = logging.getLogger(__name__)

_HOLD = 4
"""A batch goes on when it holds this many times its size, blank tiles included: a blank scene uses no memory."""


class Engine(Protocol):
    """What is asked of an engine; `rsmoe_core.load` gives one."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def revision(self) -> str:
        """Version of its weights."""

    @property
    def device(self) -> str:
        """Where it runs."""

    @property
    def dtype(self) -> str:
        """What it calculates in."""

    @property
    def image_size(self) -> int:
        """Pixels a side that it sees."""

    def describe(self, requests: Sequence[Request]) -> list[Description]:
        """Descriptions in the order of the requests."""


def describe_scene(
    scene: Scene,
    grid: Grid,
    engine: Engine,
    output: Output,
    batch_size: int,
    prompts: bool = False,
    progress: bool = False,
) -> Summary:
    """Describes every tile that has a valid pixel, and writes the rows to the output in tile order.

    A tile that cannot be read or described becomes a row with the status `failed` and does not stop the others.

    Raises:
        OutputError: the output cannot be written.
    """
    start = time.monotonic()
    tally = Tally()
    target = output.target(scene.georeference.crs)
    footprints = Footprints(scene.georeference, target)
    layer = Layer(
        columns={**COLUMNS, **PROMPT_COLUMNS} if prompts else COLUMNS,
        crs=target or scene.georeference.crs,
        cut=target is not None and target.is_geographic,
    )
    with (
        output.open(layer) as sink,
        tqdm(total=len(grid), unit="tile", desc="captioning", disable=not progress) as bar,
    ):
        for batch in batches(read_tiles(scene, grid, DETAIL * engine.image_size), batch_size):
            records = list(_records(batch, engine, footprints, tally))
            tally.unplaced += sum(record.geometry is None for record in records)
            sink.write(records)
            bar.update(len(batch))
        sink.finish(_metadata(scene, grid, engine, layer, tally))
    if tally.unplaced:
        log.warning("rows without a footprint: %d; their ground is undefined in the output's CRS", tally.unplaced)
    seconds = time.monotonic() - start
    return Summary(
        scene=scene.path,
        output=str(output.path),
        model=engine.name,
        tiles=len(grid),
        captioned=tally.captioned,
        skipped=tally.skipped,
        failed=tally.failed,
        seconds=round(seconds, 3),
        tiles_per_second=round(len(grid) / seconds, 2),
        coverage=tally.coverage,
    )


def batches(results: Iterable[TileResult], size: int) -> Iterator[list[TileResult]]:
    """Groups tiles, in order, so that at most `size` of a group are for the engine."""
    batch: list[TileResult] = []
    for result in results:
        batch.append(result)
        if len(_visible(batch)) == size or len(batch) == _HOLD * size:
            yield batch
            batch = []
    if batch:
        yield batch


def _visible(batch: Sequence[TileResult]) -> list[TileImage]:
    """The tiles that have something to show to the engine."""
    return [result for result in batch if isinstance(result, TileImage) and result.valid_pixels]


def _records(
    batch: Sequence[TileResult], engine: Engine, footprints: Footprints, tally: Tally
) -> Iterator[CaptionRecord]:
    """Rows of a batch, in tile order; blank tiles have none."""
    answers = iter(_answers(engine, [Request(image.pixels, image.valid) for image in _visible(batch)]))
    for result in batch:
        if isinstance(result, TileFailure):
            tally.count_failed(result)
            yield failed(result.tile, result.error, None, footprints.of(result.tile.box))
        elif not result.valid_pixels:
            tally.count_skipped()
        else:
            answer, footprint = next(answers), footprints.of(result.tile.box)
            if isinstance(answer, Description):
                tally.count_captioned(result)
                yield described(result.tile, answer, result.valid_fraction, footprint)
            else:
                tally.count_failed(result)
                yield failed(result.tile, answer, result.valid_fraction, footprint)


def _answers(engine: Engine, requests: list[Request]) -> list[Description | str]:
    """A description or an error for each request. A batch that fails is tried again image by image."""
    if not requests:
        return []
    try:
        return list(engine.describe(requests))
    except Exception as error:  # whatever went wrong inside the engine is one tile's misfortune, not the scene's
        if len(requests) == 1:
            return [f"cannot be described: {first_line(error)}"]
        return [answer for request in requests for answer in _answers(engine, [request])]


def _metadata(scene: Scene, grid: Grid, engine: Engine, layer: Layer, tally: Tally) -> dict[str, object]:
    """The provenance of an output, by key."""
    georeference = scene.georeference
    return {
        "source": scene.path,
        "source_width": scene.width,
        "source_height": scene.height,
        "source_crs": _name(georeference.crs),
        "georeference": georeference.kind,
        "crs": _name(layer.crs),
        "coordinates": georeference.warning or "of the CRS",
        "bands": str(scene.choice),
        "stretch": str(scene.stretch),
        "valid_pixels": scene.mask.source,
        "tile_size": grid.size,
        "overlap": grid.overlap,
        "model": engine.name,
        "model_revision": engine.revision,
        "device": engine.device,
        "dtype": engine.dtype,
        "tool": f"rsmoe {version('rsmoe')}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tiles": len(grid),
        "tiles_captioned": tally.captioned,
        "tiles_skipped": tally.skipped,
        "tiles_failed": tally.failed,
        "coverage": tally.coverage,
    }


def _name(crs: CRS | None) -> str | None:
    """Short name such as EPSG:32631; the whole definition of a system that has none."""
    if crs is None:
        return None
    authority = crs.to_authority()
    return ":".join(authority) if authority else crs.to_wkt()
