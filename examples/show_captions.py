"""Print what is in a caption file: `python examples/show_captions.py OUT.gpkg [NUMBER]`.

Any GIS library can read what rsmoe writes; this uses geopandas.
"""

from __future__ import annotations

import sys
from pathlib import Path

import geopandas


def main(path: Path, number: int = 12) -> None:
    """Show the columns, and the caption and drafts of `number` tiles spread over the scene."""
    tiles = geopandas.read_file(path, layer="captions")
    print(f"{path}: {len(tiles)} tiles in {tiles.crs}; columns: {', '.join(tiles.columns)}\n")
    for _, tile in tiles.iloc[:: max(1, len(tiles) // number)].iterrows():
        x, y = tile.geometry.centroid.x, tile.geometry.centroid.y
        print(f"row {tile['row']}, column {tile['col']} at ({x:.0f}, {y:.0f}), confidence {tile.confidence:.2f}")
        print(f"  {tile.caption}")
        print(f"  theme: {tile.theme} | objects: {tile.objects} | relations: {tile.relations}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:3]))
