"""Text from models, data sets and files is never interpreted: not by a terminal, a table or an output format."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pytest
from typer.testing import Result

from rsmoe_cli.reports import Table
from rsmoe_core.checkpoint.load import save_model
from rsmoe_core.types import Description
from tests.cli.fakes import FakeEngine
from tests.cli.rasters import rgb
from tests.tiny import make_tiny

Cli = Callable[..., Result]
NASTY = (
    '=HYPERLINK("http://x")<script>alert(1)</script>[/bold]\x1b[2J","properties":{}}\'); DROP TABLE captions;--\u202e'
)


@pytest.mark.parametrize("out", ["out.geojson", "out.gpkg", "out.fgb"])
def test_a_caption_is_stored_unchanged(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.setattr(engine, "describe", lambda requests: [Description(NASTY, confidence=0.5) for _ in requests])
    rgb(tmp_path / "a.tif")
    result = rsmoe("caption", "a.tif", "-o", out, "--tile-size", "32")
    assert result.exit_code == 0, result.stderr
    table = gpd.read_file(tmp_path / out)
    assert len(table) > 4
    assert set(table["caption"]) == {NASTY}
    assert "\x1b" not in result.stderr


def test_a_data_set_cannot_control_the_terminal(rsmoe: Cli, tmp_path: Path) -> None:
    root = tmp_path / "[bold]set"
    root.mkdir()
    rgb(root / "a.tif")
    row = {"image": "a.tif", "split": "train", "captions": [NASTY], "scene_class": NASTY}
    lost = {"image": f"{NASTY}.png", "split": "train", "captions": ["a road"]}
    (root / "annotations.jsonl").write_text("\n".join(map(json.dumps, (row, lost))))
    result = rsmoe("data", "inspect", root.name, "--samples", "1")
    assert result.exit_code == 0, result.stderr
    for control in ("\x1b", "\u202e"):
        assert control not in result.output
    assert root.name in result.output
    assert "<script>" in result.output


def test_a_model_card_cannot_control_the_terminal(rsmoe: Cli, tmp_path: Path) -> None:
    save_model(make_tiny(), tmp_path / "[bold]model")
    (tmp_path / "[bold]model" / "README.md").write_text(NASTY)
    result = rsmoe("models", "show", "[bold]model")
    assert result.exit_code == 0, result.stderr
    assert "\x1b" not in result.output
    assert "<script>" in result.output


def test_a_table_cell_is_escaped(tmp_path: Path) -> None:
    lines = Table("t", ("what",), (("a | b\n# c <img src=x> [d](e) `f`",),)).markdown().splitlines()
    assert len(lines) == 5
    assert lines[-1].strip("| ") == "a \\| b # c \\<img src=x> \\[d\\](e) \\`f\\`"


def test_a_file_name_that_is_not_text_is_an_error_of_one_line(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    name = os.fsdecode(b"\xff.tif")
    os.rename(tmp_path / "a.tif", tmp_path / name)
    for words in (("caption", name, "-o", "out.gpkg"), ("caption", ".", "-o", "out.geojson")):
        result = rsmoe(*words)
        assert result.exit_code == 1
        assert "unexpected" not in result.stderr
        assert len(result.stderr.splitlines()) == 1
    rgb(tmp_path / "b.tif")
    result = rsmoe("caption", "b.tif", "-o", os.fsdecode(b"\xfe.gpkg"), "--tile-size", "32")
    assert result.exit_code in (1, 2)
    assert "unexpected" not in result.stderr
