"""What became of the tiles of a scene or a run: counted on the way, summarised at the end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TileStats:
    """Counts of tiles and of their valid pixels."""

    answered: int = 0
    """Tiles for which the engine returned a caption or an answer."""
    skipped: int = 0
    """Tiles without a valid pixel."""
    failed: int = 0
    """Tiles that could not be read, captioned or answered."""
    error: str | None = None
    """Name and error of the first failed tile, where it is known."""
    valid_pixels: int = 0
    """Valid scene pixels, each counted once; a tile that could not be read counts in full."""
    answered_pixels: int = 0
    """The part of them that lies in answered tiles."""

    @property
    def tiles(self) -> int:
        """All tiles."""
        return self.answered + self.skipped + self.failed

    @property
    def coverage(self) -> float:
        """Share of the valid pixels that lies in answered tiles, 0-1; 1 if there are no valid pixels."""
        return self.answered_pixels / self.valid_pixels if self.valid_pixels else 1.0

    def add(self, status: str, tiles: int, pixels: int) -> None:
        """Add tiles with one status, `ok`, `failed` or `blank`, and all the valid pixels that they own."""
        if status == "blank":
            self.skipped += tiles
            return
        self.valid_pixels += pixels
        if status == "failed":
            self.failed += tiles
        else:
            self.answered += tiles
            self.answered_pixels += pixels


@dataclass(frozen=True)
class RunSummary:
    """The result of one captioning run, as `--json` prints it."""

    scene: str
    """The scene as named by the user, or the number of scenes."""
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
    """Tiles that could not be read or captioned."""
    resumed: int
    """The part of the tiles that an earlier, interrupted run had done."""
    failed_scenes: int
    """Scenes that could not be opened."""
    seconds: float
    """Wall time of this run, from the first read to the finished file."""
    tiles_per_second: float
    """Tiles of this run / seconds."""
    first_seconds: float
    """Seconds until the first batch was recorded; 0 if there was none."""
    waited_seconds: float
    """Seconds for which the engine waited for tiles."""
    coverage: float
    """Valid pixels captioned / valid pixels, 0-1."""
    warnings: tuple[str, ...]
    """What the user should know about the scenes, each once; with the names of scenes where there are several."""
    calls_per_tile: float = 0.0
    """Texts that the model generated in this run / tiles that it saw."""
    prompt_tokens_per_tile: float = 0.0
    """Tokens that it read for them, those of images included; 0 where a server does not say."""
    generated_tokens_per_tile: float = 0.0
    """Tokens that it generated."""

    def cost(self) -> str:
        """What a tile costs, in one line; empty where no tile was run."""
        if not self.calls_per_tile:
            return ""
        calls = f"{self.calls_per_tile:.3g} call{'s' if self.calls_per_tile != 1 else ''}"
        return (
            f"per tile: {calls}, {self.prompt_tokens_per_tile:.0f} tokens read, "
            f"{self.generated_tokens_per_tile:.0f} generated"
        )

    def __str__(self) -> str:
        earlier = f"{self.resumed} of them in an earlier run; " if self.resumed else ""
        return (
            f"{self.captioned} of {self.tiles} tiles captioned, {self.skipped} blank, {self.failed} failed; {earlier}"
            f"{self.coverage:.1%} of the valid pixels captioned in {self.seconds:.1f} s "
            f"({self.tiles_per_second:.1f} tiles/s)\n{self.output}"
        )
