"""The merged form generates what the adapters generate, or the export is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from rsmoe_core.checkpoint.export import IMAGES, export_merged
from rsmoe_core.checkpoint.load import save_model
from rsmoe_core.errors import ModelError
from rsmoe_core.inference.ablations import ablations
from rsmoe_core.loading import load
from rsmoe_core.model import lora
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.types import Request
from tests.tiny import fit_batch_norms, make_tiny, texts_of


def test_both_forms_generate_the_same_texts_in_every_role(tmp_path: Path, images: list[np.ndarray]) -> None:
    model, source, target = make_tiny(), tmp_path / "model", tmp_path / "merged"
    fit_batch_norms(model.vision)
    save_model(model, source)
    described = export_merged(source, target)
    assert len(described) == IMAGES
    assert len({one.confidence for one in described}) == IMAGES, "images that look alike would prove little"
    requests = [Request(image) for image in images]
    compared = ablations(model.config.experts)
    before, after = (load(folder, device="cpu").compare(requests, compared) for folder in (source, target))
    for ablation, by_adapters, by_copies in zip(compared, before, after, strict=True):
        assert texts_of(by_adapters) == texts_of(by_copies), ablation.name


def test_the_model_card_is_copied(tmp_path: Path, tiny_model: RSMoE) -> None:
    save_model(tiny_model, tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("# tiny\n")
    export_merged(tmp_path / "model", tmp_path / "merged", half=True)
    assert (tmp_path / "merged" / "README.md").read_text() == "# tiny\n"


def test_matrices_are_stored_in_half_precision_on_demand(tmp_path: Path, tiny_folder: Path) -> None:
    export_merged(tiny_folder, tmp_path / "merged", half=True)
    copies = sorted((tmp_path / "merged" / "experts").glob("*/model.safetensors"))
    assert len(copies) == 5
    formats = {(value.ndim > 1, str(value.dtype)) for path in copies for value in load_file(path).values()}
    assert formats == {(True, "torch.float16"), (False, "torch.float32")}


def test_a_copy_that_generates_another_text_is_refused(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged, other = lora.merged, make_tiny(seed=1)
    monkeypatch.setattr(lora, "merged", lambda language, role: merged(other.language, role))
    with pytest.raises(ModelError, match=r"of 8 texts differ \('.*' became '.*'\); keep the adapters"):
        export_merged(tiny_folder, tmp_path)


def test_a_model_without_adapters_is_not_exported(tiny_folder: Path, tiny_stage_1: RSMoE, tmp_path: Path) -> None:
    save_model(tiny_stage_1, tmp_path / "stage1")
    with pytest.raises(ModelError, match="no adapters to merge"):
        export_merged(tmp_path / "stage1", tmp_path / "again")
    export_merged(tiny_folder, tmp_path / "merged")
    with pytest.raises(ModelError, match="adapters merged for good"):
        export_merged(tmp_path / "merged", tmp_path / "again")
    assert not (tmp_path / "again").exists()
