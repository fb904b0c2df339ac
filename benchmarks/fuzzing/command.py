"""`rsmoe caption` in this process, with the engine of the tests."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.fuzzing.verdicts import REFUSED, TRACEBACK, Outcome

if TYPE_CHECKING:
    from typer.testing import Result

TILE = 48
"""Side of the tiles, in pixels."""


def caption(scene: Path, out: Path, *options: str) -> Result:
    """Run the command."""
    from typer.testing import CliRunner

    import rsmoe_core
    from rsmoe_cli.main import app

    arguments = ["caption", "--tile-size", str(TILE), "-o", str(out), *options, "--", str(scene)]
    with patch.dict(vars(rsmoe_core), load=lambda *_, **__: _engine()):
        return CliRunner().invoke(app, arguments)


def last_line(result: Result) -> str:
    """The last line that the command wrote for the user; without one, what it raised."""
    return (result.stderr.strip().splitlines() or [repr(result.exception)])[-1]


def refusal(result: Result) -> Outcome:
    """The outcome of a run that did not succeed: one line that begins with `error: `, or else a fault."""
    line = last_line(result)
    if result.exit_code not in (1, 2) or "unexpected" in result.stderr or not line.startswith("error: "):
        return TRACEBACK, line
    return REFUSED, line


@lru_cache(maxsize=1)
def _engine() -> Any:
    from tests.cli.fakes import FakeEngine

    return FakeEngine(batch_size=8)
