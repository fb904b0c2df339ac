from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import errors
from safetensors.numpy import save_file

from rsmoe_core import devices
from rsmoe_core.checkpoint import base_checks, hub
from rsmoe_core.checkpoint.base_weights import check_memory, find_base
from rsmoe_core.checkpoint.headers import INDEX, SINGLE, read_header
from rsmoe_core.errors import ModelError, UsageError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LAYER = "model.language_model.layers.0.self_attn.q_proj.weight"


def write_base(folder: Path, model_type: str = "llava", **settings: Any) -> Path:
    """A folder with everything that a base has, and a few numbers for weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type} | settings))
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    weights = {LAYER: np.ones((8, 4), np.float32), "model.embed.weight": np.ones((10, 4), np.float16)}
    save_file(weights | {"table": np.ones(3, np.int64)}, folder / SINGLE)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base")


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        find_base(str(folder))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_folder_is_found_with_a_revision_that_follows_its_contents(folder: Path) -> None:
    base = find_base(str(folder))
    assert (base.folder, base.id, base.model_type) == (folder, str(folder), "llava")
    assert base.parameters == 8 * 4 + 10 * 4 + 3
    assert find_base(str(folder)).revision == base.revision
    (folder / "README.md").write_text("changes nothing")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "tree.json").write_text("{}")
    assert find_base(str(folder)).revision == base.revision
    (folder / "chat_template.jinja").write_text("other")
    assert find_base(str(folder)).revision != base.revision


def test_of_large_files_every_tensor_counts_for_the_revision(folder: Path) -> None:
    weights = {name: np.zeros(300_000, np.float32) for name in "abc"}
    save_file(weights, folder / SINGLE)
    first = find_base(str(folder)).revision
    for name in "abc":
        save_file(weights | {name: np.full(300_000, 1e-6, np.float32)}, folder / SINGLE)
        assert find_base(str(folder)).revision != first
    save_file(weights, folder / SINGLE)
    assert find_base(str(folder)).revision == first


def test_memory_follows_type_and_quantisation(folder: Path) -> None:
    base = find_base(str(folder))
    assert base.memory("float32") == 4 * (32 + 40) + 3 * 8
    assert base.memory("bfloat16") == 2 * (32 + 40) + 3 * 8
    assert base.memory("bfloat16", "int8") == 32 * 17 / 16 + 2 * 40 + 3 * 8  # embeddings stay as they are
    assert base.memory("bfloat16", "4bit") == 32 / 2 * 17 / 16 + 2 * 40 + 3 * 8


def test_too_little_memory_is_said_before_loading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = find_base(str(folder))
    monkeypatch.setattr(devices, "available_memory", lambda device: 330)
    check_memory(base, "cpu", "float32")
    monkeypatch.setattr(devices, "available_memory", lambda device: 300)
    with pytest.raises(ModelError, match=r"needs 0\.0 GB.*try --precision bf16, try --quantize int8"):
        check_memory(base, "cpu", "float32")
    monkeypatch.setattr(devices, "available_memory", lambda device: None)
    check_memory(base, "mps", "float32")


def test_memory_that_is_available_is_known_for_this_machine() -> None:
    available = devices.available_memory("cpu")
    if not Path("/proc/meminfo").exists():
        assert available is None
    else:
        psutil = pytest.importorskip("psutil")
        assert available is not None
        assert 0 < available <= psutil.virtual_memory().total
    assert devices.available_memory("meta") is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": "llama"}, "reads text only and takes no image"),
        ({"model_type": "clip"}, "does not write text about images"),
        ({"model_type": "newest_vl"}, "does not know the model type 'newest_vl'"),
        ({"model_type": "internvl_chat", "auto_map": {"AutoModel": "x.Y"}}, "code of its own .*never runs"),
        ({}, "no model of transformers"),
    ],
)
def test_a_model_that_cannot_be_a_base_is_refused(folder: Path, settings: dict[str, Any], message: str) -> None:
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=message):
        find_base(str(folder))


def test_a_class_of_transformers_is_taken_although_the_repository_has_code(folder: Path) -> None:
    write_base(folder, "llava", auto_map={"AutoModel": "modeling.Model"})
    assert find_base(str(folder)).model_type == "llava"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("config.json", "no model (config.json is missing)"),
        ("preprocessor_config.json", "no processor"),
        ("tokenizer.json", "no tokenizer"),
        ("chat_template.jinja", "no chat template"),
        (SINGLE, "no weights as safetensors; copy them"),
    ],
)
def test_a_missing_file_is_named(folder: Path, file: str, message: str) -> None:
    (folder / file).unlink()
    assert message in refusal(folder)


def test_models_that_are_prompted_with_plain_text_need_no_template(folder: Path) -> None:
    write_base(folder, "instructblip", image_token_index=3)
    (folder / "chat_template.jinja").unlink()
    find_base(str(folder))
    write_base(folder, "llava")
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    find_base(str(folder))


def test_bin_shards_are_pointed_to_the_import(folder: Path) -> None:
    (folder / SINGLE).rename(folder / "pytorch_model-00001-of-00001.bin")
    assert f"rsmoe models import {folder} -o FOLDER" in refusal(folder)


def test_an_adapter_alone_is_no_base(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "owner/name"}))
    assert "is an adapter of 'owner/name'" in refusal(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-5], "truncated"),
        (lambda data: data + b"more", "4 bytes too long"),
        (lambda data: b"", "damaged or no safetensors file"),
        (lambda data: data[:8] + b"[" + data[9:], "damaged header"),
        (lambda data: b"\xff" * 8 + data[8:], "damaged or no safetensors file"),
        (lambda data: data.replace(b'"shape":[8,4]', b'"shape":[8,5]'), "damaged header"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git lfs pull"),
    ],
)
def test_damaged_weights_are_refused(folder: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    file = folder / SINGLE
    file.write_bytes(damage(file.read_bytes()))
    found = refusal(folder)
    assert message in found
    assert str(file) in found


def test_every_listed_weight_file_must_be_there(folder: Path) -> None:
    (folder / SINGLE).rename(folder / "model-00001-of-00002.safetensors")
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    (folder / INDEX).write_text(json.dumps({"weight_map": {LAYER: names[0], "other": names[1]}}))
    assert f"1 of 2 weight files are missing ({names[1]})" in refusal(folder)
    save_file({"other": np.ones(2, np.float32)}, folder / names[1])
    assert find_base(str(folder)).parameters == 77
    (folder / INDEX).write_text(json.dumps({"weight_map": {LAYER: "../elsewhere.safetensors"}}))
    assert "damaged" in refusal(folder)


def test_torchvision_is_asked_for_where_a_base_needs_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.utils.is_torchvision_available", lambda: False)
    monkeypatch.setattr(base_checks, "find_spec", lambda name: "found")
    find_base(str(folder))
    assert not base_checks.needs_torchvision("paligemma", folder)
    for model_type in ("qwen3_vl", "qwen2_5_vl", "internvl", "smolvlm", "llava_onevision", "lfm2_vl"):
        write_base(folder, model_type)
        assert "need torchvision; run: pip install 'rsmoe[vision]'" in refusal(folder)
    monkeypatch.setattr(base_checks, "find_spec", lambda name: None)
    write_base(folder, "smolvlm")
    assert "need torchvision and num2words" in refusal(folder)


def test_a_name_must_be_a_folder_or_a_hub_id(folder: Path) -> None:
    for name in ("nothing", "../up", "a/b/c", "-x/y"):
        with pytest.raises(UsageError, match="owner/name"):
            find_base(name)
    with pytest.raises(UsageError, match="leave --revision out"):
        find_base(str(folder), "main")


# The hub


def fake_hub(cache: Path, contents: Path, calls: list[tuple[str | None, bool]]) -> Callable[..., str]:
    """`snapshot_download` of a hub that has one model, whose files are in `contents`."""

    def snapshot_download(
        hub_id: str, *, revision: str | None, allow_patterns: Sequence[str], ignore_patterns: Sequence[str]
    ) -> str:
        calls.append((revision, "*.safetensors" in allow_patterns))
        target = cache / "models--owner--name" / "snapshots" / COMMIT
        target.mkdir(parents=True, exist_ok=True)
        paths = [str(path.relative_to(contents)) for path in contents.rglob("*") if path.is_file()]
        for name in huggingface_hub.utils.filter_repo_objects(
            paths, allow_patterns=list(allow_patterns), ignore_patterns=list(ignore_patterns)
        ):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((contents / name).read_bytes())
        return str(target)

    return snapshot_download


def test_a_hub_id_is_pinned_to_its_commit(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pytorch_model.bin", "modeling.py", "consolidated.safetensors"):
        (folder / name).write_bytes(b"never fetched")
    (folder / "original").mkdir()
    (folder / "original" / "model.safetensors").write_bytes(b"never fetched")
    calls: list[tuple[str | None, bool]] = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake_hub(tmp_path / "hub", folder, calls))
    base = find_base("owner/name", "main")
    assert (base.id, base.revision) == ("owner/name", COMMIT)
    assert calls == [("main", False), (COMMIT, True)]
    assert sorted(path.name for path in base.folder.iterdir()) == [
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
    ]
    assert find_base(str(base.folder)).revision == COMMIT


def test_weights_of_a_model_that_cannot_be_used_are_never_fetched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str | None, bool]] = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake_hub(tmp_path / "hub", folder, calls))
    write_base(folder, "llama")
    with pytest.raises(ModelError, match="takes no image"):
        find_base("owner/name")
    assert calls == [(None, False)]
    write_base(folder, "llava")
    (folder / SINGLE).unlink()
    with pytest.raises(ModelError, match="rsmoe models import owner/name -o FOLDER"):
        find_base("owner/name")


def http_error(kind: type[errors.HfHubHTTPError], status: int) -> errors.HfHubHTTPError:
    request = httpx2.Request("GET", "https://huggingface.co/api/models/owner/name")
    return kind(f"{status} Client Error.\nmore", response=httpx2.Response(status, request=request))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (http_error(errors.RepositoryNotFoundError, 401), "the hub has no model 'owner/name', or it is private"),
        (http_error(errors.GatedRepoError, 403), "accept its licence at https://huggingface.co/owner/name.*HF_TOKEN"),
        (http_error(errors.RevisionNotFoundError, 404), "has no revision 'v9'"),
        (http_error(errors.HfHubHTTPError, 503), "the hub answered 503"),
        (errors.LocalEntryNotFoundError("gone\nmore"), "hf download owner/name --revision v9 .*--local-dir name"),
        (errors.OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE is set"),
        (errors.HFValidationError("bad"), "cannot be the id"),
        (OSError(28, "No space left on device"), "set HF_HOME to a folder on a larger disk"),
        (PermissionError(13, "Permission denied"), "set HF_HOME to a folder that can be written"),
        (httpx2.ProxyError("no proxy\nat all"), r"\(no proxy\); where there is a network"),
    ],
)
def test_every_failure_of_the_hub_says_what_to_do(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def snapshot_download(*args: object, **kwargs: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises((ModelError, UsageError), match=message) as caught:
        find_base("owner/name", "v9")
    assert "\n" not in str(caught.value)


def test_offline_only_the_cache_is_used(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With huggingface_hub itself, whose cache is laid out by hand."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"'owner/name' is not in the cache, and HF_HUB_OFFLINE is set"):
        find_base("owner/name")
    home = tmp_path / "hub" / "models--owner--name"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    folder.rename(tmp_path / "moved")
    (home / "snapshots").mkdir()
    (tmp_path / "moved").rename(home / "snapshots" / COMMIT)
    assert find_base("owner/name").revision == COMMIT
    with pytest.raises(ModelError, match="at revision 'v2' is not in the cache"):
        hub.fetch("owner/name", "v2")


def test_headers_are_those_that_safetensors_writes(tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_torch

    tensors = {
        "a": torch.zeros(3, 2, dtype=torch.bfloat16),
        "b": torch.zeros(0),
        "c": torch.zeros((), dtype=torch.bool),
    }
    save_torch(tensors, str(tmp_path / "x.safetensors"), metadata={"format": "pt"})
    header = read_header(tmp_path / "x.safetensors")
    assert {name: (t.dtype, t.shape, t.numbers) for name, t in header.items()} == {
        "a": ("BF16", (3, 2), 6),
        "b": ("F32", (0,), 0),
        "c": ("BOOL", (), 1),
    }
