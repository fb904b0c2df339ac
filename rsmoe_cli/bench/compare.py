"""The loops, one after the other, round by round, so that a machine that slows down slows all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from rsmoe_cli.bench.run import Measured, measure


@dataclass(frozen=True)
class Contest:
    """What the loops did with one scene."""

    rounds: tuple[dict[str, Measured], ...]
    """Each round's run of each loop."""
    captions: dict[str, dict[str, str]]
    """What each loop said of each tile, by tile id."""
    product_flops: tuple[float, ...]
    """Floating-point operations a second of large matrix products, before each round and after the last."""

    def median_of(self, loop: str, figure: Callable[[Measured], float]) -> float:
        """The median of a figure of a loop over the rounds."""
        return median(figure(runs[loop]) for runs in self.rounds)

    def ratios(self, loop: str, other: str) -> list[float]:
        """How many times as fast as another loop one was, in each round."""
        return [runs[loop].speed / runs[other].speed for runs in self.rounds]

    def efficiencies(self, loop: str, tile_flops: float) -> list[float]:
        """What a loop made of the speed that the machine had around each round, if a tile needs `tile_flops`."""
        around = [(before + after) / 2 for before, after in pairwise(self.product_flops)]
        return [tile_flops * runs[loop].speed / flops for runs, flops in zip(self.rounds, around, strict=True)]

    def alike(self, loop: str, other: str) -> float:
        """Share of the tiles of which two loops say the same, 0-1; a tile that one of them lacks differs."""
        one, two = self.captions[loop], self.captions[other]
        tiles = one.keys() | two.keys()
        return sum(one.get(tile) == two.get(tile) for tile in tiles) / len(tiles)


def hold(
    loops: Sequence[str],
    scene: str,
    model: str,
    tile_size: int,
    rounds: int,
    folder: Path,
    product_flops: Callable[[], float],
    tell: Callable[[str], None],
) -> Contest:
    """Runs every loop `rounds` times over a scene. `product_flops` tells how fast the machine is at that moment, `tell`
    gets a line after each run; outputs go to `folder`. Raises RsmoeError if a loop fails.
    """
    done: list[dict[str, Measured]] = []
    flops = [product_flops()]
    for number in range(rounds):
        done.append({})
        for loop in loops:
            found = measure(loop, scene, _output(folder, loop), model, tile_size)
            tell(f"round {number + 1} of {rounds}, {loop}: {found.speed:.2f} captions/s")
            done[-1][loop] = found
        flops.append(product_flops())
    return Contest(tuple(done), {loop: _captions(_output(folder, loop)) for loop in loops}, tuple(flops))


def _output(folder: Path, loop: str) -> Path:
    return folder / f"{loop}.gpkg"


def _captions(path: Path) -> dict[str, str]:
    import pyogrio

    frame = pyogrio.read_dataframe(path, read_geometry=False, columns=["tile_id", "caption"])
    return dict(zip(frame["tile_id"], frame["caption"], strict=True))
