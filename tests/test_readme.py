"""What the documentation tells people to type works: the commands, options, links and code of all pages."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas
import numpy as np
import pytest
from click import Context
from typer.main import get_command

from rsmoe_cli.main import app
from tests.cli.rasters import write_raster

ROOT = Path(__file__).parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
    "examples/README.md",
    "benchmarks/RESULTS.md",
    "rsmoe_core/models/nano/README.md",
]
SMALL = "--size 672"
"""The scene at a third of its resolution, which is rendered and captioned nine times as fast."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Fenced blocks of one language. Those marked `sh` are run, those marked `console` are only parsed."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[list[str]]:
    """Command lines in a page's blocks, without comments."""
    lines = [line for language in ("sh", "console") for block in blocks(page, language) for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture(scope="session")
def readme(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The folder in which all `sh` blocks of the README were run one after the other, and what they printed."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(ROOT / "examples")
    script = "".join(blocks("README.md", "sh"))
    assert "coastal_town.py demo" in script
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euxc", script.replace("coastal_town.py demo", f"coastal_town.py demo {SMALL}")],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(folder=folder, output=done.stdout)


def test_the_commands_of_the_readme_write_what_it_says(readme: SimpleNamespace) -> None:
    captions = geopandas.read_file(readme.folder / "captions.gpkg", layer="captions")
    with_prompts = geopandas.read_file(readme.folder / "captions.geojson")
    answers = geopandas.read_file(readme.folder / "answers.gpkg", layer="answers")
    for columns in (captions.columns, with_prompts.columns):
        assert {"tile_id", "caption", "theme", "objects", "relations", "confidence", "status"} <= set(columns)
    assert {"prompt_theme", "prompt_objects", "prompt_relations"} <= set(with_prompts.columns)
    assert set(answers["question"]) == set((readme.folder / "questions.txt").read_text().splitlines())


def test_the_columns_of_the_readme_are_those_of_the_layer(readme: SimpleNamespace) -> None:
    table = text_of("README.md").split("## Output")[1].split("##")[0]
    named = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))
    layer = geopandas.read_file(readme.folder / "captions.geojson")
    assert set(named) == set(layer.columns) - {"geometry"}


def test_the_answer_in_the_readme_looks_like_one(readme: SimpleNamespace) -> None:
    [shown] = blocks("README.md", "text")
    words = re.compile(r"[a-z]{2,}")
    for line in shown.splitlines():
        assert any(words.findall(line) == words.findall(printed) for printed in readme.output.splitlines()), line


def test_the_targets_of_make_exist() -> None:
    targets = re.findall(r"^(\w+):", text_of("Makefile"), re.MULTILINE)
    for page in PAGES:
        assert {words[1] for words in commands(page) if words[0] == "make"} <= set(targets), page
    assert ["make", "demo"] in commands("README.md")


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that a command line of rsmoe runs, and its arguments."""
    command = get_command(app)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists_with_its_options(page: str) -> None:
    for words in commands(page):
        if "rsmoe_cli.main" in words:
            words = words[words.index("rsmoe_cli.main") :]
        elif words[0] != "rsmoe":
            continue
        command, arguments = find_command(words[1:])
        known = {name for parameter in command.get_params(Context(command)) for name in parameter.opts}
        given = {word for word in arguments if re.match(r"--?[a-z]", word)}
        assert given <= known, f"{words}: {given - known}"


@pytest.mark.parametrize("page", PAGES)
def test_every_script_exists(page: str) -> None:
    for words in commands(page):
        scripts = [word for word in words if word.endswith(".py") and not word.startswith("$")]
        assert all((ROOT / script).is_file() for script in scripts), words


def anchors(page: Path) -> set[str]:
    """What links can point to in a page: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text_of(page)):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(path), f"{page}: {target}#{anchor}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/DESIGN.md"])
def test_every_file_and_folder_that_is_named_exists(page: str) -> None:
    names = re.findall(r"`((?:rsmoe_cli|rsmoe_core|tests|docs|examples|benchmarks)/[\w./]+)`", text_of(page))
    for name in names:
        example = name.endswith(("NAME.py", "formats/csv.py", "a/b.py", "a/test_b.py"))
        assert example or (ROOT / name).exists(), f"{page}: {name}"


def test_every_class_and_function_of_the_design_exists() -> None:
    tables = text_of("docs/DESIGN.md").split("## How data flows")[1].split("## The mixture")[0]
    for name in re.findall(r"`((?:\w+\.)+\w+)`", tables):
        assert is_defined(name.removesuffix(".py")), name


def is_defined(name: str) -> bool:
    """Whether a dotted name is a module of one of the packages, or something that one of its modules defines."""
    *parents, last = name.split(".")
    for package in ("rsmoe_cli", "rsmoe_core", "."):
        path = ROOT.joinpath(package, *parents)
        if (path / f"{last}.py").is_file() or (path / last / "__init__.py").is_file():
            return True
        module = path.with_suffix(".py")
        if parents and module.is_file() and re.search(rf"^(class |def |){last}\b", module.read_text(), re.MULTILINE):
            return True
    return name in ("Backend.encode", "Backend.generate")


def test_the_python_of_the_readme_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = blocks("README.md", "python")
    images = list(np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8))
    monkeypatch.chdir(tmp_path)
    write_raster(tmp_path / "scene.tif", np.moveaxis(images[0], -1, 0), "red green blue", photometric="RGB")
    exec(compile(code, "README.md", "exec"), {"images": images})
    assert len(capsys.readouterr().out.splitlines()) == 4
