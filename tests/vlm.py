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


def save_vlm(name: str, folder: Path, seed: int | None = None) -> Path:
    """Write the tiny checkpoint of a class of `CLASSES` to a folder, which is returned."""
    torch.manual_seed(_SEEDS.get(name, 0) if seed is None else seed)
    model, processor = CLASSES[name]()
    own = processor.tokenizer
    _randomise(model, own)
    settings = {"eos_token_id": own.eos_token_id, "pad_token_id": own.pad_token_id, **_GENERATION.get(name, {})}
    for key, value in settings.items():
        setattr(model.generation_config, key, value)
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
        eos_token=options.pop("eos_token", END),
        padding_side="right",  # as most are published; generation has to ask for the left
        **options,
    )


_SEEDS = {"smolvlm": 3, "paligemma": 3, "gemma4": 2}
"""Where others than 0 give texts that differ more."""
_GENERATION: dict[str, dict[str, Any]] = {
    "qwen2_5_vl": {"do_sample": True, "temperature": 1e-6, "repetition_penalty": 1.05},
    "florence2": {"num_beams": 3, "no_repeat_ngram_size": 3, "early_stopping": True},
    "gemma3": {"do_sample": True, "top_k": 64, "top_p": 0.95},
}
"""What the published models have in their `generation_config.json`, beside their special tokens."""


def _randomise(model: Any, own: Any) -> None:
    """Weights with which outputs vary and end: those of transformers are so small that all images look alike."""
    silent = [token for token in range(len(own)) if not own.decode([token], skip_special_tokens=True).strip()]
    silent += [token for text, token in own.get_added_vocab().items() if text.startswith(("<loc", "<seg"))]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim < 2 or "norm" in name:
                continue
            is_table = "embed" in name and "patch" not in name
            parameter.normal_(std=1.0 if is_table else 1.5 * parameter[0].numel() ** -0.5)
        output_VH = model.get_output_embeddings().weight
        output_VH.normal_(std=output_VH.shape[1] ** -0.5)
        output_VH[silent] = 0
        output_VH[own.eos_token_id].normal_(std=2.0 * output_VH.shape[1] ** -0.5)


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


def vision_settings(**more: Any) -> dict[str, Any]:
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
        vision_config=t.CLIPVisionConfig(**vision_settings()),
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

    own = _qwen_tokenizer()
    config = t.Qwen2_5_VLConfig(
        vision_config={
            "depth": LAYERS,
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_heads": HEADS,
            "patch_size": PATCH,
            "window_size": 4 * PATCH,
            "fullatt_block_indexes": [1],
            "out_hidden_size": HIDDEN,
        },
        text_config=_text_settings(own, rope_parameters=_rope([1, 1, 2])),
        **_qwen_ids(own),
    )
    settings = _qwen_image_settings()
    processor = t.Qwen2_5_VLProcessor(
        t.Qwen2VLImageProcessor(**settings),
        own,
        t.Qwen2VLVideoProcessor(**settings),
        chat_template=_CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )
    return t.Qwen2_5_VLForConditionalGeneration(config), processor


def _qwen3_processor(own: Any) -> Any:
    import transformers as t

    settings = _qwen_image_settings()
    return t.Qwen3VLProcessor(
        t.Qwen2VLImageProcessor(**settings),
        own,
        t.Qwen3VLVideoProcessor(**settings),
        chat_template=_CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )


_QWEN_TOKENS = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start", "vision_end": "vision_end"}


def _qwen_tokenizer() -> Any:
    return tokenizer(*(f"<|{name}|>" for name in _QWEN_TOKENS.values()))


def _qwen_ids(own: Any) -> dict[str, int]:
    return {f"{key}_token_id": own.convert_tokens_to_ids(f"<|{name}|>") for key, name in _QWEN_TOKENS.items()}


def _qwen_image_settings() -> dict[str, Any]:
    """Images of any size, but at most 64 x 64 pixels of them."""
    limits = {"shortest_edge": (2 * PATCH) ** 2, "longest_edge": (8 * PATCH) ** 2}
    return {"patch_size": PATCH, "merge_size": 2, "temporal_patch_size": 2, "size": limits}


def _rope(sections: list[int], **more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 1e4, "mrope_section": sections, **more}


