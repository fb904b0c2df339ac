"""Two real processes over gloo, and the arithmetic of parts in one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rsmoe_core.training import distributed
from rsmoe_core.training.log import read_log
from tests.core.training.two_processes import train_alike
from tests.tiny import write_karpathy

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that two processes wrote to."""
    out = tmp_path_factory.mktemp("two")
    data = write_karpathy(out / "data")
    start_two("tests.core.training.two_processes", out, data)
    return out


def start_two(module: str, *arguments: Path, **variables: str) -> None:
    """Run a module in two processes with the variables that a launcher sets, and more."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", module, *map(str, arguments)]
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            command, cwd=ROOT, env={**shared, **variables, "RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE
        )
        for rank in ("0", "1")
    ]
    for process in started:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors.decode()


def results(two: Path, what: str) -> list:
    return [json.loads((two / f"{rank}.json").read_text())[what] for rank in (0, 1)]


def test_two_processes_train_the_model_that_one_does(two: Path, tmp_path: Path) -> None:
    train_alike(tmp_path)
    for row, of_two in zip(read_log(tmp_path), read_log(two / "alike"), strict=True):
        assert of_two.keys() == row.keys()
        for name in row.keys() - {"phase", "seconds"}:
            assert of_two[name] == pytest.approx(row[name], rel=1e-4), name
    of_two = load_file(str(two / "alike" / "last" / "state.safetensors"))
    for name, value in load_file(str(tmp_path / "last" / "state.safetensors")).items():
        torch.testing.assert_close(value, of_two[name], rtol=1e-3, atol=2e-5, msg=name)


def test_two_processes_end_every_phase_with_the_same_weights(two: Path) -> None:
    first, second = results(two, "digests")
    assert first == second
    assert list(first) == ["alike", "adapt", "align", "experts", "fusion"]


def test_rank_0_writes_and_reports(two: Path) -> None:
    first, second = results(two, "reported")
    assert sum("trains" in line for line in first) == 4
    assert second == []
    for phase in ("stage1-work/adapt", "stage1-work/align", "stage2-work/experts", "stage2-work/fusion"):
        assert [row["step"] for row in read_log(two / phase) if "loss" in row] == [1, 2]
        assert len(list((two / phase / "tensorboard").iterdir())) == 1
    assert json.loads((two / "stage1-work" / "settings.json").read_text())["processes x accumulate"] == 2


def test_a_step_is_cut_into_processes_times_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(images: int, world_size: int, accumulate: int) -> list[list[list[int]]]:
        monkeypatch.setattr(distributed, "world_size", lambda: world_size)
        ranks = []
        for rank in range(world_size):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            parts = distributed.rank_parts(np.arange(images), accumulate)
            ranks.append([[part, *own.tolist()] for part, own in parts])
        return ranks

    assert cut(4, 1, 1) == [[[0, 0, 1, 2, 3]]]
    assert cut(5, 1, 4) == [[[0, 0, 1], [1, 2], [2, 3], [3, 4]]]
    assert cut(5, 2, 2) == [[[0, 0, 1], [1, 2]], [[2, 3], [3, 4]]]
    assert cut(5, 4, 1) == [[[0, 0, 1]], [[1, 2]], [[2, 3]], [[3, 4]]]
    assert cut(2, 3, 1) == [[[0, 0]], [[1, 1]], []], "with few images a process has none"


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with distributed.initialised("cpu") as device:
        assert (device, distributed.world_size(), distributed.rank()) == ("cpu", 1, 0)
        assert distributed.is_rank0()
        assert distributed.from_rank0(lambda: 7) == 7
    parameter, buffer = torch.nn.Parameter(torch.ones(2)), torch.ones(2)
    assert distributed.reduce_gradients(3.0, [parameter]) == 3.0
    distributed.average_buffers([buffer], 1.0)
    assert parameter.grad is None
    assert buffer.tolist() == [1, 1]
