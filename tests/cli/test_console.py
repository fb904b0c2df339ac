from __future__ import annotations

import logging

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
