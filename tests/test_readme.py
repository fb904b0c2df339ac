"""What README and docs tell people to type works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rsmoe_cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/RESULTS.md",
    "docs/ASKING.md",
    "docs/EVALUATION.md",
    "docs/EXPERIMENTS.md",
    "docs/HOSTILE_INPUT.md",
    "docs/RELIABILITY.md",
    "docs/SPEED.md",
    "docs/TRAINING.md",
    "examples/README.md",
    "rsmoe_core/models/nano/README.md",
)


def blocks(page: str, language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(page: str, *languages: str) -> list[list[str]]:
    """Command lines in a page's blocks, without comments."""
    lines = (line for language in languages for block in blocks(page, language) for line in block.splitlines())
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    """In order, in an empty folder that sees the examples, as in a checkout."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    programs = {"python": [sys.executable], "rsmoe": [str(Path(sys.executable).parent / "rsmoe")]}
    run = 0
    for words in commands("README.md", "sh"):
        if words[0] in programs:
            done = subprocess.run([*programs[words[0]], *words[1:]], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, f"{words}: {done.stderr}"
            run += 1
    assert run >= 4
    assert (tmp_path / "captions.gpkg").is_file()
    assert (tmp_path / "captions.geojson").is_file()


def test_the_targets_of_the_readme_exist() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made = [words[1] for words in commands("README.md", "sh") if words[0] == "make"]
    assert {"demo", "test"} <= set(made) <= set(targets)


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_is_mentioned_exists(page: str) -> None:
    for words in commands(page, "sh", "console"):
        if words[0] != "rsmoe":
            continue
        path = []
        for word in words[1:]:
            if (
                word.startswith("-")
                or not re.fullmatch(r"[a-z]+", word)
                or len(path) == (2 if words[1] in ("data", "models") else 1)
            ):
                break
            path.append(word)
        help_text = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"})
        assert help_text.exit_code == 0, words
        for option in (word for word in words if re.match(r"--?[a-z]", word)):
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", help_text.output), f"{option} of {words}"


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8")):
        assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    import numpy as np

    [code] = blocks("README.md", "python")
    images = list(np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8))
    names = {"images": images}
    exec(compile(code, "README.md", "exec"), names)
    assert names["said"].caption  # type: ignore[attr-defined]
