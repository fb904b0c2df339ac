from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rsmoe_core.checkpoint import llava
from rsmoe_core.checkpoint.base_weights import find_base
from rsmoe_core.checkpoint.headers import stored_tensors
from rsmoe_core.checkpoint.older_releases import BIN_INDEX, ShardWriter, import_release, read_pickle
from rsmoe_core.errors import ModelError
from tests.vlm import HIDDEN, tokenizer

VISION_LAYERS, PATCH, IMAGE_SIZE = 2, 8, 32


def llama_settings(vocab_size: int) -> dict[str, Any]:
    """What LLaVA's config.json has of its language model."""
    return {
        "hidden_size": HIDDEN,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 5000.0,
        "rope_scaling": {"type": "linear", "factor": 2.0},
        "vocab_size": vocab_size,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "torch_dtype": "float16",
    }


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image encoder's own checkpoint, pickled, with a text part that is not needed."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    vision = {
        "hidden_size": HIDDEN,
        "intermediate_size": 64,
        "num_hidden_layers": VISION_LAYERS,
        "num_attention_heads": 4,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH,
    }
    text = CLIPTextConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=9)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=CLIPVisionConfig(**vision).to_dict())
    folder = tmp_path_factory.mktemp("tower")
    model = CLIPModel(config)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5, 0.5, 0.5], "resample": 3}))
    return folder


@pytest.fixture
def release(tmp_path: Path, tower: Path) -> Path:
    """A release in LLaVA's layout: two shards, the projector in a file of its own."""
    return write_release(tmp_path / "release", tower)


def write_release(folder: Path, tower: Path, **settings: Any) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir()
    own = tokenizer(with_bos=True)
    own.save_pretrained(folder)
    config = llama_settings(len(own))
    torch.manual_seed(0)
    shape = {key: value for key, value in config.items() if not key.startswith("rope")}
    state = dict(LlamaForCausalLM(LlamaConfig(**shape)).half().state_dict())
    state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    projector = {
        f"model.mm_projector.{number}.{kind}": torch.randn(HIDDEN, *([HIDDEN] if kind == "weight" else [])).half()
        for number in (0, 2)
        for kind in ("weight", "bias")
    }
    torch.save(projector, folder / "mm_projector.bin")
    names = sorted(state)
    shards = {f"pytorch_model-0000{number}-of-00002.bin": names[number - 1 :: 2] for number in (1, 2)}
    for file, own_names in shards.items():
        torch.save({name: state[name] for name in own_names}, folder / file)
    index = {name: file for file, own_names in shards.items() for name in own_names}
    (folder / BIN_INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))
    config |= {
        "model_type": "llava",
        "architectures": ["LlavaLlamaForCausalLM"],
        "mm_vision_tower": str(tower),
        "mm_hidden_size": HIDDEN,
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "image_aspect_ratio": "pad",
        **settings,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def imported(source: Path, target: Path, **options: Any) -> Path:
    target.mkdir()
    import_release(source, target, **options)
    return target


def test_a_llava_release_becomes_a_model_of_transformers(release: Path, tower: Path, tmp_path: Path) -> None:
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = imported(release, tmp_path / "out")
    base = find_base(str(folder))
    assert base.model_type == "llava"
    model, info = AutoModelForImageTextToText.from_pretrained(folder, use_safetensors=True, output_loading_info=True)
    assert not any(info[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.dtype == torch.float16
    assert model.config.text_config.rope_parameters == {"rope_type": "linear", "factor": 2.0, "rope_theta": 5000.0}

    own = {key: value for file in release.glob("pytorch*.bin") for key, value in read_pickle(file).items()}
    embeddings = model.get_input_embeddings().weight
    own_embeddings = own["model.embed_tokens.weight"]
    assert len(embeddings) % 64 == 0
    assert torch.equal(embeddings[: len(own_embeddings)], own_embeddings)
    assert torch.equal(model.lm_head.weight[: len(own_embeddings)], own["lm_head.weight"])
    assert torch.allclose(model.lm_head.weight[-1], own["lm_head.weight"].float().mean(0).half())
    projector = read_pickle(release / "mm_projector.bin")
    assert torch.equal(model.model.multi_modal_projector.linear_2.weight, projector["model.mm_projector.2.weight"])
    positions = read_pickle(tower / "pytorch_model.bin")["vision_model.embeddings.position_embedding.weight"]
    vision = dict(model.model.vision_tower.named_parameters())
    found = next(value for name, value in vision.items() if name.endswith("position_embedding.weight"))
    assert torch.equal(found, positions.half())

    processor = AutoProcessor.from_pretrained(folder)
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True)
    assert text.endswith(" USER: <image>\nWhat is it? ASSISTANT:")
    inputs = processor(text=[text], images=[Image.new("RGB", (40, 20), (200, 30, 30))], return_tensors="pt")
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == (IMAGE_SIZE // PATCH) ** 2
    pixels = inputs["pixel_values"][0]
    assert pixels.shape == (3, IMAGE_SIZE, IMAGE_SIZE)
    assert pixels[0, 0, 0].abs() < 0.01  # padded to a square with the mean colour
    with torch.inference_mode():
        written = model.float().generate(**inputs, max_new_tokens=3, do_sample=False)
    assert written.shape[1] > inputs["input_ids"].shape[1]


def test_geochat_sees_larger_images(tower: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(llava._IMAGE_SIZES, "geochat", 48)
    release = write_release(tmp_path / "release", tower, model_type="geochat")
    folder = imported(release, tmp_path / "out")
    stored = stored_tensors(folder)
    assert stored["vision_tower.vision_model.embeddings.position_embedding.weight"].shape == (6 * 6 + 1, HIDDEN)
    assert json.loads((folder / "config.json").read_text())["vision_config"]["image_size"] == 48
    find_base(str(folder))


def test_positions_are_resampled_between_their_corners() -> None:
    side = torch.arange(4.0)
    grid = torch.stack([side.repeat_interleave(4), side.repeat(4)], dim=1)
    positions = torch.cat([torch.tensor([[9.0, 9.0]]), grid])
    larger = llava._with_positions(positions, 7)
    assert torch.equal(larger[0], positions[0])
    rows, columns = larger[1:].T.reshape(2, 7, 7)
    for found in (rows[:, 0], columns[0]):
        assert torch.allclose(found[[0, 2, 4, 6]], side)
        assert (found.diff() > 0).all()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"mm_projector_type": "linear"}, "its projector is 'linear'"),
        ({"model_type": "llava_mpt"}, "its model type is 'llava_mpt'"),
        ({"mm_use_im_start_end": True}, "marks the start"),
        ({"image_aspect_ratio": "anyres"}, "cuts images into parts"),
    ],
)
def test_other_layouts_keep_their_names(tower: Path, tmp_path: Path, settings: dict[str, Any], reason: str) -> None:
    release = write_release(tmp_path / "release", tower, **settings)
    target = tmp_path / "out"
    target.mkdir()
    result = import_release(release, target)
    assert result.layout == "plain"
    assert any(reason in note for note in result.notes)
    assert {"model.mm_projector.0.weight", "lm_head.weight"} <= set(stored_tensors(target))
    assert sorted(path.name for path in target.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_a_missing_image_encoder_is_asked_for(tower: Path, tmp_path: Path) -> None:
    release = write_release(tmp_path / "release", tower, mm_vision_tower="/nowhere/clip")
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match=r"'/nowhere/clip' is not here.*--vision-tower"):
        import_release(release, tmp_path / "out")
    import_release(release, tmp_path / "out", str(tower))


