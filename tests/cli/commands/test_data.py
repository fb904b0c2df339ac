from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from rsmoe_core.data import read_dataset
from tests.cli.test_ports import BANDS, write_port

Cli = Callable[..., Result]


def test_prepare_says_how_many_pictures_it_wrote(rsmoe: Cli, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_port(tmp_path / "scenes", name)
    result = rsmoe("data", "prepare", "scenes", "-o", "ports", "--leave-out", "a", "--leave-out", "c", "--seed", 3)
    assert result.exit_code == 0
    assert result.stdout == ""
    samples = read_dataset(tmp_path / "ports").samples
    assert result.stderr.strip() == f"{len(samples)} pictures in ports"
    assert {(s.series, s.split) for s in samples} == {("a", "val"), ("b", "train"), ("c", "val")}


def test_refusals_are_one_line(rsmoe: Cli, tmp_path: Path) -> None:
    write_port(tmp_path / "bandless", "a", bands=BANDS[:3])
    write_port(tmp_path / "scenes", "a")
    (tmp_path / "empty").mkdir()
    for code, arguments in [
        (1, ("empty", "-o", "ports")),
        (1, ("bandless", "-o", "ports")),
        (1, ("scenes", "-o", "bandless")),
        (2, ("scenes", "-o", "ports", "--leave-out", "b")),
    ]:
        result = rsmoe("data", "prepare", *arguments)
        assert result.exit_code == code
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) == 1
        assert not (tmp_path / "ports").exists()


def test_usage(rsmoe: Cli) -> None:
    assert "prepare" in rsmoe("data", "--help").stdout
    assert rsmoe("data", "prepare", "scenes").exit_code == 2
