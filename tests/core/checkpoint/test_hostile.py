"""Model folders from unknown sources: their files are checked, and nothing in them is executed or fetched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rsmoe_core.checkpoint.load import load_for_inference, load_model
from rsmoe_core.checkpoint.validation import load_config
from rsmoe_core.checkpoint.weights import ADAPTER_SETTINGS, ADAPTER_WEIGHTS, ADAPTERS, read_adapters
from rsmoe_core.errors import ModelError
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.model.tokenizer import FILE_NAME

Read = Callable[[Path], RSMoE]
both = pytest.mark.parametrize("read", [load_for_inference, load_model])


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def change_settings(folder: Path, **changes: Any) -> None:
    path = folder / ADAPTERS / "theme" / ADAPTER_SETTINGS
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
def test_only_a_plain_adapter_with_the_settings_of_the_model_is_read(folder: Path, changes: dict[str, Any]) -> None:
    change_settings(folder, **changes)
    with pytest.raises(ModelError, match=rf"theme/adapter_config\.json: is no plain adapter .*{next(iter(changes))}"):
        read_adapters(folder, load_config(folder))


@both
@pytest.mark.parametrize("content", ["[]", "", "{", '{"r": 1, "r": 2}', '{"r": NaN}', " " * 2**21])
def test_damaged_settings_are_refused(folder: Path, read: Read, content: str) -> None:
    (folder / ADAPTERS / "theme" / ADAPTER_SETTINGS).write_text(content)
    with pytest.raises(ModelError, match=r"theme/adapter_config\.json: damaged"):
        read(folder)


@both
def test_a_missing_adapter_is_named(folder: Path, read: Read) -> None:
    (folder / ADAPTERS / "relations" / ADAPTER_WEIGHTS).unlink()
    with pytest.raises(ModelError, match="lacks relations"):
        read(folder)


@both
def test_a_damaged_adapter_is_refused_in_one_line(folder: Path, read: Read) -> None:
    (folder / ADAPTERS / "objects" / ADAPTER_WEIGHTS).write_bytes(b"\0" * 40)
    with pytest.raises(ModelError, match=r"objects/adapter_model\.safetensors: missing or damaged") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


@both
@pytest.mark.parametrize("file", ["model.safetensors", f"{ADAPTERS}/fusion/{ADAPTER_WEIGHTS}"])
def test_a_weight_that_is_not_a_number_is_refused(folder: Path, read: Read, file: str) -> None:
    state = load_file(folder / file)
    first = next(key for key, value in state.items() if value.is_floating_point())
    state[first] = state[first].float()
    state[first].view(-1)[-1] = torch.nan
    save_file(state, folder / file)
    with pytest.raises(ModelError, match="holds what is no number"):
        read(folder)


@both
def test_sizes_are_compared_before_memory_is_allocated(folder: Path, read: Read) -> None:
    """The configuration asks for 65 GB of embeddings."""
    values = json.loads((folder / "config.json").read_text())
    values["language"] |= {"hidden_size": 16_384, "vocab_size": 1_000_000}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"model\.safetensors: does not fit"):
        read(folder)


@both
def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path, read: Read) -> None:
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
def test_a_named_pipe_is_not_opened(folder: Path, read: Read) -> None:
    os.mkfifo(folder / "more.json")
    with pytest.raises(ModelError, match="is no ordinary file"):
        read(folder)


@both
def test_code_in_a_folder_is_never_run(folder: Path, tmp_path: Path, read: Read) -> None:
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
def test_a_tokenizer_of_another_kind_is_refused(folder: Path, read: Read, change: dict[str, Any]) -> None:
    path = folder / FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        read(folder)


@both
def test_a_token_that_the_model_does_not_know_is_refused(folder: Path, read: Read) -> None:
    path = folder / FILE_NAME
    content = json.loads(path.read_text())
    content["added_tokens"].append({**content["added_tokens"][0], "id": 10**6, "content": "<more>"})
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"tokenizer\.json: damaged"):
        read(folder)
