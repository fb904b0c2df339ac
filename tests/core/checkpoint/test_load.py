from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.native import NativeBackend, RoleDecoders
from rsmoe_core.checkpoint.catalogue import fingerprint
from rsmoe_core.checkpoint.load import for_inference, load_for_inference, load_model, save_model
from rsmoe_core.checkpoint.weights import ADAPTER_WEIGHTS, ADAPTERS, EXPERTS
from rsmoe_core.errors import ModelError
from rsmoe_core.inference.ablations import ablations
from rsmoe_core.inference.captions import describe
from rsmoe_core.model.language.llama import TransformersDecoders
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION
from rsmoe_core.types import Generation
from tests.tiny import language_models, make_tiny, random_patches, randomise_adapters, texts_of


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


PROMPTS = ["describe the picture", "name the kind of place"]


def describe_all(model: RSMoE) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """All texts about five images, by the full model and by every ablation of it."""
    backend, config = NativeBackend(model), model.config
    encoded = backend.encode_patches(random_patches())
    described = describe(backend, encoded, range(5), config.experts, config.decoding, ablations(config.experts))
    return texts_of(one for of_image in described for one in of_image)


def generate_base(model: RSMoE) -> list[Generation]:
    """What the language model without adapters generates about five images."""
    backend = NativeBackend(model)
    encoded = backend.encode_patches(random_patches())
    return backend.generate(encoded, [Turn(image, BASE, CAPTION_INSTRUCTION) for image in range(5)], 10)


def generate(model: RSMoE, role: str) -> list[Generation]:
    tokens = torch.randn(2, 4, 32, generator=torch.Generator().manual_seed(2))
    return NativeBackend(model).generate(tokens, [Turn(number, role, text) for number, text in enumerate(PROMPTS)], 8)


def with_transformers(model: RSMoE) -> RSMoE:
    """A model in training form, with transformers' `generate` instead of the decoders."""
    decoders = TransformersDecoders(language_models(model), model.tokenizer.pad)
    config, detectors, has_experts = model.config, model.detectors, model.has_experts
    return RSMoE(
        config, model.tokenizer, model.vision, model.qformer, decoders, detectors, has_experts=has_experts
    ).eval()


def test_the_form_for_inference_generates_what_transformers_generates(tiny_model: RSMoE) -> None:
    converted = for_inference(tiny_model)
    assert isinstance(converted.language, RoleDecoders)
    assert describe_all(converted) == describe_all(with_transformers(tiny_model))
    assert converted.has_experts
    assert len({caption for caption, _, _ in describe_all(converted)}) > 5, "ablations differ, or nothing is compared"


def test_a_stage_1_model_has_a_form_for_inference_too(tiny_stage_1: RSMoE) -> None:
    converted = for_inference(tiny_stage_1)
    assert not converted.has_experts
    texts = [[text.text for text in generate_base(own)] for own in (converted, with_transformers(tiny_stage_1))]
    assert texts[0] == texts[1]


def test_the_form_for_inference_of_stage_1_has_weights_of_its_own() -> None:
    model = make_tiny(experts=False)
    converted = for_inference(model)
    before = generate_base(converted)
    with torch.no_grad():
        for parameter in model.language.parameters():
            parameter.normal_(std=0.2)
    assert generate_base(converted) == before
    assert generate_base(for_inference(model)) != before


def test_training_goes_on_without_changing_what_was_converted() -> None:
    model = make_tiny()
    converted = for_inference(model)
    before = describe_all(converted)
    randomise_adapters(model)
    assert describe_all(converted) == before
    assert describe_all(for_inference(model)) != before
    assert model.language.training is False


