from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from rsmoe_core.data.base import Sample
from rsmoe_core.evaluation.contact_sheet import contact_sheet

GREEN, RED, BLUE = (0, 200, 0), (200, 0, 0), (0, 0, 200)


def samples(folder: Path) -> list[Sample]:
    found = []
    for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        Image.new("RGB", (20, 20), colour).save(folder / f"{name}.png")
        found.append(Sample(folder / f"{name}.png", "test", tuple(f"a {name} field number {n} ." for n in range(5))))
    return found


def test_the_best_are_on_the_left_and_the_worst_on_the_right(tmp_path: Path) -> None:
    sheet = contact_sheet(samples(tmp_path), ["a field ."] * 3, np.array([0.1, 2.0, 1.0]), rows=2)
    pixels = np.asarray(sheet)
    half = sheet.width // 2
    heights = (60, sheet.height // 2 + 60)
    assert [tuple(pixels[row, 60]) for row in heights] == [GREEN, BLUE]
    assert [tuple(pixels[row, half + 60]) for row in heights] == [RED, BLUE]
    assert (pixels[:160, 190:half] < 128).any(), "text beside the image"


def test_a_few_images_are_enough(tmp_path: Path) -> None:
    sheet = contact_sheet(samples(tmp_path)[:1], [""], np.array([0.0]))
    assert sheet.height < 200
