from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from rsmoe_core.checkpoint.catalogue import fingerprint
from rsmoe_core.checkpoint.load import load_model, save_model
from rsmoe_core.checkpoint.weights import ADAPTERS, EXPERTS
from rsmoe_core.errors import ModelError
from rsmoe_core.model.rsmoe import RSMoE


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def test_a_model_is_loaded_as_it_was_saved(tiny_model: RSMoE, tiny_folder: Path) -> None:
    again = load_model(tiny_folder)
    before, after = tiny_model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert again.config == tiny_model.config
    assert again.has_experts


def test_half_precision_keeps_vectors_exact(tiny_model: RSMoE, tmp_path: Path) -> None:
    save_model(tiny_model, tmp_path, half=True)
    before, after = tiny_model.state_dict(), load_model(tmp_path).state_dict()
    for key, value in before.items():
        exact = value.ndim < 2
        assert torch.equal(value, after[key]) if exact else torch.allclose(value, after[key], atol=1e-3, rtol=1e-3)


def test_a_stage_1_model_has_no_experts(tiny_stage_1: RSMoE, tmp_path: Path) -> None:
    save_model(tiny_stage_1, tmp_path)
    assert not (tmp_path / ADAPTERS).exists()
    assert not load_model(tmp_path).has_experts


def test_the_merged_form_has_a_whole_language_model_for_each_role(tiny_model: RSMoE, tmp_path: Path) -> None:
    save_model(tiny_model, tmp_path, merged=True)
    assert {path.name for path in (tmp_path / EXPERTS).iterdir()} == set(tiny_model.roles)
    assert not (tmp_path / ADAPTERS).exists()
    assert tiny_model.has_experts, "the model itself keeps its adapters"
    assert tiny_model.config.share_base


def test_the_merged_form_cannot_be_trained(tiny_model: RSMoE, tmp_path: Path) -> None:
    save_model(tiny_model, tmp_path, merged=True)
    with pytest.raises(ModelError, match="merged for good; pass the model that it was exported from") as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_nothing_in_a_folder_is_a_pickle(tiny_folder: Path) -> None:
    suffixes = {path.suffix for path in tiny_folder.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "adapters/theme/adapter_model.safetensors"]
)
def test_a_truncated_or_missing_file_is_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match=name.split("/")[0]) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(ModelError, match=name.split("/")[0]):
        load_model(folder)


def test_weights_that_do_not_fit_the_configuration_are_refused(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["language"]["hidden_size"] *= 2
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load_model(folder)


def test_the_fingerprint_follows_the_weights(folder: Path, tiny_folder: Path) -> None:
    assert fingerprint(folder) == fingerprint(tiny_folder)
    path = folder / "adapters/fusion/adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert fingerprint(folder) != fingerprint(tiny_folder)
