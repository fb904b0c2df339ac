from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from typer.testing import Result

from rsmoe_core.errors import ModelError, UsageError

Cli = Callable[..., Result]


def test_help_lists_the_commands_and_goes_to_stdout(rsmoe: Cli) -> None:
    result = rsmoe("--help")
    assert result.exit_code == 0
    assert "caption" in result.stdout


def test_version(rsmoe: Cli) -> None:
    result = rsmoe("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("rsmoe 0.")


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("say what\nyou mean"), 2), (ModelError("damaged"), 1), (KeyboardInterrupt(), 130)],
)
def test_refusals_become_one_line_and_an_exit_code(
    rsmoe: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("rsmoe_cli.formats.output.check_output", refuse)
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg")
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [("--debug", "caption"), ("caption", "--debug")])
def test_what_nobody_thought_of_is_one_line_too_and_a_traceback_for_those_who_ask(
    rsmoe: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("quite\nunthinkable")

    monkeypatch.setattr("rsmoe_cli.formats.output.check_output", fail)
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg")
    assert result.exit_code == 1
    line = "error: unexpected RuntimeError: quite unthinkable; run again with --debug and report it\n"
    assert result.stderr == line
    result = rsmoe(*words, "a.tif", "-o", "out.gpkg")
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith(line)


def test_unknown_options_are_usage_errors(rsmoe: Cli) -> None:
    assert rsmoe("caption", "a.tif", "-o", "out.gpkg", "--sing").exit_code == 2
    assert rsmoe("sing").exit_code == 2


def test_help_is_quick() -> None:
    command = [sys.executable, "-c", "from rsmoe_cli.main import main; main()", "--help"]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1.0, "half a second is promised; a busy machine gets twice that"
