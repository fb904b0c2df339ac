"""The best and the worst pictures of an evaluation on one page, each with what was said and what people said."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rsmoe_core.data.base import Sample, read_image
from rsmoe_core.preprocess import resize

_PICTURE, _TEXT, _GAP = 160, 420, 8
"""Side of a picture, width of the text beside it, and the space around both, in pixels."""
_LETTERS = 66
"""Of a line of text."""
_REFERENCES = 3


def contact_sheet(
    samples: Sequence[Sample], captions: Sequence[str], scores: NDArray[np.float64], each: int = 8
) -> Image.Image:
    """The `each` best pictures on the left and the worst on the right, by their scores (one for each sample)."""
    order = np.argsort(-scores, kind="stable").tolist()
    each = min(each, len(order))
    cell_width, cell_height = _PICTURE + _TEXT + 3 * _GAP, _PICTURE + _GAP
    sheet = Image.new("RGB", (2 * cell_width, each * cell_height + _GAP), "white")
    for column, numbers in enumerate((order[:each], order[::-1][:each])):
        for row, number in enumerate(numbers):
            corner = (column * cell_width + _GAP, row * cell_height + _GAP)
            _draw(sheet, corner, samples[number], captions[number], float(scores[number]))
    return sheet


def _draw(sheet: Image.Image, corner: tuple[int, int], sample: Sample, caption: str, score: float) -> None:
    x, y = corner
    sheet.paste(Image.fromarray(resize(read_image(sample.image), _PICTURE)), corner)
    references = list(dict.fromkeys(sample.captions))
    lines = [f"{sample.image.name}: {score:.2f}", *textwrap.wrap(caption, _LETTERS), ""]
    for reference in references[:_REFERENCES]:
        lines += textwrap.wrap(f"- {reference}", _LETTERS)
    if len(references) > _REFERENCES:
        lines.append(f"and {len(references) - _REFERENCES} more")
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((x + _PICTURE + _GAP, y), "\n".join(lines), fill="black", font=ImageFont.load_default(12))
