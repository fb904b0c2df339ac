"""Tiny vision-language models with random weights, of transformers' own classes and with their own processors.

    def test(vlm):  # the fixture of tests/conftest.py: each is made once in a session and only read
        folder = vlm("llava")  # AutoModelForImageTextToText and AutoProcessor load it

    folder = save_vlm("llava", tmp_path / "llava")  # one of its own, to be changed

`CLASSES` has the names: llava, qwen2_5_vl, instructblip (with a Llama text model), ... Each checkpoint has the files of
a published one: `config.json`, `generation_config.json`, `model.safetensors`, tokenizer, processor and, where the class
has one, a chat template of the same form as the published one. One takes 0.2 s.

All are random, but in such a way that tests can see what they do: what is written depends on the image, on the prompt
and on every adapter, consists of letters, and ends after 1-20 tokens. Qwen, InternVL, SmolVLM and LLaVA-OneVision need
torchvision (see tests/site).
"""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rsmoe_core.roles import CAPTION_INSTRUCTION, EXPERTS

IMAGE_SIZE, PATCH = 32, 8
HIDDEN, HEADS, LAYERS = 32, 4, 2
END = "<|im_end|>"
"""End of turn of every tokenizer here; `<pad>` fills up on the left."""

_TEXTS = (
    "a port with many ships and a long quay beside some buildings",
    "many green trees are near a pond . two airplanes are parked in an airport",
    "This is a satellite or aerial image, seen from above. Reply with one plain sentence of at most 20 words.",
    "Specialists noted the following, and may be wrong: theme: objects: relations:",
    *(expert.default_prompt for expert in EXPERTS.values()),
    CAPTION_INSTRUCTION,
)
_CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
    "{% if c.type == 'image' %}IMAGE{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_VICUNA = (
    "{% for m in messages %}{{ m.role.upper() }}: {% for c in m.content %}"
    "{% if c.type == 'image' %}IMAGE\n{% endif %}{% endfor %}{% for c in m.content %}"
    "{% if c.type == 'text' %}{{ c.text }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def save_vlm(name: str, folder: Path, seed: int = 0) -> Path:
    """Write the tiny checkpoint of a class of `CLASSES` to a folder, which is returned."""
    torch.manual_seed(seed)
    model, processor = CLASSES[name]()
    _randomise(model)
    tokenizer = processor.tokenizer
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def tokenizer(*special: str, **options: Any) -> Any:
    """A tokenizer of printable ASCII and some words, with `<pad>`, `<s>`, END and further special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    specials = ["<pad>", "<unk>", "<s>", END, "<|im_start|>", *special]
    alphabet = [*string.printable[:95], "Ġ", "Ċ"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=specials, initial_alphabet=alphabet, show_progress=False, min_frequency=1
    )
    core.train_from_iterator(_TEXTS, trainer)
    if options.pop("with_bos", False):
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", core.token_to_id("<s>"))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token=END,
        padding_side="right",  # as most are published; generation has to ask for the left
        **options,
    )


def _randomise(model: Any) -> None:
    """Weights with which outputs vary and end: those of transformers are so small that all images look alike."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim < 2 or "norm" in name:
                continue
            is_table = "embed" in name and "patch" not in name
            parameter.normal_(std=1.0 if is_table else 1.5 * parameter[0].numel() ** -0.5)
        output = model.get_output_embeddings().weight
        output.normal_(std=output.shape[1] ** -0.5)
        output[_end_of(model)] *= 2.5


def _end_of(model: Any) -> int:
    end = model.config.get_text_config(decoder=True).eos_token_id
    return end if isinstance(end, int) else end[0]


def _text_settings(own: Any, **more: Any) -> dict[str, Any]:
    """The settings of a text model for a tokenizer."""
    return {
        "vocab_size": len(own),
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "bos_token_id": own.bos_token_id,
        "eos_token_id": own.eos_token_id,
        "pad_token_id": own.pad_token_id,
        **more,
    }


def _vision_settings(**more: Any) -> dict[str, Any]:
    return {
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH,
        **more,
    }


def _square(size: int = IMAGE_SIZE) -> dict[str, int]:
    return {"height": size, "width": size}


def _llava() -> tuple[Any, Any]:
    import transformers as t

    own = tokenizer("<image>", with_bos=True)
    config = t.LlavaConfig(
        vision_config=t.CLIPVisionConfig(**_vision_settings()),
        text_config=t.LlamaConfig(**_text_settings(own)),
        image_token_id=own.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    processor = t.LlavaProcessor(
        t.CLIPImageProcessor(size={"shortest_edge": IMAGE_SIZE}, crop_size=_square()),
        own,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_VICUNA.replace("IMAGE", "<image>"),
    )
    return t.LlavaForConditionalGeneration(config), processor


def _qwen2_5_vl() -> tuple[Any, Any]:
    import transformers as t

    own = tokenizer(*(f"<|{name}|>" for name in ("vision_start", "vision_end", "image_pad", "video_pad")))
    ids = {f"{key}_token_id": own.convert_tokens_to_ids(f"<|{name}|>") for key, name in _QWEN_TOKENS.items()}
    config = t.Qwen2_5_VLConfig(
        vision_config={
            "depth": LAYERS,
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_heads": HEADS,
            "patch_size": PATCH,
            "window_size": 2 * PATCH,
            "fullatt_block_indexes": [1],
            "out_hidden_size": HIDDEN,
        },
        text_config=_text_settings(
            own, rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
        ),
        **ids,
    )
    limits = {"shortest_edge": (2 * PATCH) ** 2, "longest_edge": (8 * PATCH) ** 2}
    settings = {"patch_size": PATCH, "merge_size": 2, "temporal_patch_size": 2, "size": limits}
    processor = t.Qwen2_5_VLProcessor(
        t.Qwen2VLImageProcessor(**settings),
        own,
        t.Qwen2VLVideoProcessor(**settings),
        chat_template=_CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )
    return t.Qwen2_5_VLForConditionalGeneration(config), processor


_QWEN_TOKENS = {
    "image": "image_pad",
    "video": "video_pad",
    "vision_start": "vision_start",
    "vision_end": "vision_end",
}


def _instructblip() -> tuple[Any, Any]:
    import transformers as t

    own, qformer = tokenizer("<image>", with_bos=True), tokenizer(with_bos=True)
    config = t.InstructBlipConfig(
        vision_config=_vision_settings(),
        qformer_config={
            "vocab_size": len(qformer),
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "encoder_hidden_size": HIDDEN,
            "pad_token_id": qformer.pad_token_id,
        },
        text_config=t.LlamaConfig(**_text_settings(own)).to_dict(),
        num_query_tokens=4,
        image_token_index=own.convert_tokens_to_ids("<image>"),
    )
    image_processor = t.BlipImageProcessor(size=_square())
    processor = t.InstructBlipProcessor(image_processor, own, qformer, num_query_tokens=4)
    return t.InstructBlipForConditionalGeneration(config), processor


CLASSES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": _llava,
    "qwen2_5_vl": _qwen2_5_vl,
    "instructblip": _instructblip,
}
"""Makes model and processor of each class, by the model type of its configuration."""
