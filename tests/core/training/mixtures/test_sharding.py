"""A base whose weights are spread over two real processes trains as in one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rsmoe_core.errors import TrainingError
from rsmoe_core.training import distributed
from rsmoe_core.training.log import read_log
from rsmoe_core.training.mixtures import sharding
from tests.core.training.test_distributed import start_two
from tests.core.training.two_sharded import train
from tests.tiny import write_karpathy


def test_two_processes_with_a_part_of_the_base_each_train_what_one_does(
    vlm: Callable[[str], Path], tmp_path: Path
) -> None:
    data, base = write_karpathy(tmp_path / "data"), vlm("instructblip")
    variables = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_RESHARD_AFTER_FORWARD": "true"}
    variables["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "true"  # the launcher's default
    start_two("tests.core.training.two_sharded", tmp_path / "two", data, base, **variables)
    train(tmp_path / "one", data, base, accumulate=2)
    for rank in (0, 1):
        for kinds in json.loads((tmp_path / "two" / f"{rank}.json").read_text()):
            assert all(("lora_" in name) != (kind == "DTensor") for name, kind in kinds.items()), "only what is frozen"
    for phase in ("stage1-work/align", "stage2-work/experts", "stage2-work/fusion"):
        alone, together = read_log(tmp_path / "one" / phase), read_log(tmp_path / "two" / phase)
        assert len(alone) == len(together) == 3
        for row, other in zip(alone, together, strict=True):
            for name in row.keys() - {"phase", "seconds"}:
                assert other[name] == pytest.approx(row[name], rel=1e-3), (phase, name)
    for path in (tmp_path / "one" / "stage2").rglob("*.safetensors"):
        together = load_file(str(tmp_path / "two" / "stage2" / path.relative_to(tmp_path / "one" / "stage2")))
        for name, value in load_file(str(path)).items():
            torch.testing.assert_close(together[name], value, rtol=1e-2, atol=1e-3, msg=name)


def test_only_a_launcher_makes_weights_spread_and_never_quantised_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert not sharding.is_wanted(), "one process alone"
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    assert sharding.is_wanted()
    sharding.check_wanted(None)
    with pytest.raises(TrainingError, match="leave out --quantize, or launch without FSDP"):
        sharding.check_wanted("4bit")