def test_a_missing_part_is_found(release: Path, tmp_path: Path) -> None:
    (release / "mm_projector.bin").unlink()
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match=r"4 tensors are not those of a LLaVA model .*multi_modal_projector"):
        import_release(release, tmp_path / "out")
    (release / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(ModelError, match="1 of 2 files are missing"):
        import_release(release, tmp_path / "out")


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("old_format", [False, True])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path, old_format: bool) -> None:
    file = tmp_path / "pytorch_model.bin"
    state = {"a": torch.ones(2), "b": Malicious(tmp_path / "executed")}
    torch.save(state, file, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(ModelError, match="can run code, so it is not opened"):
        read_pickle(file)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"not a pickle", b"\x80\x02."])
def test_a_damaged_pickle_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "pytorch_model.bin"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged|more than tensors") as caught:
        read_pickle(file)
    assert "\n" not in str(caught.value)


def test_a_truncated_pickle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(1000)}, file)
    file.write_bytes(file.read_bytes()[:-600])
    with pytest.raises(ModelError, match="damaged"):
        read_pickle(file)


@pytest.mark.parametrize(
    "state", [{"state_dict": {"a": torch.ones(2)}}, {"model": {"a": torch.ones(2)}}, {"a": torch.ones(2)}]
)
def test_tensors_are_found_where_trainers_put_them(tmp_path: Path, state: dict[str, Any]) -> None:
    torch.save(state, tmp_path / "x.bin", _use_new_zipfile_serialization=False)
    assert list(read_pickle(tmp_path / "x.bin")) == ["a"]


def test_what_is_no_set_of_tensors_is_refused(tmp_path: Path) -> None:
    torch.save([torch.ones(2)], tmp_path / "x.bin")
    with pytest.raises(ModelError, match="no set of named tensors"):
        read_pickle(tmp_path / "x.bin")


def test_shards_are_bounded_and_listed(tmp_path: Path) -> None:
    shared = torch.randn(100)
    tensors: dict[str, Tensor] = {"a": shared, "b": shared[:50], "c": torch.randn(10, 20).T, "a2": shared}
    writer = ShardWriter(tmp_path, shard_bytes=700)
    for name, tensor in tensors.items():
        writer.add(name, tensor)
    assert writer.close() == 4 * (100 + 50 + 200 + 100)
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert files == [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    stored = stored_tensors(tmp_path)
    assert {name: tensor.shape for name, tensor in stored.items()} == {n: tuple(t.shape) for n, t in tensors.items()}


def test_a_folder_without_pickles_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no pytorch_model\*\.bin"):
        import_release(tmp_path, tmp_path / "out")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="nothing to import"):
        import_release(tmp_path, tmp_path / "out")


def test_a_full_disk_is_known_before(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(ModelError, match="choose another disk"):
        import_release(release, tmp_path / "out")
