"""Draw a captioned scene: numbered tiles on the image, and beside it the caption and the objects of each.

    python examples/draw_captions.py SCENE.tif CAPTIONS.gpkg OUT.png [--tile ROW COL]

The picture shows a block of 3 x 4 tiles: by default the one with the most different captions, with `--tile` the one
whose top left tile that is. The script also prints the captions that it draws, with what each expert wrote.

It imports nothing from rsmoe, since any library that reads GeoPackage reads what `rsmoe caption` writes. The scene has
to be north-up, and the captions in its own reference system, as they are in a GeoPackage unless `--dst-crs` was given.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import geopandas
import numpy as np
import rasterio
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling
from rasterio.windows import from_bounds

ROWS, COLS = 3, 4
"""Tiles in the picture, down and across."""
TILE = 192
"""Side of a tile in the picture, in pixels."""
PANEL, MARGIN = 620, 24
"""Width of the list of captions, and the space around it."""
SIZE = (COLS * TILE + PANEL, ROWS * TILE)
"""Width and height of the picture."""
COLOURS = 160
"""Colours of the picture; in full colour the file would be four times as large."""
PAPER, INK, FAINT = "#ffffff", "#1f2328", "#656d76"


def main() -> None:
    """Run as a script."""
    parser = argparse.ArgumentParser(description="Draw a captioned scene as a PNG.")
    parser.add_argument("scene", type=Path, help="the raster that was captioned")
    parser.add_argument("captions", type=Path, help="the file that rsmoe caption wrote")
    parser.add_argument("out", type=Path, help="PNG to write")
    parser.add_argument("--tile", type=int, nargs=2, metavar=("ROW", "COL"), help="tile at the top left")
    options = parser.parse_args()

    tiles = geopandas.read_file(options.captions, layer="captions")
    chosen = block(tiles, *(options.tile or most_varied(tiles)))
    if chosen.empty:
        parser.error(f"{options.captions} has no captions there; leave --tile out")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw(options.scene, chosen).save(options.out, optimize=True)

    print(f"{options.out} shows {len(chosen)} of {len(tiles)} tiles\n")
    for number, tile in enumerate(chosen.itertuples(), start=1):
        print(f"{number:>2}  {tile.caption} ({tile.tile_id}, confidence {tile.confidence:.2f})")
        print(f"    theme: {tile.theme} | objects: {tile.objects} | relations: {tile.relations}")


def block(tiles: geopandas.GeoDataFrame, row: int, col: int) -> geopandas.GeoDataFrame:
    """The captioned tiles of the block whose top left tile this is, row by row."""
    inside = tiles["row"].between(row, row + ROWS - 1) & tiles["col"].between(col, col + COLS - 1)
    return tiles[inside & (tiles["status"] == "ok")].sort_values(["row", "col"])


def most_varied(tiles: geopandas.GeoDataFrame) -> tuple[int, int]:
    """Row and column of the block with the most different captions; the surest of several."""

    def variety(corner: tuple[int, int]) -> tuple[int, float]:
        captions = block(tiles, *corner)
        return captions["caption"].nunique(), captions["confidence"].mean()

    rows, cols = range(max(1, tiles["row"].max() - ROWS + 2)), range(max(1, tiles["col"].max() - COLS + 2))
    return max(((row, col) for row in rows for col in cols), key=variety)


def draw(scene: Path, tiles: geopandas.GeoDataFrame) -> Image.Image:
    """The picture of up to `ROWS` x `COLS` tiles; `SIZE` pixels large."""
    left, _, _, top = tiles.total_bounds
    side = (tiles.bounds["maxx"] - tiles.bounds["minx"]).max()
    picture = Image.new("RGB", SIZE, PAPER)
    picture.paste(read(scene, (left, top - ROWS * side, left + COLS * side, top)), (0, 0))
    canvas = ImageDraw.Draw(picture)
    big, normal, small = (ImageFont.load_default(size) for size in (21, 19, 15))
    line_height = (SIZE[1] - 2 * MARGIN) / (ROWS * COLS)
    for number, tile in enumerate(tiles.itertuples(), start=1):
        corners = [
            ((x - left) * TILE / side, (top - y) * TILE / side) for x, y in np.array(tile.geometry.exterior.coords)
        ]
        canvas.line(corners, PAPER, 2)
        x, y = (min(values) + 22 for values in zip(*corners, strict=True))
        canvas.ellipse((x - 15, y - 15, x + 15, y + 15), PAPER)
        canvas.text((x, y), str(number), INK, big, "mm")
        x, y = COLS * TILE + MARGIN, MARGIN + (number - 0.5) * line_height
        canvas.text((x + 26, y), str(number), INK, big, "rm")
        canvas.text((x + 42, y - 9), tile.caption, INK, normal, "lm")
        canvas.text((x + 42, y + 11), tile.objects, FAINT, small, "lm")
    return picture.quantize(COLOURS, dither=Image.Dither.NONE)


def read(scene: Path, bounds: tuple[float, float, float, float]) -> Image.Image:
    """The scene between these bounds (left, bottom, right, top), as large as the block of tiles in the picture."""
    with rasterio.open(scene) as raster:
        pixels = raster.read(
            [1, 2, 3],
            window=from_bounds(*bounds, raster.transform),
            out_shape=(3, ROWS * TILE, COLS * TILE),
            resampling=Resampling.average,
            boundless=True,
        )
    return Image.fromarray(np.moveaxis(pixels, 0, -1))


if __name__ == "__main__":
    main()
