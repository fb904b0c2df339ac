from __future__ import annotations

import io
import logging
import sys

import pytest

from rsmoe_cli import console


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two roads\nand a river\t海 é", "two roads\nand a river\t海 é"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\x08", "a\\rb\\x08"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("\udcff.tif", "\\udcff.tif"),
    ],
)
def test_control_characters_are_escaped(capsys: pytest.CaptureFixture[str], text: str, shown: str) -> None:
    assert console.printable(text) == shown
    console.print_result(text)
    console.set_level(logging.WARNING)
    logging.getLogger("rsmoe_cli").warning("%s", text)
    console.print_note(text)
    printed = capsys.readouterr()
    assert printed.out == f"{shown}\n"
    assert printed.err == f"warning: {shown}\n{shown}\n"


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_error("a\nb\r\n\x1b[31mc")
    assert capsys.readouterr().err == "error: a b \\x1b[31mc\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [("NO_COLOR", "1", True), ("NO_COLOR", "", False), ("TERM", "dumb", True), ("TERM", "xterm", False)],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, plain: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr", Terminal())
    console.print_error("no")
    console.set_level(logging.WARNING)
    logging.getLogger("rsmoe_cli").warning("careful")
    printed = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert ("\x1b[" in printed) != plain
    assert "error: no" in printed
    assert "warning: careful" in printed


def advance(times: int, clock: list[float], note: str = "", **more: object) -> None:
    """Three tiles every ten seconds."""
    with console.progress_bar(60, "tile", "caption", done=30, **more) as update:  # type: ignore[arg-type]
        for _ in range(times):
            clock[0] += 10
            update(3, note)


@pytest.mark.parametrize("term", [None, "dumb"])
def test_progress_in_logs_is_a_line_every_half_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], term: str | None
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr(console, "_last_progress", 0.0)
    if term is not None:
        monkeypatch.setenv("TERM", term)
        monkeypatch.setattr("sys.stderr", Terminal())
    console.set_level(logging.WARNING)
    advance(2, clock)
    advance(6, clock, "loss 1.2")
    advance(9, clock, shown=False)
    printed = sys.stderr.getvalue() if term is not None else capsys.readouterr().err  # type: ignore[attr-defined]
    assert printed.splitlines() == [
        "caption: 33 of 60 tiles (55%), loss 1.2",
        "caption: 42 of 60 tiles (70%), loss 1.2",
    ]


def test_what_is_printed_during_progress_has_lines_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr("sys.stdout", sys.stderr)
    console.set_level(logging.WARNING)
    with console.progress_bar(3, "scene", "ask") as advance:
        advance(1)
        logging.getLogger("rsmoe_cli").warning("careful")
        console.print_result("a.tif: yes")
        advance(0, "scene 2: 4 of 9 tiles")
    printed = sys.stderr.getvalue()  # type: ignore[attr-defined]
    *lines, bar, _ = [line.split("\r")[-1] for line in printed.split("\n")]
    assert lines == ["warning: careful", "a.tif: yes"]
    assert bar.startswith("ask:  33%|")
    assert "scene 2: 4 of 9 tiles]" in bar


def test_a_quiet_run_shows_no_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    console.set_level(logging.ERROR)
    advance(9, clock)
    assert capsys.readouterr().err == ""
