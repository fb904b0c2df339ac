"""Fixtures for all tests."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.site import sitecustomize
from tests.tiny import write_karpathy

SITE = str(Path(sitecustomize.__file__).parent)
"""On PYTHONPATH, it makes the packages that only tests need importable in the processes that tests start."""


def pytest_sessionstart() -> None:
    """Let the processes that tests start find what they need, and stay off the network."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (SITE, os.environ.get("PYTHONPATH"))))
    os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    """Keep expected warnings of libraries out of the report; the program itself reports them in its own words."""
    for text in (
        "'crs' was not provided",
        "More than one layer found",
        "Dataset has no geotransform",
        "The given matrix",
    ):
        config.addinivalue_line("filterwarnings", f"ignore:{text}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real scenes and data sets; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("RSMOE_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real scenes: {folder} is absent; set RSMOE_SHARED to their folder")
    return folder


@pytest.fixture(scope="session")
def coastal_town() -> ModuleType:
    """The script examples/coastal_town.py as a module; examples are not installed, so it is loaded from its path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "examples"))
        return importlib.import_module("coastal_town")


@pytest.fixture(scope="session")
def vlm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny vision-language model of transformers, by the names of `tests.vlm.CLASSES`; only read it."""
    folder = tmp_path_factory.mktemp("vlm")

    def of_class(name: str) -> Path:
        from tests.vlm import save_vlm

        return folder / name if (folder / name).is_dir() else save_vlm(name, folder / name)

    return of_class


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave METEOR out, whose Java program takes many seconds to start."""
    monkeypatch.setattr("rsmoe_core.metrics.captions.shutil.which", lambda program: None)


@pytest.fixture
def karpathy_folder(tmp_path: Path) -> Path:
    """Forty small annotated images of four classes; see `tests.tiny.write_karpathy`."""
    return write_karpathy(tmp_path / "images")
