"""The best and the worst images of an evaluation on one page, each with its caption and its references."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rsmoe_core.data.base import Sample, read_image
from rsmoe_core.preprocess import resize

_IMAGE, _TEXT, _GAP = 160, 420, 8
"""Side of an image, width of the text beside it, and the space around both, in pixels."""
_LINE = 66
"""Characters of a line of text."""
_MAX_REFERENCES = 3


def contact_sheet(
    samples: Sequence[Sample], captions: Sequence[str], scores: NDArray[np.float64], rows: int = 8
) -> Image.Image:
    """The images with the highest scores on the left and with the lowest on the right; one score for each sample."""
    order = np.argsort(-scores, kind="stable").tolist()
    rows = min(rows, len(order))
    cell_width, cell_height = _IMAGE + _TEXT + 3 * _GAP, _IMAGE + _GAP
    sheet = Image.new("RGB", (2 * cell_width, rows * cell_height + _GAP), "white")
    for column, indices in enumerate((order[:rows], order[::-1][:rows])):
        for row, index in enumerate(indices):
            corner = (column * cell_width + _GAP, row * cell_height + _GAP)
            _draw(sheet, corner, samples[index], captions[index], float(scores[index]))
    return sheet


def _draw(sheet: Image.Image, corner: tuple[int, int], sample: Sample, caption: str, score: float) -> None:
    x, y = corner
    sheet.paste(Image.fromarray(resize(read_image(sample.image), _IMAGE)), corner)
    references = sample.unique_captions
    lines = [f"{sample.image.name}: {score:.2f}", *textwrap.wrap(caption, _LINE), ""]
    for reference in references[:_MAX_REFERENCES]:
        lines += textwrap.wrap(f"- {reference}", _LINE)
    if len(references) > _MAX_REFERENCES:
        lines.append(f"and {len(references) - _MAX_REFERENCES} more")
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((x + _IMAGE + _GAP, y), "\n".join(lines), fill="black", font=ImageFont.load_default(12))
