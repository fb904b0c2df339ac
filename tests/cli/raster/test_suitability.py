from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from affine import Affine
from typer.testing import Result

from rsmoe_cli.raster.scene import open_scene
from tests.cli.fakes import FakeEngine
from tests.cli.rasters import noise, rgb, write_raster

Cli = Callable[..., Result]


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("VV",), "are radar"),
        (("VV", "VH", "VV_VH_ratio"), "are radar"),
        (("ST_B10",), "are thermal"),
        (("Land surface temperature",), "are thermal"),
        (("",), "a single band is drawn in grey"),
    ],
)
def test_sensors_that_the_model_does_not_know_are_noted(tmp_path: Path, names: tuple[str, ...], note: str) -> None:
    path = write_raster(tmp_path / "a.tif", noise(len(names), 40, 40, "uint16"), descriptions=names)
    assert any(note in text for text in open_scene(path).notes)


@pytest.mark.parametrize(("metres", "note"), [(300, "coarser"), (0.02, "finer"), (30, None), (10, None), (0.1, None)])
def test_resolutions_that_the_model_does_not_know_are_noted(tmp_path: Path, metres: float, note: str | None) -> None:
    transform = Affine(metres, 0, 500_000, 0, -metres, 4_000_000)
    notes = open_scene(rgb(tmp_path / "a.tif", transform=transform)).notes
    assert [note in text for text in notes] == ([] if note is None else [True])


def test_the_layer_has_the_warnings(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif", transform=Affine(300, 0, 500_000, 0, -300, 4_000_000))
    result = rsmoe("caption", "a.tif", "-o", "out.geojson", "--tile-size", "32")
    assert "pixels of 300 m are coarser" in result.stderr
    layer = json.loads((tmp_path / "out.geojson").read_text())
    assert any("pixels of 300 m are coarser" in text for text in layer["metadata"]["warnings"])
