"""Folders of mixtures on a base: what is written is read again, by rsmoe and by peft, and damage is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from rsmoe_core.checkpoint import hub
from rsmoe_core.checkpoint.mixture import Mixture, apply_mixture, is_mixture, read_mixture, save_mixture
from rsmoe_core.config import BaseReference, LoraSettings, MixtureConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.loading import load as load_engine
from rsmoe_core.model import lora
from rsmoe_core.model.vlm_parts import connector_state, language_name, layer_kinds, target_pattern
from rsmoe_core.roles import BASE

Make = Callable[..., Mixture]


def load(folder: Path) -> torch.nn.Module:
    return AutoModelForImageTextToText.from_pretrained(folder)


@pytest.fixture(scope="module")
def stored(vlm: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture on InstructBLIP with random adapters of two roles and another connector."""
    torch.manual_seed(0)
    base = load(vlm("instructblip"))
    language = language_name(base)
    config = MixtureConfig(
        base=BaseReference(str(vlm("instructblip")), "r1"),
        stage="1",
        language=language,
        lora=LoraSettings(rank=4, alpha=8, targets=layer_kinds(base, language)),
    )
    model = lora.add_adapters(base, ["stage1", "theme"], config.lora, target_pattern(language, config.lora.targets))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name or "projection" in name:
                parameter.normal_(std=0.2)
    folder = tmp_path_factory.mktemp("mixture") / "stage1"
    save_mixture(folder, config, model, connector=True)
    return folder


def test_a_stored_mixture_is_read_again(stored: Path, vlm: Callable[[str], Path]) -> None:
    mixture = read_mixture(stored)
    assert is_mixture(stored)
    assert not is_mixture(vlm("instructblip"))
    assert mixture.config.base == BaseReference(str(vlm("instructblip")), "r1")
    assert mixture.adapters == {BASE: stored / "adapters" / "stage1", "theme": stored / "adapters" / "theme"}
    assert not mixture.has_experts
    assert not list(stored.glob("model*")), "the base is not copied"


def test_each_adapter_gives_the_same_logits_in_plain_peft(stored: Path, vlm: Callable[[str], Path]) -> None:
    ours = apply_mixture(load(vlm("instructblip")), read_mixture(stored))
    connector = {
        key: value
        for key, value in ours.base_model.model.state_dict().items()
        if key in connector_state(ours.base_model.model, "language_model.model")
    }
    inputs = {
        "pixel_values": torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
        "qformer_input_ids": torch.tensor([[20, 21, 22]]),
        "input_ids": torch.tensor([[ours.config.image_token_id] * 4 + [20, 21, 22]]),
        "attention_mask": torch.ones(1, 7, dtype=torch.long),
    }
    logits = []
    for role in ("stage1", "theme"):
        base = load(vlm("instructblip"))
        base.load_state_dict(connector, strict=False)
        plain = PeftModel.from_pretrained(base, str(stored / "adapters" / role))
        ours.set_adapter(role)
        logits.append(ours(**inputs).logits)
        torch.testing.assert_close(plain(**inputs).logits, logits[-1], rtol=0, atol=1e-6)
    assert (logits[0] - logits[1]).abs().max() > 0.1


def test_another_base_is_refused(stored: Path, vlm: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match=r"was trained on another base than LlavaForCond\w+ of .*mixture\.json names$"):
        apply_mixture(load(vlm("llava")), read_mixture(stored))


def test_a_mixture_on_the_hub_is_fetched_at_its_revision(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def fetch(name: str, revision: str | None = None, patterns: object = ()) -> Path:
        fetched.append((name, revision))
        return stored

    monkeypatch.setattr(hub, "fetch", fetch)
    with pytest.raises(ModelError, match="revision"):  # its base has another revision
        load_engine("owner/mixture", revision="v2", device="cpu")
    assert set(fetched) == {("owner/mixture", "v2")}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "mixture.json").unlink(), r"no mixture on a base \(mixture.json is missing\)"),
        (lambda folder: (folder / "mixture.json").write_text("{"), "damaged"),
        (lambda folder: edit(folder / "mixture.json", format=2), r"made by a newer rsmoe \(format 2\); update rsmoe"),
        (lambda folder: edit(folder / "mixture.json", base={}), r"base\.name is missing"),
        (lambda folder: edit(folder / "mixture.json", language="(a+)+"), r"no plain adapter .*target_modules"),
        (lambda folder: edit(folder / "mixture.json", experts=["planes"]), "no expert 'planes' is registered"),
        (lambda folder: shutil.rmtree(folder / "adapters"), "has no adapters"),
        (lambda folder: (folder / "adapters" / "other").mkdir(), "'other' is no role of this mixture"),
        (lambda folder: edit(folder / "adapters/theme/adapter_config.json", auto_mapping={"x": "y"}), "auto_mapping"),
        (
            lambda folder: edit(folder / "mixture.json", base={"name": "owner/other"}),
            "is for another base .*'owner/other'",
        ),
    ],
)
def test_a_damaged_folder_gives_one_line(
    stored: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(stored, folder)
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        read_mixture(folder)
    assert "\n" not in str(caught.value)


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
