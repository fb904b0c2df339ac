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
def test_nothing_that_is_printed_commands_the_terminal(
    capsys: pytest.CaptureFixture[str], text: str, shown: str
) -> None:
    assert console.printable(text) == shown
    console.say(text)
    console.set_level(logging.WARNING)
    logging.getLogger("rsmoe_cli").warning("%s", text)
    console.note(text)
    told = capsys.readouterr()
    assert told.out == f"{shown}\n"
    assert told.err == f"warning: {shown}\n{shown}\n"


def test_a_refusal_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    console.fail("a\nb\r\n\x1b[31mc")
    assert capsys.readouterr().err == "error: a b \\x1b[31mc\n"
