"""A scene and a labelled vector layer → images with captions and questions, in the project's plain format.

    layer ──▶ geometries in pixels of the scene ──▶ a square window around each ──▶ Sample

An image is what `rsmoe caption` would pass to the model for that window: same bands, mask and stretch, and invalid
pixels filled in the same way.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rsmoe_cli.prepare.labels import read_labels
from rsmoe_cli.raster.dataset import quiet_gdal
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.grid import Tile
from rsmoe_cli.tiles.image import TileFailure
from rsmoe_cli.tiles.reader import OVERSAMPLING, read_tile
from rsmoe_core.data.base import Question, Sample
from rsmoe_core.data.formats import plain
from rsmoe_core.errors import DataError
from rsmoe_core.preprocess import fill_unobserved
from rsmoe_core.questions.types import question_type

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from shapely.geometry.base import BaseGeometry

_GROUP_WINDOWS = (4, 2, 1)
"""Windows that begin in the same square of this many smallest windows a side form a group, since they may overlap. The
first number is taken for which no group is too large."""
_LARGEST_GROUP = 0.15
"""Share of a layer's images that a group has at most, so that a validation split can be made of whole groups."""

Skips = list[str]
"""One line for each feature without an image, with its number."""


@dataclass(frozen=True)
class Columns:
    """The columns of a layer to learn from: captions, answers to a question, or both."""

    caption: str | None = None
    """Column of captions."""
    answer: str | None = None
    """Column of answers: texts, whole numbers, or true and false."""
    question: str = ""
    """The question that they answer: one for all features, or the name of a column with one for each."""

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that the layer must have."""
        return tuple(name for name in (self.caption, self.answer) if name is not None)

    def caption_of(self, feature: Mapping[Hashable, object]) -> str | None:
        """The caption of a feature, by its columns; None if it has none."""
        text = feature[self.caption] if self.caption is not None else None
        return _text(text) if isinstance(text, str) else None

    def question_of(self, feature: Mapping[Hashable, object]) -> Question | None:
        """The question about a feature, with its answer; None if one of them is missing."""
        answer = _text(feature[self.answer]) if self.answer is not None else None
        text = _text(feature.get(self.question, self.question))
        return Question(text, answer, question_type(text)) if text and answer else None


def cut_chips(scene: Scene, labels: Path, columns: Columns, side: int, target: Path) -> tuple[int, Skips]:
    """Cut an image around each labelled feature into an empty folder; returns how many, and what was skipped.

    A window is a square around the centre of the feature's bounding box in the scene, of at least `side` pixels and
    large enough for the box. Features with the same window share an image. Features without text, off the scene or
    without valid pixels are skipped, and so are those that contradict the answer of an earlier feature in the same
    window.

    Raises:
        SceneError: the scene has no affine georeference with a CRS.
        UsageError: a column does not exist.
        DataError: the layer cannot be read or transformed, or gives no image at all.
    """
    found = read_labels(scene, labels, columns.required)
    layer = found.layer
    text_columns = " or ".join(name for name in (*columns.required, columns.question) if name in layer.columns)
    skipped: Skips = []
    windows: dict[Tile, list[int]] = defaultdict(list)
    features = layer.drop(columns=layer.geometry.name).to_dict("index")
    for number, geometry in layer.geometry.items():
        feature = features[number]
        if columns.caption_of(feature) is None and columns.question_of(feature) is None:
            skipped.append(f"feature {number}: no text in {text_columns}")
        elif number in found.problems:
            skipped.append(f"feature {number}: {found.problems[number]}")
        else:
            windows[_window(scene, geometry, side)].append(number)
    (target / "images").mkdir()
    groups = _groups(tuple(windows), side)
    samples = []
    with quiet_gdal(), scene.open() as dataset:
        for window, numbers in windows.items():
            path = target / "images" / f"{Path(scene.path).stem}_{numbers[0]}.png"
            if error := _cut(dataset, scene, window, side, path):
                skipped += [f"feature {number}: {error}" for number in numbers]
                continue
            captions = tuple(text for number in numbers if (text := columns.caption_of(features[number])) is not None)
            questions, contradictions = _consistent(
                {number: columns.question_of(features[number]) for number in numbers}
            )
            skipped += contradictions
            samples.append(Sample(path, "train", captions, group=groups[window], questions=questions))
    if not samples:
        raise DataError(
            f"{labels}: no feature gives an image of {scene.path} "
            f"({skipped[0] if skipped else 'empty'}); do they overlap?"
        )
    plain.write(target, samples)
    return len(samples), skipped


def _consistent(questions: Mapping[int, Question | None]) -> tuple[tuple[Question, ...], Skips]:
    """Each question about one image with its first answer, and a line for each feature with a different answer."""
    first: dict[str, tuple[int, Question]] = {}
    skipped: Skips = []
    for number, question in questions.items():
        if question is None:
            continue
        first_number, known = first.setdefault(question.text, (number, question))
        if known.answer != question.answer:
            skipped.append(f"feature {number}: contradicts the answer to '{question.text}' of feature {first_number}")
    return tuple(question for _, question in first.values()), skipped


def _text(value: object) -> str | None:
    """A cell of a layer as text, in lower case and with single spaces; None if it is empty."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float) and math.isfinite(value):  # whole numbers next to empty cells are read as floats
        return f"{value:g}" if value % 1 else str(int(value))
    return (" ".join(value.lower().split()) or None) if isinstance(value, str) else None


def _window(scene: Scene, geometry: BaseGeometry, side: int) -> Tile:
    """The square around a geometry in pixels that overlaps the scene, clipped to it."""
    left, top, right, bottom = geometry.bounds
    size = max(side, math.ceil(max(right - left, bottom - top)))
    x, y = (math.floor((low + high - size) / 2 + 0.5) for low, high in ((left, right), (top, bottom)))
    x_0, y_0 = max(0, x), max(0, y)
    width, height = min(x + size, scene.width) - x_0, min(y + size, scene.height) - y_0
    return Tile(0, 0, x_0, y_0, width, height, size, owned=(x_0, y_0, width, height))


def _cut(dataset: DatasetReader, scene: Scene, window: Tile, side: int, path: Path) -> str | None:
    """Write the image of a window; returns the error if there is none."""
    result = read_tile(dataset, scene, window, OVERSAMPLING * side)
    if isinstance(result, TileFailure):
        return result.error
    if not result.valid_pixels:
        return "no valid pixel"
    pixels = fill_unobserved(result.pixels, result.valid)
    Image.fromarray(scene.georeference.orientation.upright(pixels)).save(path)
    return None


def _groups(windows: Sequence[Tile], side: int) -> dict[Tile, str]:
    """The group of each window: those in one square of the scene, which is smaller where windows are few or close."""
    groups: dict[Tile, str] = {}
    for size in (side * count for count in _GROUP_WINDOWS):
        groups = {window: f"{window.y // size}-{window.x // size}" for window in windows}
        if max(Counter(groups.values()).values(), default=0) <= max(1, _LARGEST_GROUP * len(windows)):
            break
    return groups