def test_the_form_for_inference_is_on_the_device_of_the_model() -> None:
    """`meta` stands in for a GPU: what was left behind on the processor would not be there."""
    converted = for_inference(make_tiny().to("meta"))
    tensors = [*converted.parameters(), *converted.buffers()]
    assert len(tensors) > 100
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.parametrize("merged", [False, True])
def test_a_loaded_model_generates_what_the_trained_one_generates(
    tmp_path: Path, tiny_model: RSMoE, merged: bool
) -> None:
    save_model(tiny_model, tmp_path, merged=merged)
    loaded, trained = load_for_inference(tmp_path), with_transformers(tiny_model)
    assert isinstance(loaded.language, RoleDecoders)
    assert loaded.has_experts
    assert loaded.config.share_base is not merged
    texts = {role: [text.text for text in generate(loaded, role)] for role in (*trained.roles, BASE)}
    assert texts == {role: [text.text for text in generate(trained, role)] for role in texts}
    assert len(set(map(tuple, texts.values()))) > 2, "roles generate different texts"
    assert torch.equal(loaded.encode(random_patches(2), PROMPTS), tiny_model.encode(random_patches(2), PROMPTS))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_stage_1_folder_has_no_experts(tmp_path: Path, tiny_stage_1: RSMoE) -> None:
    save_model(tiny_stage_1, tmp_path)
    loaded = load_for_inference(tmp_path)
    assert not loaded.has_experts
    assert set(loaded.language.decoders) == {BASE}


def test_a_folder_is_computed_with_in_the_number_format_asked_for(tiny_folder: Path) -> None:
    loaded = load_for_inference(tiny_folder, dtype=torch.bfloat16)
    parts = (loaded.vision, loaded.qformer, loaded.language)
    formats = {tensor.dtype for part in parts for tensor in part.state_dict().values() if tensor.is_floating_point()}
    assert formats == {torch.bfloat16}


def test_an_adapter_that_does_not_fit_is_named(tmp_path: Path, tiny_model: RSMoE) -> None:
    save_model(tiny_model, tmp_path)
    path = tmp_path / ADAPTERS / "theme" / ADAPTER_WEIGHTS
    state = load_file(str(path))
    first = next(key for key in sorted(state) if "lora_B" in key)
    save_file({key: value for key, value in state.items() if key != first}, str(path))
    with pytest.raises(ModelError, match="theme"):
        load_for_inference(tmp_path)
    save_file(state | {first: state[first][:-1].contiguous()}, str(path))
    with pytest.raises(ModelError, match="theme"):
        load_for_inference(tmp_path)
    path.unlink()
    with pytest.raises(ModelError, match="theme"):
        load_for_inference(tmp_path)


def test_a_merged_copy_that_is_damaged_is_named(tmp_path: Path, tiny_model: RSMoE) -> None:
    save_model(tiny_model, tmp_path, merged=True)
    (tmp_path / "experts/theme/model.safetensors").write_bytes(b"\0" * 40)
    with pytest.raises(ModelError, match=r"experts/theme/model\.safetensors: missing or damaged") as caught:
        load_for_inference(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_language_model_that_lacks_a_layer_is_refused(tmp_path: Path, tiny_model: RSMoE) -> None:
    save_model(tiny_model, tmp_path)
    path = tmp_path / "model.safetensors"
    state = load_file(str(path))
    save_file({key: value for key, value in state.items() if "layers.1.mlp.down" not in key}, str(path))
    with pytest.raises(ModelError, match="down_proj"):
        load_for_inference(tmp_path)


def test_both_ways_to_the_form_for_inference_give_the_same(tiny_model: RSMoE, tiny_folder: Path) -> None:
    converted, loaded = for_inference(tiny_model), load_for_inference(tiny_folder)
    assert describe_all(converted) == describe_all(loaded)


def test_loading_and_captioning_do_not_import_the_compiler(tiny_folder: Path) -> None:
    """Importing it takes seconds; torch's meta device does so by itself, to draw random numbers that it never makes."""
    script = "\n".join(
        [
            "import sys, numpy, rsmoe_core",
            f"rsmoe_core.load({str(tiny_folder)!r}).caption([numpy.zeros((9, 9, 3), numpy.uint8)])",
            "print(*sys.modules)",
        ]
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"torch._dynamo", "sympy", "transformers", "peft"} & set(loaded)
