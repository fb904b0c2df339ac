"""A coarse map of a satellite scene: what kind of ground somebody saw in each of its square cells.

    {"cell": 64,
     "kinds": {"S": "sea", "R": "dense residential area", ...},
     "scenes": {"algiers": ["SSSS", "RRSS", ...], ...}}

`cell` is the side of a cell in pixels of the scene; each text is a row of cells, from the top, one letter a cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.collect import load
from rsmoe_core.data.ground import KINDS
from rsmoe_core.errors import DataError


@dataclass(frozen=True)
class GroundMap:
    """The ground of one scene."""

    cell: int
    """Side of a cell, in pixels of the scene."""
    rows: Sequence[Sequence[str]]
    """Kinds of ground, of `ground.KINDS`, from the top left; all rows are equally long."""

    def covers(self, height: int, width: int) -> bool:
        """Whether it has just the cells of a scene of so many pixels."""
        return (len(self.rows), len(self.rows[0])) == (-(-height // self.cell), -(-width // self.cell))

    def shares(self, top: int, left: int, side: int) -> Mapping[str, float]:
        """Kind of ground → its share of a square window of the scene, all in pixels."""
        down, right = self._reach(top, side, len(self.rows)), self._reach(left, side, len(self.rows[0]))
        found: dict[str, float] = defaultdict(float)
        for row, high in zip(self.rows, down, strict=True):
            for kind, wide in zip(row, right, strict=True):
                if high and wide:
                    found[kind] += float(high * wide)
        return {kind: area / sum(found.values()) for kind, area in found.items()}

    def _reach(self, start: int, side: int, cells: int) -> NDArray[np.int64]:
        """How many pixels of the window lie in each row, or column, of cells."""
        edges = np.clip(np.arange(cells + 1) * self.cell, start, start + side)
        return np.diff(edges)


def read_ground_maps(table: Path) -> dict[str, GroundMap]:
    """Name of a scene → its map. Raises DataError where the file is not as above."""
    cell, kinds, scenes = (load(table, key) for key in ("cell", "kinds", "scenes"))
    if not (type(cell) is int and cell > 0):
        raise DataError(f"{table}: 'cell' is no number of pixels: {cell!r}")
    if not isinstance(kinds, dict) or not isinstance(scenes, dict):
        raise DataError(f"{table}: 'kinds' and 'scenes' have to be objects")
    if unknown := [kind for kind in kinds.values() if kind not in KINDS]:
        raise DataError(f"{table}: no kind of ground is called {unknown[0]!r}; choose from: {', '.join(sorted(KINDS))}")
    return {name: GroundMap(cell, _rows(f"{table}: {name}", rows, kinds)) for name, rows in scenes.items()}


def _rows(place: str, rows: object, kinds: Mapping[str, str]) -> list[list[str]]:
    if not (isinstance(rows, list) and rows and all(isinstance(row, str) and row for row in rows)):
        raise DataError(f"{place}: expected a list of rows, one text each")
    if len({len(row) for row in rows}) > 1:
        raise DataError(f"{place}: its rows are not equally long")
    if unknown := sorted(set("".join(rows)) - kinds.keys()):
        raise DataError(f"{place}: '{unknown[0]}' is none of the letters in 'kinds'")
    return [[kinds[letter] for letter in row] for row in rows]
