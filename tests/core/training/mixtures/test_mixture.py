"""Both stages on a tiny InstructBLIP of transformers, interrupted runs, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor, LlamaConfig, LlamaForCausalLM

import tests.vlm
from rsmoe_core.checkpoint.compose import compose
from rsmoe_core.checkpoint.export import IMAGES, export_with_base
from rsmoe_core.checkpoint.mixture import read_mixture
from rsmoe_core.config import BaseParts, MixtureConfig
from rsmoe_core.data.base import read_image
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.errors import ModelError, TrainingError
from rsmoe_core.loading import load
from rsmoe_core.presets import tiny
from rsmoe_core.roles import BASE, all_roles
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.log import read_log
from rsmoe_core.training.mixtures.mixture import MixtureTrainee
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.run import run_stage
from rsmoe_core.training.samples import make_training_samples, with_drafts
from rsmoe_core.training.stages import find_stage
from rsmoe_core.training.train_config import TrainConfig
from tests.mixtures import fast_stage, random_mixture, tiny_mixture_config
from tests.tiny import texts_of, write_karpathy
from tests.vlm import tokenizer

ALIGN, EXPERTS, FUSION = "stage1-work/align", "stage2-work/experts", "stage2-work/fusion"


def silent(line: str) -> None:
    pass


def config(data: Path, out: Path, **options: object) -> TrainConfig:
    return TrainConfig((data,), out, **({"bf16": False, "validation_split": 0.2, "max_images": 16} | options))


def weights(folder: Path) -> dict[str, Tensor]:
    """All weights of a mixture, by file and name."""
    return {
        f"{path.relative_to(folder)}:{name}": value
        for path in sorted(folder.rglob("*.safetensors"))
        for name, value in load_file(str(path)).items()
    }


@pytest.fixture(scope="module")
def trained(vlm: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with both stages, and the images in `data`."""
    root = tmp_path_factory.mktemp("mixture")
    settings = config(write_karpathy(root / "data"), root)
    preset = tiny_mixture_config(vlm("instructblip"))
    run_stage(fast_stage("1"), settings, preset=preset, report=silent)
    run_stage(fast_stage("2"), settings, start=root / "stage1", report=silent)
    return root


def test_losses_fall_in_every_phase(trained: Path) -> None:
    for phase in (ALIGN, EXPERTS, FUSION):
        rows = read_log(trained / phase)
        losses = [row["loss"] for row in rows if "loss" in row]
        validation = [row["validation_loss"] for row in rows if "validation_loss" in row]
        assert losses[-1] < losses[0], phase
        assert validation[-1] < validation[0], phase


def test_stage_2_keeps_stage_1_and_gives_each_role_an_adapter(trained: Path, vlm: Callable[[str], Path]) -> None:
    first, second = read_mixture(trained / "stage1"), read_mixture(trained / "stage2")
    assert (first.config.stage, second.config.stage) == ("1", "2")
    assert first.config.base == second.config.base
    assert first.config.base.name == str(vlm("instructblip"))
    assert set(first.adapters) == {BASE}
    assert set(second.adapters) == {BASE, *all_roles(second.config.experts)}
    before, after = weights(first.folder), weights(second.folder)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    of_stage_1 = {name.split(":")[1]: value for name, value in before.items() if "stage1" in name}
    for role in all_roles(second.config.experts):
        own = {name: after[f"adapters/{role}/adapter_model.safetensors:{name}"] for name in of_stage_1}
        assert any(not torch.equal(own[name], value) for name, value in of_stage_1.items()), role
    assert not list(trained.glob("stage*/model*")), "the base is not copied"


def test_the_connector_learns_and_the_base_does_not(trained: Path, vlm: Callable[[str], Path]) -> None:
    connector = load_file(str(trained / "stage1" / "connector.safetensors"))
    base = load_file(str(vlm("instructblip") / "model.safetensors"))
    assert {name.split(".")[0] for name in connector} == {"query_tokens", "qformer", "language_projection"}
    changed = {name.split(".")[0] for name, value in connector.items() if not torch.equal(value, base[name])}
    assert changed == {"query_tokens", "qformer", "language_projection"}


def test_the_mixture_captions_in_batches_of_any_size(trained: Path) -> None:
    images = [read_image(sample.image) for sample in read_dataset(trained / "data").captioned("test")]
    engine = load(trained / "stage2", device="cpu")
    described = engine.caption(images)
    assert all(one.error is None for one in described)
    assert any(one.caption for one in described)
    assert set(described[0].prompts) == set(engine.experts)
    assert engine.backend.trained_roles == {BASE, *all_roles(engine.experts)}
    other = load(trained / "stage2", device="cpu")
    other.batch_size = 1
    assert [one.caption for one in other.caption(images)] == [one.caption for one in described]


