"""The page on refusals names all of them, with the exit codes that they have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rsmoe_cli.errors  # noqa: F401 - it adds to the tree
from rsmoe_cli.main import app
from rsmoe_core.errors import RsmoeError

PAGE = (Path(__file__).parents[1] / "docs/HOSTILE_INPUT.md").read_text(encoding="utf-8")
TABLE = dict(re.findall(r"^\| `(\w+Error)` \|.*\| (\d+) \|$", PAGE, re.MULTILINE))


def tree(kind: type[RsmoeError]) -> Iterator[type[RsmoeError]]:
    for below in kind.__subclasses__():
        yield below
        yield from tree(below)


KINDS = sorted(set(tree(RsmoeError)), key=lambda kind: kind.__name__)


def test_every_refusal_is_on_the_page() -> None:
    assert set(TABLE) == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_its_exit_code_is_as_the_page_says(
    kind: type[RsmoeError], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise kind("no; do this")

    monkeypatch.setattr("rsmoe_cli.pipeline.inputs.find_scenes", refuse)
    result = CliRunner().invoke(app, ["caption", "a.tif", "-o", str(tmp_path / "out.gpkg")])
    assert result.exit_code == int(TABLE[kind.__name__])
    assert result.stderr == "error: no; do this\n"
