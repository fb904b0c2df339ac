from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from rsmoe_core.errors import ModelError, UsageError

Cli = Callable[..., Result]
_SCRIPT = """
import ctypes, sys, threading
from rsmoe_cli.main import limit_malloc_arenas
if sys.argv[2] == "limited":
    limit_malloc_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
barrier = threading.Barrier(8)
def allocate():
    barrier.wait()
    libc.malloc(100)
threads = [threading.Thread(target=allocate) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


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
def test_errors_become_one_line_and_an_exit_code(
    rsmoe: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("rsmoe_cli.pipeline.inputs.find_scenes", refuse)
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg")
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [("--debug", "caption"), ("caption", "--debug")])
def test_unexpected_errors_are_one_line_too_and_a_traceback_with_debug(
    rsmoe: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("quite\nunthinkable")

    monkeypatch.setattr("rsmoe_cli.pipeline.inputs.find_scenes", fail)
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
    assert min(seconds) < 1.0, "half a second is the aim; a busy machine gets twice that"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_share_two_malloc_arenas(tmp_path: Path) -> None:
    def arenas(how: str) -> int:
        info = tmp_path / how
        subprocess.run([sys.executable, "-c", _SCRIPT, str(info), how], check=True)
        return info.read_text().count("<heap nr=")

    assert arenas("unlimited") > 2
    assert arenas("limited") <= 2


@pytest.mark.parametrize("words", [(), ("-h",), ("models",), ("models", "-h"), ("data",), ("evaluate",), ("ask", "-h")])
def test_help_is_what_is_printed_where_no_command_is_given(rsmoe: Cli, words: tuple[str, ...]) -> None:
    result = rsmoe(*words)
    assert result.exit_code == 0
    assert result.stdout == rsmoe(*(word for word in words if word != "-h"), "--help").stdout
    assert "Usage:" in result.stdout
    assert result.stderr == ""