def test_a_base_in_a_folder_is_named_by_its_whole_path(
    vlm: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(vlm("instructblip").parent)
    model = random_mixture(Path("instructblip"))
    assert model.config.base.name == str(vlm("instructblip"))


def test_an_interrupted_run_ends_like_an_uninterrupted_one(
    trained: Path, vlm: Callable[[str], Path], tmp_path: Path
) -> None:
    preset = tiny_mixture_config(vlm("instructblip"))
    for max_steps in (3, None):
        settings = config(trained / "data", tmp_path, max_steps=max_steps)
        folder = run_stage(fast_stage("1"), settings, preset=preset, report=silent)
    expected = weights(trained / "stage1")
    assert all(torch.equal(expected[name], value) for name, value in weights(folder).items())


@pytest.mark.parametrize("name", ["qwen2_5_vl", "florence2"])
def test_other_classes_read_the_images_themselves(
    vlm: Callable[[str], Path], trained: Path, name: str, tmp_path: Path
) -> None:
    """In bfloat16, with checkpointed gradients, in two parts."""
    options = {"bf16": True, "gradient_checkpointing": True, "accumulate": 2, "max_steps": 2}
    settings = config(trained / "data", tmp_path, **options)
    stage = fast_stage("1", epochs=1)
    folder = run_stage(stage, settings, preset=tiny_mixture_config(vlm(name)), report=silent)
    assert not (tmp_path / "cache").exists()
    base = dict(AutoModelForImageTextToText.from_pretrained(vlm(name)).named_parameters())
    connector = load_file(str(folder / "connector.safetensors"))
    learned = {name: value for name, value in connector.items() if name in base}
    assert learned
    assert all(value.dtype == torch.float32 for value in learned.values())
    assert any((base[name] - value).abs().max() > 0.01 for name, value in learned.items())
    adapter = load_file(str(folder / "adapters" / "stage1" / "adapter_model.safetensors"))
    assert all(value.abs().max() > 0 for name, value in adapter.items() if "lora_B" in name)


def test_captions_are_scored_where_cider_selects_the_best_epoch(
    vlm: Callable[[str], Path], trained: Path, tmp_path: Path
) -> None:
    """By a class whose images are read as they are needed: alone after stage 1, and from drafts by fusion."""
    trainee = MixtureTrainee(random_mixture(vlm("llava")), bf16=False)
    images = read_dataset(trained / "data").captioned("test")
    samples = make_training_samples(find_stage("2", on_base=True), images, trainee.experts, silent)
    nothing = FeatureBank.of([])
    drafted = with_drafts(trainee, samples, nothing, np.arange(2))
    assert [set(one.drafts) for one in drafted[:3]] == [set(trainee.experts), set(trainee.experts), set()]
    for phase in (fast_stage("1").phases[0], fast_stage("2").phases[1]):
        phase = dataclasses.replace(phase, objective=dataclasses.replace(phase.objective, selects_by="cider"))
        data = TrainingData(drafted, nothing)
        score, figures = trainee.objective(phase, data, data, RunOptions(tmp_path, bf16=False)).validate()
        assert score == figures["validation_cider"] >= 0
        assert figures["validation_loss"] > 0


def test_adapters_are_trained_on_a_base_in_four_bits(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bitsandbytes")
    monkeypatch.setattr(tests.vlm, "HIDDEN", 64)  # bitsandbytes packs 64 weights at a time
    base = tests.vlm.save_vlm("instructblip", tmp_path / "base")
    settings = config(trained / "data", tmp_path, quantize="4bit", gradient_checkpointing=True)
    folder = run_stage(fast_stage("1"), settings, preset=tiny_mixture_config(base), report=silent)
    losses = [row["loss"] for row in read_log(tmp_path / ALIGN) if "loss" in row]
    assert losses[-1] < losses[0]
    adapter = load_file(str(folder / "adapters" / "stage1" / "adapter_model.safetensors"))
    assert {value.dtype for value in adapter.values()} == {torch.float32}
    assert len(load(folder, device="cpu").caption(read_image(next((trained / "data" / "test").iterdir())))) == 1


def test_fine_tuning_trains_experts_and_fusion_of_a_finished_mixture(trained: Path, tmp_path: Path) -> None:
    settings = config(trained / "data", tmp_path / "mine", max_steps=1, views=1)
    reported: list[str] = []
    folder = run_stage(fast_stage("finetune", epochs=1), settings, start=trained / "stage2", report=reported.append)
    assert [line.split(":")[0] for line in reported[1:]] == ["phase experts", "phase fusion"]
    before, after = weights(trained / "stage2"), weights(folder)
    assert {name.split("/")[1] for name, value in after.items() if not torch.equal(value, before[name])} == {
        "theme",
        "objects",
        "relations",
        "fusion",
    }


def test_what_does_not_fit_is_refused_in_one_line(trained: Path, vlm: Callable[[str], Path], tmp_path: Path) -> None:
    settings = config(trained / "data", tmp_path / "run")

    def refused(
        stage: str, message: str, error: type[Exception] = TrainingError, on_base: bool = True, **start: object
    ) -> None:
        with pytest.raises(error, match=message) as caught:
            run_stage(find_stage(stage, on_base=on_base), settings, report=silent, **start)
        assert "\n" not in str(caught.value)

    refused("2", "has been through stage 2; pass the folder of stage 1", start=trained / "stage2")
    refused("finetune", "stage-1 model without experts", start=trained / "stage1")
    refused("1", "trains a mixture on a base, not a native model", preset=tiny())
    refused("1", "trains a native model, not a mixture on a base", on_base=False, preset=MixtureConfig())
    missing = dataclasses.replace(tiny_mixture_config(tmp_path / "nowhere"))
    refused("1", "the base is missing: no folder '.*nowhere'", ModelError, preset=missing)
    odd = dataclasses.replace(
        tiny_mixture_config(vlm("instructblip")), lora=dataclasses.replace(missing.lora, targets=("c_attn",))
    )
    refused("1", "has none of the layers c_attn; it has: down_proj, ", preset=odd)
    moved = tmp_path / "moved"
    shutil.copytree(trained / "stage1", moved)
    values = json.loads((moved / "mixture.json").read_text())
    values["base"]["revision"] = "0123456789ab"
    (moved / "mixture.json").write_text(json.dumps(values))
    refused("2", r"is another one by now \(revision \w{12}, not 0123456789ab\)", ModelError, start=moved)


def test_a_base_is_composed_of_an_instructblip_and_a_language_model(vlm: Callable[[str], Path], tmp_path: Path) -> None:
    own = tokenizer(with_bos=True)
    language = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(own),
            hidden_size=48,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            tie_word_embeddings=True,
        )
    )
    language.save_pretrained(tmp_path / "text")
    own.save_pretrained(tmp_path / "text")
    compose(BaseParts(str(vlm("instructblip")), str(tmp_path / "text")), tmp_path / "base")
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "base")
    state, of_vision = model.state_dict(), load_file(str(vlm("instructblip") / "model.safetensors"))
    for name, value in of_vision.items():
        if name.startswith(("vision_model", "qformer", "query_tokens")):
            assert torch.equal(state[name], value), name
    for name, value in language.state_dict().items():
        assert torch.equal(state[f"language_model.{name}"][: len(value)], value), name
    assert state["language_projection.weight"].shape == (48, 32)
    assert state["language_model.lm_head.weight"].shape[0] == 320, "with a token for the image, a multiple of 64"
    tokens = AutoProcessor.from_pretrained(tmp_path / "base").tokenizer
    assert tokens.convert_tokens_to_ids("<image>") == model.config.image_token_index == len(own)
    with pytest.raises(ModelError, match="is no InstructBLIP"):
        compose(BaseParts(str(vlm("llava")), str(tmp_path / "text")), tmp_path / "other")


def test_an_exported_mixture_has_its_base_with_the_trained_connector(trained: Path, tmp_path: Path) -> None:
    assert len(export_with_base(trained / "stage2", tmp_path / "part")) == IMAGES
    (tmp_path / "part").rename(tmp_path / "whole")
    mixture = read_mixture(tmp_path / "whole")
    assert mixture.config.base.name == "./base"
    assert mixture.connector is None
    own = load_file(str(tmp_path / "whole" / "base" / "model.safetensors"))
    for name, value in load_file(str(trained / "stage2" / "connector.safetensors")).items():
        assert torch.equal(own[name], value), name
    image = read_image(next((trained / "data" / "test").iterdir()))
    before, after = (load(folder, device="cpu").caption(image) for folder in (trained / "stage2", tmp_path / "whole"))
    assert texts_of(before) == texts_of(after)
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path / "whole" / "base")
    adapted = PeftModel.from_pretrained(plain, str(tmp_path / "whole" / "adapters" / "fusion"))
    assert adapted.peft_config["default"].base_model_name_or_path == "./base"
