"""Fixtures for the command line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rsmoe_cli import console
from rsmoe_cli.main import app
from tests.cli.fakes import FakeEngine, replace_load


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A fake engine that `rsmoe_core.load` returns for every model."""
    fake = FakeEngine()
    replace_load(monkeypatch, lambda name, **_: fake)
    return fake


@pytest.fixture
def rsmoe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Runs the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "_last_progress", 0.0)
    yield lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])
    for name in ("", "rsmoe_cli", "rsmoe_core"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.captureWarnings(False)
