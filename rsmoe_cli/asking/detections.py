"""Objects detected in tiles → each object once in the scene. Pure arithmetic in scene pixels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from rsmoe_cli.tiles.grid import Tile


@dataclass(frozen=True)
class SceneDetection:
    """One object detected in a scene."""

    label: str
    """Name of the object in the singular."""
    x: float
    """Scene pixels from the left edge to its centre."""
    y: float
    """Likewise from the top edge."""
    confidence: float
    """Probability that it is one, 0-1."""
    nms_radius: float
    """Scene pixels within which no second object of this label can have its centre."""
    tile: Tile
    """The tile in which it was detected."""
    log_count_std: float = 0.0
    """Standard deviation of the logarithm of detected to true counts; see `rsmoe_core.types.Detection`."""

    @property
    def is_owned(self) -> bool:
        """Whether its centre is in the area that its tile owns."""
        return self.distance_to_owned == 0

    @property
    def distance_to_owned(self) -> float:
        """Distance of its centre from the area that its tile owns, in scene pixels along an axis; 0 inside."""
        left, top, width, height = self.tile.owned
        return max(left - self.x, self.x - (left + width), top - self.y, self.y - (top + height), 0)


def deduplicate(detections: Iterable[SceneDetection]) -> list[SceneDetection]:
    """Non-maximum suppression across tiles: every object once, the most confident first.

    A tile counts what is in the area that it owns, and beyond it up to the NMS radius: neighbours locate an object on
    the seam slightly differently, and each could leave it to the other. Two detections of one label in different tiles
    within the NMS radius are one object; the more confident one stays.
    """
    candidates = [one for one in detections if one.distance_to_owned <= one.nms_radius]
    objects = _UniqueObjects(max((one.nms_radius for one in candidates), default=0.0))
    for candidate in sorted(candidates, key=lambda one: (-one.confidence, not one.is_owned)):
        objects.add(candidate)
    return objects.detections


class _UniqueObjects:
    """Detections of different objects, in cells as wide as the largest NMS radius, so that only neighbouring cells are
    searched.
    """

    def __init__(self, max_radius: float) -> None:
        self.detections: list[SceneDetection] = []
        self._tile_ids: list[set[str]] = []
        """For each object, the tiles in which it was detected."""
        self._cells: dict[tuple[str, int, int], list[int]] = defaultdict(list)
        self._side = max(1.0, max_radius)

    def add(self, detection: SceneDetection) -> None:
        """Add a detection, unless another tile has detected the same object."""
        column, row = int(detection.x // self._side), int(detection.y // self._side)
        same = [
            (distance, index)
            for cell_row in (row - 1, row, row + 1)
            for cell_column in (column - 1, column, column + 1)
            for index in self._cells.get((detection.label, cell_column, cell_row), ())
            if (distance := self._distance(detection, index))
            <= max(detection.nms_radius, self.detections[index].nms_radius)
            and detection.tile.id not in self._tile_ids[index]  # two detections in one tile are two objects
        ]
        if same:
            self._tile_ids[min(same)[1]].add(detection.tile.id)
            return
        self._cells[detection.label, column, row].append(len(self.detections))
        self.detections.append(detection)
        self._tile_ids.append({detection.tile.id})

    def _distance(self, detection: SceneDetection, index: int) -> float:
        other = self.detections[index]
        return math.hypot(detection.x - other.x, detection.y - other.y)
