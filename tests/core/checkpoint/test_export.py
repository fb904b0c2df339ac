"""Merged copies say what the adapters say, or the export is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rsmoe_core.checkpoint.export import PICTURES, export_merged
from rsmoe_core.checkpoint.load import load_model, save_model
from rsmoe_core.engine import load
from rsmoe_core.errors import ModelError
from rsmoe_core.inference.ablations import ablations
from rsmoe_core.model import lora
from rsmoe_core.types import Request
from tests.tiny import make_tiny, wake


def test_both_forms_say_the_same_whoever_speaks(tmp_path: Path, images: list[np.ndarray]) -> None:
    model, source, target = make_tiny(), tmp_path / "model", tmp_path / "merged"
    wake(model.vision)
    save_model(model, source)
    said = export_merged(source, target)
    assert len(said) == PICTURES
    assert len({text.confidence for text in said}) == PICTURES, "pictures that look alike would prove little"
    requests = [Request(image) for image in images]
    ablation_list = ablations(model.config.experts)
    before, after = (load(folder, device="cpu").compare(requests, ablation_list) for folder in (source, target))
    for ablation, one, other in zip(ablation_list, before, after, strict=True):
        assert [(d.caption, d.objects, dict(d.prompts)) for d in one] == [
            (d.caption, d.objects, dict(d.prompts)) for d in other
        ], ablation.name


def test_the_card_goes_along(tmp_path: Path) -> None:
    save_model(make_tiny(), tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("# tiny\n")
    export_merged(tmp_path / "model", tmp_path / "merged", half=True)
    assert (tmp_path / "merged" / "README.md").read_text() == "# tiny\n"
    matrices = [value for value in load_model(tmp_path / "merged").language.copies.parameters() if value.ndim > 1]
    assert all(torch.equal(value, value.half().float()) for value in matrices)


def test_a_copy_that_says_something_else_is_refused(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged, other = lora.merged, make_tiny(seed=1)
    monkeypatch.setattr(lora, "merged", lambda language, role: merged(other.language, role))
    with pytest.raises(ModelError, match=r"of 8 texts differ \('.*' became '.*'\); keep the adapters"):
        export_merged(tiny_folder, tmp_path)


def test_what_has_no_adapters_is_not_exported(tiny_folder: Path, tmp_path: Path) -> None:
    save_model(make_tiny(experts=False), tmp_path / "stage1")
    export_merged(tiny_folder, tmp_path / "merged")
    for name in ("stage1", "merged"):
        with pytest.raises(ModelError, match="no adapters to merge"):
            export_merged(tmp_path / name, tmp_path / "again")
    assert not (tmp_path / "again").exists()
