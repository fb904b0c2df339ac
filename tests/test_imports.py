"""Who may import what: the core knows no files and no terminal, and help needs no heavy library."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = {"rasterio", "typer", "geopandas", "pyogrio", "shapely", "rsmoe_cli"}
HEAVY = {"torch", "transformers", "rasterio", "geopandas", "pandas", "pyproj", "shapely"}
SLOW = {"transformers", "peft", "accelerate"}


def imported(path: Path) -> Iterator[str]:
    """Top-level names of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", sources("rsmoe_core"), ids=str)
def test_core_knows_no_ground(path: Path) -> None:
    assert not GROUND & set(imported(path))


@pytest.mark.parametrize("path", sources("rsmoe_cli"), ids=str)
def test_only_the_command_line_imports_typer(path: Path) -> None:
    place = path.relative_to(ROOT / "rsmoe_cli")
    if place.parts[0] not in {"main.py", "options.py", "console.py", "commands"}:
        assert "typer" not in set(imported(path))


@pytest.mark.parametrize("path", sources("rsmoe_cli"), ids=str)
def test_one_place_opens_rasters(path: Path) -> None:
    reads = re.search(r'rasterio\.open\((?!path, "w")', path.read_text(encoding="utf-8"))
    assert bool(reads) == (path.parts[-2:] == ("raster", "dataset.py"))


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(result.stdout.split())


def test_the_command_line_starts_without_heavy_libraries() -> None:
    assert not HEAVY & loaded_by("rsmoe_cli.main")


def test_core_loads_no_ground() -> None:
    assert not GROUND & loaded_by("rsmoe_core, rsmoe_core.types, rsmoe_core.errors")


def test_an_engine_starts_without_what_only_training_needs() -> None:
    assert not SLOW & loaded_by("rsmoe_core.engine")


@pytest.mark.parametrize("command", [["train", "--stage", "1", "--preset", "tiny"], ["finetune", "nano"]], ids=" ".join)
def test_pictures_are_learned_from_where_no_scene_can_be_read(command: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['rasterio', 'geopandas', 'pyogrio', 'shapely']));"
        "from rsmoe_cli.main import main; main()"
    )
    told = [*command, "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    result = subprocess.run([sys.executable, "-c", code, *told], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 1
    assert "none: no such folder" in result.stderr