def _instructblip() -> tuple[Any, Any]:
    import transformers as t

    own, qformer = tokenizer("<image>", with_bos=True), tokenizer(with_bos=True)
    config = t.InstructBlipConfig(
        vision_config=vision_settings(),
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


def _qwen3_vl() -> tuple[Any, Any]:
    import transformers as t

    own = _qwen_tokenizer()
    config = t.Qwen3VLConfig(
        vision_config={
            "depth": LAYERS,
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_heads": HEADS,
            "patch_size": PATCH,
            "out_hidden_size": HIDDEN,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        text_config=_text_settings(own, head_dim=8, rope_parameters=_rope([2, 1, 1], mrope_interleaved=True)),
        **_qwen_ids(own),
    )
    return t.Qwen3VLForConditionalGeneration(config), _qwen3_processor(own)


def _internvl() -> tuple[Any, Any]:
    import transformers as t

    tokens = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    own = tokenizer(*tokens.values(), "<video>", extra_special_tokens={**tokens, "video_token": "<video>"})
    config = t.InternVLConfig(
        vision_config=t.InternVLVisionConfig(**vision_settings()),
        text_config=t.Qwen2Config(**_text_settings(own)),
        image_token_id=own.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    processor = t.InternVLProcessor(
        t.GotOcr2ImageProcessor(size=_square()),
        own,
        t.InternVLVideoProcessor(size=_square()),
        image_seq_length=4,
        chat_template=_CHATML.replace("IMAGE", "<IMG_CONTEXT>\n"),
    )
    return t.InternVLForConditionalGeneration(config), processor


def _smolvlm() -> tuple[Any, Any]:
    import transformers as t

    marks = ["<image>", "<fake_token_around_image>", "<global-img>"]
    own = tokenizer(*marks, *(f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)))
    config = t.SmolVLMConfig(
        vision_config=vision_settings(),
        text_config=t.LlamaConfig(**_text_settings(own)),
        image_token_id=own.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=own.pad_token_id,
    )
    sizes = {"size": {"longest_edge": 2 * IMAGE_SIZE}, "max_image_size": {"longest_edge": IMAGE_SIZE}}
    processor = t.SmolVLMProcessor(
        t.SmolVLMImageProcessor(**sizes),
        own,
        t.SmolVLMVideoProcessor(**sizes),
        image_seq_len=4,
        chat_template=_CHATML.replace("IMAGE", "<image>"),
    )
    return t.SmolVLMForConditionalGeneration(config), processor


def _llava_onevision() -> tuple[Any, Any]:
    import transformers as t

    own = tokenizer("<image>", "<video>")
    grid = [[IMAGE_SIZE, IMAGE_SIZE], [2 * IMAGE_SIZE, 2 * IMAGE_SIZE]]
    config = t.LlavaOnevisionConfig(
        vision_config=t.SiglipVisionConfig(**vision_settings(vision_use_head=False)),
        text_config=t.Qwen2Config(**_text_settings(own)),
        image_token_index=own.convert_tokens_to_ids("<image>"),
        video_token_index=own.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid,
    )
    processor = t.LlavaOnevisionProcessor(
        t.LlavaOnevisionImageProcessor(size=_square(), image_grid_pinpoints=grid),
        own,
        t.LlavaOnevisionVideoProcessor(size=_square()),
        num_image_tokens=(IMAGE_SIZE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        chat_template=_CHATML.replace("IMAGE", "<image>"),
    )
    return t.LlavaOnevisionForConditionalGeneration(config), processor


def _paligemma() -> tuple[Any, Any]:
    import transformers as t

    own = tokenizer("<image>", extra_special_tokens={"image_token": "<image>"})
    image_processor = t.SiglipImageProcessor(size=_square())
    image_processor.image_seq_length = (IMAGE_SIZE // PATCH) ** 2
    processor = t.PaliGemmaProcessor(image_processor, own)
    config = t.PaliGemmaConfig(
        vision_config=t.SiglipVisionConfig(**vision_settings(vision_use_head=False)),
        text_config=t.GemmaConfig(**_text_settings(own, head_dim=8)),
        image_token_index=own.convert_tokens_to_ids("<image>"),
        projection_dim=HIDDEN,
        hidden_size=HIDDEN,
        vocab_size=len(own),
        tie_word_embeddings=False,
    )
    return t.PaliGemmaForConditionalGeneration(config), processor


def _florence2() -> tuple[Any, Any]:
    import transformers as t

    own = tokenizer("<image>", "</s>", extra_special_tokens={"image_token": "<image>"}, eos_token="</s>")
    config = t.Florence2Config(
        vision_config={
            "depths": [1, 1],
            "patch_size": [7, 3],
            "patch_stride": [4, 2],
            "patch_padding": [3, 1],
            "patch_prenorm": [False, True],
            "embed_dim": [16, HIDDEN],
            "num_heads": [2, HEADS],
            "num_groups": [2, HEADS],
            "window_size": 4,
            "projection_dim": HIDDEN,
            "drop_path_rate": 0.0,
        },
        text_config=t.BartConfig(
            vocab_size=len(own),
            d_model=HIDDEN,
            encoder_layers=LAYERS,
            decoder_layers=LAYERS,
            encoder_attention_heads=HEADS,
            decoder_attention_heads=HEADS,
            encoder_ffn_dim=2 * HIDDEN,
            decoder_ffn_dim=2 * HIDDEN,
            bos_token_id=own.bos_token_id,
            eos_token_id=own.eos_token_id,
            pad_token_id=own.pad_token_id,
            decoder_start_token_id=own.eos_token_id,
            forced_eos_token_id=own.eos_token_id,
        ),
        image_token_id=own.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=False,
    )
    image_processor = t.CLIPImageProcessor(size=_square(), do_center_crop=False)
    image_processor.image_seq_length = (IMAGE_SIZE // 8) ** 2 + 1
    return t.Florence2ForConditionalGeneration(config), t.Florence2Processor(image_processor, own)


def _gemma3() -> tuple[Any, Any]:
    import transformers as t

    tokens = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    own = tokenizer(*tokens.values(), extra_special_tokens=tokens, with_bos=True)
    config = t.Gemma3Config(
        vision_config=t.SiglipVisionConfig(**vision_settings(vision_use_head=False)),
        text_config=t.Gemma3TextConfig(
            **_text_settings(own, head_dim=8, layer_types=["sliding_attention", "full_attention"], sliding_window=64)
        ),
        mm_tokens_per_image=4,
        boi_token_index=own.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=own.convert_tokens_to_ids("<end_of_image>"),
        image_token_index=own.convert_tokens_to_ids("<image_soft_token>"),
        tie_word_embeddings=False,
    )
    processor = t.Gemma3Processor(
        t.Gemma3ImageProcessor(size=_square()),
        own,
        image_seq_length=4,
        chat_template="{{ bos_token }}" + _CHATML.replace("IMAGE", "<start_of_image>"),
    )
    return t.Gemma3ForConditionalGeneration(config), processor


def _qwen3_5() -> tuple[Any, Any]:
    """Most of its layers have linear attention, a state instead of keys and values."""
    import transformers as t

    own = _qwen_tokenizer()
    config = t.Qwen3_5Config(
        vision_config={
            "depth": LAYERS,
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_heads": HEADS,
            "patch_size": PATCH,
            "out_hidden_size": HIDDEN,
            "num_position_embeddings": 64,
        },
        text_config=_text_settings(
            own,
            head_dim=8,
            layer_types=["linear_attention", "full_attention"],
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            linear_num_key_heads=2,
            linear_num_value_heads=4,
            rope_parameters=_rope([2, 1, 1], mrope_interleaved=True, partial_rotary_factor=1.0),
        ),
        **_qwen_ids(own),
    )
    return t.Qwen3_5ForConditionalGeneration(config), _qwen3_processor(own)


def _gemma4() -> tuple[Any, Any]:
    import transformers as t

    names = {"boi": "<|image>", "eoi": "<image|>", "image": "<|image|>", "boa": "<|audio>", "eoa": "<audio|>"}
    tokens = {f"{key}_token": token for key, token in names.items()} | {"audio_token": "<|audio|>"}
    own = tokenizer(*tokens.values(), "<|video|>", extra_special_tokens=tokens, with_bos=True)
    config = t.Gemma4Config(
        vision_config=t.Gemma4VisionConfig(
            hidden_size=HIDDEN,
            intermediate_size=2 * HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            head_dim=8,
            patch_size=PATCH,
            position_embedding_size=256,
        ),
        text_config=t.Gemma4TextConfig(
            **_text_settings(
                own,
                head_dim=8,
                global_head_dim=8,
                layer_types=["sliding_attention", "full_attention"],
                sliding_window=64,
                hidden_size_per_layer_input=0,
                vocab_size_per_layer_input=len(own),
            )
        ),
        audio_config=None,
        video_token_id=own.convert_tokens_to_ids("<|video|>"),
        eoa_token_index=own.convert_tokens_to_ids(names["eoa"]),
        tie_word_embeddings=False,
        **{f"{key}_id": own.convert_tokens_to_ids(token) for key, token in tokens.items() if key != "eoa_token"},
    )
    settings = {"patch_size": PATCH, "max_soft_tokens": 70}
    processor = t.Gemma4Processor(
        t.Gemma4AudioFeatureExtractor(),
        t.Gemma4ImageProcessor(**settings),
        own,
        t.Gemma4VideoProcessor(**settings),
        chat_template="{{ bos_token }}" + _CHATML.replace("IMAGE", "<|image|>"),
    )
    return t.Gemma4ForConditionalGeneration(config), processor


CLASSES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": _llava,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "internvl": _internvl,
    "smolvlm": _smolvlm,
    "llava_onevision": _llava_onevision,
    "paligemma": _paligemma,
    "florence2": _florence2,
    "instructblip": _instructblip,
    "gemma3": _gemma3,
    "qwen3_5": _qwen3_5,
    "gemma4": _gemma4,
}
"""Makes model and processor of each class, by the model type of its configuration."""
