"""Baselines of `rsmoe bench`: straightforward loops over transformers' `generate`, on the same weights.

    one-by-one   the whole raster is read first, then each call of `generate` gets one tile
    batches      the same, with 32 tiles per call

In both, router, experts and fusion each call `generate`, and peft switches to the adapter of the role before.
`one-by-one-merged` and `batches-merged` have a copy of the language model for each role instead, with the adapter
merged, which is the fastest way that transformers offers. All loops leave out blank tiles.

    python -m rsmoe_cli.bench.baselines one-by-one SCENE -o OUT.gpkg --model nano --tile-size 224
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rsmoe_cli.bench.measure import Run

if TYPE_CHECKING:
    from rsmoe_cli.raster.scene import Scene
    from rsmoe_cli.tiles.image import TileImage
    from rsmoe_core.engine import Engine

LOOPS = {"one-by-one": (1, False), "batches": (32, False), "one-by-one-merged": (1, True), "batches-merged": (32, True)}
"""Loop → tiles per call, and whether adapters are merged."""


def main() -> None:
    """Caption a scene and print a `Run` as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("scene")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--tile-size", type=int, required=True)
    arguments = parser.parse_args()
    run = caption_scene(arguments.loop, arguments.scene, arguments.out, arguments.model, arguments.tile_size)
    print(json.dumps(dataclasses.asdict(run)))


def caption_scene(loop: str, path: str, out: Path, model: str, tile_size: int) -> Run:
    """Caption a scene by one of the loops; the clock runs from the first read to the written file."""
    from rsmoe_cli.raster.scene import open_scene

    batch_size, merged = LOOPS[loop]
    engine, scene = load(model, merged), open_scene(path)
    start = time.perf_counter()
    tiles = whole_scene(scene, tile_size)
    read = time.perf_counter() - start
    first = 0.0
    captions: list[tuple[TileImage, str]] = []
    while batch := list(islice(tiles, batch_size)):
        described = engine.caption([tile.pixels for tile in batch], [tile.valid for tile in batch])
        captions += [(tile, description.caption) for tile, description in zip(batch, described, strict=True)]
        first = first or time.perf_counter() - start
    write(scene, captions, out)
    return Run(len(captions), time.perf_counter() - start, waited=read, first=first)


def load(model: str, merged: bool) -> Engine:
    """An engine over transformers' own models."""
    from rsmoe_core.backends.native import NativeBackend
    from rsmoe_core.checkpoint.catalogue import find_model, fingerprint
    from rsmoe_core.checkpoint.load import load_model
    from rsmoe_core.engine import Engine
    from rsmoe_core.model import lora
    from rsmoe_core.model.language.llama import TransformersDecoders

    folder = find_model(model)
    loaded = load_model(folder)
    of_role = lora.merged if merged else lora.SwitchedRole
    models = {role: of_role(loaded.language, role) for role in loaded.roles}
    loaded.language = TransformersDecoders(models, loaded.tokenizer.pad)
    backend = NativeBackend(loaded, model, fingerprint(folder), threads=1)
    return Engine(backend, experts=loaded.config.experts, limits=loaded.config.decoding)


def whole_scene(scene: Scene, tile_size: int) -> Iterator[TileImage]:
    """Read the whole raster, then cut out one tile after the other, without the blank ones."""
    from rsmoe_cli.tiles.chunks import assemble_tile, read_chunk
    from rsmoe_cli.tiles.grid import Grid
    from rsmoe_cli.tiles.image import TileImage

    with scene.open() as dataset:
        everything = read_chunk(dataset, scene, (0, 0, scene.width, scene.height))
    tiles = (assemble_tile(tile, [everything]) for tile in Grid(scene.width, scene.height, tile_size))
    return (tile for tile in tiles if isinstance(tile, TileImage) and tile.valid_pixels)


def write(scene: Scene, captions: list[tuple[TileImage, str]], out: Path) -> None:
    """Write all captions at once, with their footprints in the scene's reference system."""
    import geopandas

    from rsmoe_cli.raster.georeference import Footprints

    crs = scene.georeference.crs
    footprints = Footprints(scene.georeference, crs)
    columns = {"tile_id": [tile.tile.id for tile, _ in captions], "caption": [text for _, text in captions]}
    frame = geopandas.GeoDataFrame(columns, geometry=[footprints.of(tile.tile.rect) for tile, _ in captions], crs=crs)
    frame.to_file(out, driver="GPKG")


if __name__ == "__main__":
    main()
