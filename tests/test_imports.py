"""Which module may import what: no circles, nothing of files or the terminal in the core, no heavy library for help."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("rsmoe_core", "rsmoe_cli")
SCENE_SIDE = {"rasterio", "typer", "geopandas", "pyogrio", "shapely", "rsmoe_cli"}
HEAVY = {"torch", "transformers", "rasterio", "geopandas", "pandas", "pyproj", "shapely"}
SLOW = {"transformers", "peft", "accelerate"}


def is_type_checking(node: ast.AST) -> bool:
    """Whether a node is `if TYPE_CHECKING:`, whose body is never executed."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those for type checkers; functions included."""
    for node in ast.iter_child_nodes(tree):
        if not is_type_checking(node):
            yield node
            yield from executed(node)


@cache
def imports(path: Path, type_checking: bool = False) -> frozenset[tuple[str, str]]:
    """The imports of a file, wherever in it: `("a.b", "")` for `import a.b`, `("a.b", "c")` for `from a.b import c`.

    `type_checking` includes what only type checkers see.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[tuple[str, str]] = set()
    for node in ast.walk(tree) if type_checking else executed(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {(node.module or "", alias.name) for alias in node.names}
    return frozenset(found)


def top_level(path: Path) -> set[str]:
    """The libraries and packages that a file imports anything of."""
    return {module.split(".")[0] for module, _ in imports(path, type_checking=True)}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def graph() -> dict[str, set[str]]:
    """Module → the project's modules that it imports."""
    modules = {module_name(path): path for package in PACKAGES for path in sources(package)}
    return {name: {target(*one, modules) for one in imports(path)} & modules.keys() for name, path in modules.items()}


def target(module: str, name: str, modules: dict[str, Path]) -> str:
    """The module that an import needs: of `from a.b import c`, `a.b.c` where that is a module."""
    return f"{module}.{name}" if f"{module}.{name}" in modules else module


def circle(modules: dict[str, set[str]]) -> str:
    """A path of imports that leads back to where it begins; empty where there is none."""
    try:
        TopologicalSorter(modules).prepare()
    except CycleError as error:
        return " imports ".join(reversed(error.args[1]))
    return ""


def test_there_is_no_import_circle() -> None:
    assert circle({"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": set()}).count(" imports ") == 3
    assert not circle(graph())


def test_the_import_graph_is_read_right() -> None:
    modules = graph()
    assert "rsmoe_core.model.rsmoe" in modules["rsmoe_core.backends.native"]
    assert "rsmoe_core.model.lora" in modules["rsmoe_core.model.rsmoe"], "also what a function imports"
    assert "rsmoe_core.model" not in modules["rsmoe_core.model.rsmoe"]
    assert "rsmoe_core.engine" not in modules["rsmoe_core"], "what only type checkers see does not count"
    assert modules["rsmoe_core.errors"] == set()


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("rsmoe_core.inference", ("rsmoe_core.data", "rsmoe_core.training")),
        ("rsmoe_core.model", ("rsmoe_core.data", "rsmoe_core.training")),
        ("rsmoe_core.engine", ("rsmoe_core.data", "rsmoe_core.training")),
        ("rsmoe_core.data", ("rsmoe_core.metrics", "rsmoe_core.model", "rsmoe_core.training")),
    ],
)
def test_packages_are_layers(package: str, forbidden: tuple[str, ...]) -> None:
    def is_in(module: str, packages: tuple[str, ...]) -> bool:
        return any(module == one or module.startswith(f"{one}.") for one in packages)

    paths = [path for path in sources("rsmoe_core") if is_in(module_name(path), (package,))]
    assert paths
    found = {
        f"{module_name(path)} imports {name} of {module}"
        for path in paths
        for module, name in imports(path, type_checking=True)
        if is_in(f"{module}.{name}", forbidden)
    }
    assert not found


def test_a_tile_goes_forward_through_the_folders() -> None:
    journey = ("raster", "tiles", "formats", "pipeline", "captioning", "asking", "commands")
    assert all((ROOT / "rsmoe_cli" / folder).is_dir() for folder in journey)
    later = {journey[at]: set(journey[at + 1 :]) for at in range(len(journey))} | {"asking": {"captioning", "commands"}}
    found = {
        f"{module} imports {imported}"
        for module, all_imported in graph().items()
        for imported in all_imported
        if module.split(".")[1:]
        and imported.startswith("rsmoe_cli.")
        and imported.split(".")[1] in later.get(module.split(".")[1], set())
    }
    assert not found


def test_one_module_imports_peft() -> None:
    paths = [path for package in PACKAGES for path in sources(package)]
    assert [module_name(path) for path in paths if "peft" in top_level(path)] == ["rsmoe_core.model.lora"]


@pytest.mark.parametrize("path", sources("rsmoe_core"), ids=module_name)
def test_the_core_imports_nothing_of_the_scene_side(path: Path) -> None:
    assert not SCENE_SIDE & top_level(path)


@pytest.mark.parametrize("path", sources("rsmoe_cli"), ids=module_name)
def test_only_the_command_line_imports_typer(path: Path) -> None:
    part = path.relative_to(ROOT / "rsmoe_cli").parts[0]
    if part not in {"main.py", "options.py", "console.py", "commands"}:
        assert "typer" not in top_level(path)


def test_one_module_opens_rasters() -> None:
    opens = re.compile(r'rasterio\.open\((?!path, "w")')
    paths = [path for path in sources("rsmoe_cli") if opens.search(path.read_text(encoding="utf-8"))]
    assert [module_name(path) for path in paths] == ["rsmoe_cli.raster.dataset"]


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(result.stdout.split())


def test_the_command_line_starts_without_heavy_libraries() -> None:
    assert not HEAVY & loaded_by("rsmoe_cli.main")


def test_the_core_loads_nothing_of_the_scene_side() -> None:
    assert not SCENE_SIDE & loaded_by("rsmoe_core, rsmoe_core.types, rsmoe_core.errors")


def test_an_engine_starts_without_what_only_training_needs() -> None:
    assert not SLOW & loaded_by("rsmoe_core.engine")


@pytest.mark.parametrize("command", [["train", "--stage", "1", "--preset", "tiny"], ["finetune", "nano"]], ids=" ".join)
def test_models_are_trained_where_no_scene_can_be_read(command: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['rasterio', 'geopandas', 'pyogrio', 'shapely']));"
        "from rsmoe_cli.main import main; main()"
    )
    arguments = [*command, "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 1
    assert "none: no such folder" in result.stderr
