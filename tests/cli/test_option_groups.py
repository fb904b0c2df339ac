from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from rsmoe_cli.option_groups import grouped


@dataclass(frozen=True)
class Place:
    """A group of options."""

    city: Annotated[str, typer.Option(help="Where.")]
    floor: Annotated[int, typer.Option(min=0)] = 1


@dataclass(frozen=True)
class Light:
    """Another one."""

    bright: Annotated[bool, typer.Option("--bright", "-b")] = False
    colour: Annotated[str | None, typer.Option()] = None


APP = typer.Typer()


@APP.command()
@grouped
def command(name: str, place: Place, loud: bool = False, light: Light = Light(colour="red")) -> None:
    """What it does."""
    print(name, place, loud, light, sep="\n")


@pytest.mark.parametrize(
    ("options", "place", "light"),
    [
        (["--city", "Rome"], Place("Rome"), Light(False, "red")),
        (["--city", "Rome", "--floor", "3", "-b", "--colour", "blue"], Place("Rome", 3), Light(True, "blue")),
    ],
)
def test_each_field_of_a_group_is_an_option_and_the_command_gets_one_value(
    options: list[str], place: Place, light: Light
) -> None:
    result = CliRunner().invoke(APP, ["me", *options])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == ["me", str(place), "False", str(light)]


@pytest.mark.parametrize("options", [[], ["--city", "Rome", "--floor", "-1"], ["--place", "Rome"]])
def test_the_options_of_a_group_are_checked(options: list[str]) -> None:
    assert CliRunner().invoke(APP, ["me", *options]).exit_code == 2


def test_help_and_defaults_of_the_fields_are_shown() -> None:
    text = " ".join(CliRunner().invoke(APP, ["--help"]).output.split())
    for expected in ("What it does.", "Where.", "[default: 1]", "[default: red]"):
        assert expected in text
