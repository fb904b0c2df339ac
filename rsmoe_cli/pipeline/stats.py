"""What became of the tiles of a scene: counted on the way, summed up at the end."""

from __future__ import annotations

from dataclasses import dataclass

from rsmoe_cli.tiles.image import TileImage, TileResult


@dataclass
class TileStats:
    """Counts of one run, so far."""

    told: int = 0
    """Tiles about which the engine said something."""
    skipped: int = 0
    """Tiles without a valid pixel."""
    failed: int = 0
    """Tiles that could not be read, or about which the engine said nothing."""
    error: str | None = None
    """Name of the first of them, and one line that says why."""
    seen_pixels: int = 0
    """Valid scene pixels, each counted once; a tile that could not be read counts in full."""
    told_pixels: int = 0
    """The part of them that lies in tiles about which the engine said something."""
    unplaced: int = 0
    """Rows without a footprint, because their ground is undefined in the output's reference system."""

    @property
    def coverage(self) -> float:
        """Share of the valid pixels that were told about, 0-1; 1 if there are none."""
        return self.told_pixels / self.seen_pixels if self.seen_pixels else 1.0

    def count(self, result: TileResult, said: object) -> None:
        """One more tile: `said` is a line (str) if it was lost, None if it has no valid pixel, else what was told."""
        if isinstance(said, str):
            self.error = self.error or f"{result.tile.id} {said}"
        self.add("blank" if said is None else "failed" if isinstance(said, str) else "ok", 1, seen_pixels(result))

    def add(self, status: str, tiles: int, pixels: int, unplaced: int = 0) -> None:
        """More tiles of one status: `ok`, `failed` or `blank`, with all the valid pixels that they own."""
        if status == "blank":
            self.skipped += tiles
            return
        self.seen_pixels += pixels
        self.unplaced += unplaced
        if status == "failed":
            self.failed += tiles
        else:
            self.told += tiles
            self.told_pixels += pixels


def seen_pixels(result: TileResult) -> int:
    """Valid scene pixels that a tile owns; all of them, if it could not be read."""
    return result.own_valid_pixels if isinstance(result, TileImage) else result.tile.own_pixels


@dataclass(frozen=True)
class Summary:
    """The outcome of one run."""

    scene: str
    """The scene as named by the user, or how many they were."""
    output: str
    """The file that was written."""
    model: str
    """Name of the model."""
    tiles: int
    """Tiles of the grid, of all scenes."""
    captioned: int
    """Tiles with a caption."""
    skipped: int
    """Tiles without a valid pixel."""
    failed: int
    """Tiles that could not be read or described."""
    resumed: int
    """Tiles of these that an earlier, interrupted run had left."""
    lost_scenes: int
    """Scenes that could not be opened."""
    seconds: float
    """Wall time of this run, from the first read to the finished file."""
    tiles_per_second: float
    """Tiles that this run did / seconds."""
    first_seconds: float
    """The part of the seconds until the first batch was kept; 0 if there was none."""
    waited_seconds: float
    """The part of the seconds in which the engine waited for tiles."""
    coverage: float
    """Valid pixels described / valid pixels seen, 0-1."""

    def __str__(self) -> str:
        earlier = f"{self.resumed} of them before; " if self.resumed else ""
        return (
            f"{self.captioned} of {self.tiles} tiles captioned, {self.skipped} blank, {self.failed} failed; {earlier}"
            f"{self.coverage:.1%} of the valid pixels described in {self.seconds:.1f} s "
            f"({self.tiles_per_second:.1f} tiles/s)\n{self.output}"
        )
