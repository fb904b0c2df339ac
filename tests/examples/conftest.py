"""A small rendering of the example scene."""

import json
from types import ModuleType, SimpleNamespace

import geopandas
import pytest


@pytest.fixture(scope="session")
def town(coastal_town: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A small rendered scene: its paths, and its truth as tables and numbers."""
    paths = coastal_town.render(tmp_path_factory.mktemp("town"), seed=7, size=672)
    return SimpleNamespace(
        paths=paths,
        objects=geopandas.read_file(paths.truth, layer="objects"),
        zones=geopandas.read_file(paths.truth, layer="zones").set_index("zone"),
        numbers=json.loads(paths.numbers.read_text(encoding="utf-8")),
    )
