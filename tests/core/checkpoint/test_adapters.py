"""Model folders from strangers: what they hold is looked at, and nothing of it is executed or fetched."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rsmoe_core.checkpoint.adapters import SETTINGS, read_adapters
from rsmoe_core.checkpoint.inference import load_for_inference
from rsmoe_core.checkpoint.load import load_config, load_model, save_model
from rsmoe_core.errors import ModelError
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.model.tokenizer import FILE_NAME
from rsmoe_core.roles import ADAPTER_WEIGHTS, ADAPTERS
from tests.core.conftest import make_tiny

Reading = Callable[[Path], RSMoE]
both = pytest.mark.parametrize("read", [load_for_inference, load_model])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = make_tiny()
    model.config = dataclasses.replace(model.config, decoding=dataclasses.replace(model.config.decoding, beams=1))
    folder = tmp_path_factory.mktemp("models") / "whole"
    save_model(model, folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def settings(folder: Path, **changes: Any) -> None:
    path = folder / ADAPTERS / "theme" / SETTINGS
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"auto_mapping": {"base_model_class": "Popen", "parent_library": "subprocess"}},
        {"peft_type": "PROMPT_TUNING"},
        {"base_model_name_or_path": "stranger/model"},
        {"modules_to_save": ["lm_head"]},
        {"target_modules": ".*"},
        {"target_modules": ["q_proj"]},
        {"r": 64},
        {"lora_alpha": 1e9},
        {"use_dora": True},
        {"bias": "all"},
        {"rank_pattern": {"q_proj": 10**9}},
        {"init_lora_weights": "eva"},
        {"something_new": 1},
    ],
)
def test_an_adapter_is_a_plain_one_with_the_models_settings(folder: Path, changes: dict[str, Any]) -> None:
    settings(folder, **changes)
    with pytest.raises(ModelError, match=rf"theme/adapter_config\.json: is no plain adapter .*{next(iter(changes))}"):
        read_adapters(folder, load_config(folder))


@both
@pytest.mark.parametrize("content", ["[]", "", "{", '{"r": 1, "r": 2}', '{"r": NaN}', " " * 2**21])
def test_damaged_settings_are_refused(folder: Path, read: Reading, content: str) -> None:
    (folder / ADAPTERS / "theme" / SETTINGS).write_text(content)
    with pytest.raises(ModelError, match=r"theme/adapter_config\.json: damaged"):
        read(folder)


@both
@pytest.mark.parametrize("file", ["model.safetensors", f"{ADAPTERS}/fusion/{ADAPTER_WEIGHTS}"])
def test_a_weight_that_is_no_number_is_refused(folder: Path, read: Reading, file: str) -> None:
    state = load_file(folder / file)
    first = next(key for key, value in state.items() if value.is_floating_point())
    state[first] = state[first].float()
    state[first].view(-1)[-1] = torch.nan
    save_file(state, folder / file)
    with pytest.raises(ModelError, match="holds what is no number"):
        read(folder)


@both
def test_sizes_are_compared_before_there_is_memory_for_them(folder: Path, read: Reading) -> None:
    """The configuration asks for 69 GB of embeddings, which no machine that runs the tests should try to hold."""
    values = json.loads((folder / "config.json").read_text())
    values["language"] |= {"hidden_size": 16_384, "vocab_size": 1_000_000}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"model\.safetensors: does not fit"):
        read(folder)


@both
def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path, read: Reading) -> None:
    shutil.move(folder / "model.safetensors", tmp_path / "secret")
    os.symlink(tmp_path / "secret", folder / "model.safetensors")
    with pytest.raises(ModelError, match="is a link out of the model folder"):
        read(folder)


def test_the_links_of_the_hubs_cache_are_followed(folder: Path, tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "hub" / "blobs", tmp_path / "hub" / "snapshots" / "1"
    blobs.mkdir(parents=True)
    shutil.copytree(folder, snapshot)
    shutil.move(snapshot / "model.safetensors", blobs / "0")
    os.symlink("../../blobs/0", snapshot / "model.safetensors")
    assert load_for_inference(snapshot).has_experts


@both
def test_what_is_no_file_is_not_opened(folder: Path, read: Reading) -> None:
    os.mkfifo(folder / "more.json")
    with pytest.raises(ModelError, match="is no ordinary file"):
        read(folder)


@both
def test_code_in_a_folder_is_never_run(folder: Path, tmp_path: Path, read: Reading) -> None:
    for name in ("modeling.py", "__init__.py", "tokenizer.py", "conftest.py", f"{ADAPTERS}/theme/adapter.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    torch.save({}, folder / "pytorch_model.bin")
    torch.save({}, folder / ADAPTERS / "theme" / "adapter_model.bin")
    assert read(folder).has_experts
    assert not (tmp_path / "ran").exists()


@both
@pytest.mark.parametrize(
    "change",
    [
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+b"}, "behavior": "Isolated", "invert": False}},
        {"normalizer": {"type": "Replace", "pattern": {"Regex": "(a|a)*$"}, "content": ""}},
        {"truncation": {"max_length": 1, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}},
        {"model": {"type": "WordLevel", "vocab": {}, "unk_token": "a"}},
        {"model": None},
    ],
)
def test_a_tokenizer_of_another_kind_is_refused(folder: Path, read: Reading, change: dict[str, Any]) -> None:
    path = folder / FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        read(folder)


@both
def test_a_token_that_the_model_does_not_know_is_refused(folder: Path, read: Reading) -> None:
    path = folder / FILE_NAME
    content = json.loads(path.read_text())
    content["added_tokens"].append({**content["added_tokens"][0], "id": 10**6, "content": "<more>"})
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"tokenizer\.json: damaged"):
        read(folder)
