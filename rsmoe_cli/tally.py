"""What became of the tiles of a scene: counted on the way, summed up at the end."""

from __future__ import annotations

from dataclasses import dataclass

from rsmoe_cli.reading import TileImage, TileResult


@dataclass
class Tally:
    """Counts of one run, so far."""

    captioned: int = 0
    """Tiles with a caption."""
    skipped: int = 0
    """Tiles without a valid pixel."""
    failed: int = 0
    """Tiles that could not be read or described."""
    seen_pixels: int = 0
    """Valid scene pixels, each counted once; a tile that could not be read counts in full."""
    described_pixels: int = 0
    """The part of them that lies in tiles with a caption."""

    unplaced: int = 0
    """Rows without a footprint, because their ground is undefined in the output's reference system."""

    @property
    def coverage(self) -> float:
        """Share of the valid pixels that were described, 0-1; 1 if there are none."""
        return self.described_pixels / self.seen_pixels if self.seen_pixels else 1.0

    def count_captioned(self, image: TileImage) -> None:
        """One more tile with a caption."""
        self.captioned += 1
        self.seen_pixels += image.own_valid_pixels
        self.described_pixels += image.own_valid_pixels

    def count_failed(self, result: TileResult) -> None:
        """One more tile that was lost, at reading or at describing."""
        self.failed += 1
        self.seen_pixels += result.own_valid_pixels if isinstance(result, TileImage) else result.tile.own_pixels

    def count_skipped(self) -> None:
        """One more tile without a valid pixel."""
        self.skipped += 1


@dataclass(frozen=True)
class Summary:
    """The outcome of one run."""

    scene: str
    """The scene as named by the user."""
    output: str
    """The file that was written."""
    model: str
    """Name of the model."""
    tiles: int
    """Tiles of the grid."""
    captioned: int
    """Tiles with a caption."""
    skipped: int
    """Tiles without a valid pixel."""
    failed: int
    """Tiles that could not be read or described."""
    seconds: float
    """Wall time from the first read to the finished file."""
    tiles_per_second: float
    """All tiles of the grid / seconds."""
    coverage: float
    """Valid pixels described / valid pixels seen, 0-1."""

    def __str__(self) -> str:
        return (
            f"{self.captioned} of {self.tiles} tiles captioned, {self.skipped} blank, {self.failed} failed; "
            f"{self.coverage:.1%} of the valid pixels described in {self.seconds:.1f} s "
            f"({self.tiles_per_second:.1f} tiles/s)\n{self.output}"
        )
