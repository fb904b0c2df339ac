"""A tiny model, and images to describe. Models of session scope are only read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsmoe_core.checkpoint.load import save_model
from rsmoe_core.engine import Engine
from rsmoe_core.loading import load
from rsmoe_core.model.rsmoe import RSMoE
from tests.tiny import make_tiny


@pytest.fixture(scope="session")
def tiny_model() -> RSMoE:
    """In the form for training."""
    return make_tiny()


@pytest.fixture(scope="session")
def tiny_stage_1() -> RSMoE:
    """Without experts, in the form for training."""
    return make_tiny(experts=False)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: RSMoE) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_model(tiny_model, folder)
    return folder


@pytest.fixture(scope="session")
def tiny_engine(tiny_folder: Path) -> Engine:
    return load(tiny_folder, device="cpu")


@pytest.fixture
def images() -> list[np.ndarray]:
    """Seven images of different sizes and contents."""
    rng = np.random.default_rng(0)
    sizes = [(64, 64), (64, 64), (50, 80), (64, 64), (31, 33), (100, 100), (64, 64)]
    return [(rng.random((h, w, 3)) * rng.integers(40, 255)).astype(np.uint8) for h, w in sizes]
