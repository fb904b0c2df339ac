"""Scene → Tile → TileImage: the grid, and pixels read ahead along the blocks of the file."""
