"""The page on untrusted input lists every error class with its exit code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rsmoe_cli.errors  # noqa: F401 - defines more subclasses
from rsmoe_cli.main import app
from rsmoe_core.errors import RsmoeError

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/HOSTILE_INPUT.md").read_text(encoding="utf-8")
EXIT_CODES = dict(re.findall(r"^\| `(\w+Error)` \|.*\| (\d+) \|$", PAGE, re.MULTILINE))


def subclasses(error: type[RsmoeError]) -> Iterator[type[RsmoeError]]:
    for subclass in error.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


ERRORS = sorted(set(subclasses(RsmoeError)), key=lambda error: error.__name__)


def test_every_error_is_on_the_page() -> None:
    assert set(EXIT_CODES) == {error.__name__ for error in ERRORS}


@pytest.mark.parametrize("error", ERRORS)
def test_exit_codes_are_those_of_the_page(
    error: type[RsmoeError], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error("no; do this")

    monkeypatch.setattr("rsmoe_cli.pipeline.inputs.find_scenes", refuse)
    result = CliRunner().invoke(app, ["caption", "a.tif", "-o", str(tmp_path / "out.gpkg")])
    assert result.exit_code == int(EXIT_CODES[error.__name__])
    assert result.stderr == "error: no; do this\n"


@pytest.mark.parametrize("page", ["docs/HOSTILE_INPUT.md", "docs/RELIABILITY.md"])
def test_the_tests_that_pages_name_exist(page: str) -> None:
    for name in re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py)`", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / name).is_file(), name
