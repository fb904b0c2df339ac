from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rsmoe_core.checkpoint.catalogue import built_in_models, find_model, fingerprint, summarise
from rsmoe_core.checkpoint.load import save_model
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.model import lora
from rsmoe_core.model.rsmoe import RSMoE

CARD = """---
license: apache-2.0
---

# tiny

For tests.

## More

Not shown.
"""


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def test_nano_ships() -> None:
    assert "nano" in built_in_models()
    assert (find_model("nano") / "config.json").is_file()


def test_a_folder_is_found_as_it_is_and_nothing_else(tiny_folder: Path) -> None:
    assert find_model(str(tiny_folder)) == tiny_folder
    with pytest.raises(UsageError, match="built-in name"):
        find_model("no-such-model")


@pytest.mark.parametrize("merged", [False, True])
def test_parts_are_counted_as_if_the_model_were_loaded(tiny_model: RSMoE, tmp_path: Path, merged: bool) -> None:
    save_model(tiny_model, tmp_path, merged=merged)
    summary = summarise(str(tmp_path))
    assert list(summary.parts) == ["vision", "qformer", "language", *tiny_model.roles]
    language = sum(parameter.numel() for _, parameter in lora.without_adapters(tiny_model.language))
    counts = {name: sum(p.numel() for p in getattr(tiny_model, name).parameters()) for name in ("vision", "qformer")}
    counts["language"] = language
    for role in tiny_model.roles:
        adapter = sum(parameter.numel() for _, parameter in lora.parameters_of(tiny_model.language, [role]))
        counts[role] = language if merged else adapter
    assert summary.parts == counts
    assert summary.parameters == sum(counts.values())


def test_a_summary_holds_what_identifies_the_model(folder: Path) -> None:
    (folder / "README.md").write_text(CARD)
    summary = summarise(str(folder))
    assert summary.revision == fingerprint(folder)
    assert summary.config.name == "tiny"
    assert summary.card == "# tiny\n\nFor tests."
    assert summary.size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_damaged_file_is_named(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\0" * 40)
    with pytest.raises(ModelError, match=r"model\.safetensors: missing or damaged"):
        summarise(str(folder))
