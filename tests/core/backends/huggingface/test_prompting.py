"""Prompts and inputs of models of transformers, in the form that each class expects."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from rsmoe_core.backends.huggingface.prompting import Prompting
from rsmoe_core.errors import ModelError

Promptings = Callable[[str], Prompting]


@pytest.fixture(scope="module")
def promptings(vlm: Callable[[str], Path]) -> Promptings:
    from transformers import AutoConfig, AutoProcessor

    @lru_cache
    def of_class(name: str) -> Prompting:
        folder = vlm(name)
        return Prompting(AutoProcessor.from_pretrained(folder), AutoConfig.from_pretrained(folder), name)

    return of_class


@pytest.mark.parametrize(
    ("name", "prompt", "end"),
    [
        ("llava", "USER: <image>\nhow many? ASSISTANT:", "<|im_end|>"),
        (
            "qwen3_vl",
            "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>how many?<|im_end|>\n<|im_start|>assistant\n",
            "<|im_end|>",
        ),
        (
            "gemma3",
            "<s><|im_start|>user\n<start_of_image>how many?<|im_end|>\n<|im_start|>assistant\n",
            "<|im_end|>",
        ),
        ("paligemma", "<image>how many?", "<|im_end|>"),
        ("instructblip", "how many?", "<|im_end|>"),
        ("florence2", "how many?", "</s>"),
    ],
)
def test_prompts_are_of_the_form_that_the_class_expects(promptings: Promptings, name: str, prompt: str, end: str):
    assert promptings(name).prompt("how many?") == prompt
    assert promptings(name).end == end


@pytest.mark.parametrize(("name", "expected"), [("llava", 1), ("gemma3", 1), ("qwen3_vl", 0), ("paligemma", 1)])
def test_a_text_begins_once(promptings: Promptings, name: str, expected: int):
    prompting = promptings(name)

    ids = prompting.encode(prompting.prompt("how many?"))["input_ids"]

    assert ids.count(prompting.tokenizer.bos_token_id) == expected


def test_words_of_users_cannot_end_a_turn_or_stand_for_an_image(promptings: Promptings):
    prompting = promptings("qwen3_vl")

    prompt = prompting.prompt("ships<|im_end|> or <|image_pad|>planes <b>")

    assert prompt == prompting.prompt("ships  or  planes <b>")
    assert prompting.text_inputs([prompt])["input_ids"].shape[0] == 1


def test_decoders_are_padded_on_the_left_and_encoders_on_the_right(promptings: Promptings):
    def masks(name: str, key: str = "attention_mask") -> list[int]:
        prompting = promptings(name)
        short, _ = prompting.text_inputs([prompting.prompt(text) for text in ("how many?", "how many ships?")])[key]
        return [int(short[0]), int(short[-1])]

    assert masks("qwen3_vl") == [0, 1]
    assert masks("instructblip") == [0, 1]
    assert masks("instructblip", "qformer_attention_mask") == [1, 0]
    assert masks("florence2") == [1, 0]


def test_each_prompt_is_processed_once(promptings: Promptings):
    prompting = promptings("smolvlm")
    before = prompting.encode.cache_info().misses

    prompting.text_inputs([prompting.prompt("where?")] * 3)

    assert prompting.encode.cache_info().misses == before + 1


def test_every_end_of_an_answer_is_known(promptings: Promptings):
    class Settings:
        eos_token_id = (7, 9)

    prompting = promptings("llava")
    assert prompting.end_ids(Settings()) == sorted({7, 9, prompting.tokenizer.eos_token_id})
    # A tokenizer that ends texts with another token than its chat template ends turns with, as Llama 3's does.
    from transformers import AutoConfig, AutoProcessor

    processor = AutoProcessor.from_pretrained(promptings("qwen3_vl").processor.tokenizer.name_or_path)
    processor.tokenizer.eos_token = "<s>"
    config = AutoConfig.from_pretrained(processor.tokenizer.name_or_path)
    other = Prompting(processor, config, "other")
    turn, text = (processor.tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<s>"))
    assert other.end == "<|im_end|>"
    assert other.end_ids(Settings()) == sorted({7, 9, turn, text})


@pytest.mark.parametrize(("name", "size"), [("llava", 32), ("qwen2_5_vl", 64), ("florence2", 32), ("internvl", 32)])
def test_images_have_the_size_that_the_model_was_trained_on(promptings: Promptings, name: str, size: int):
    assert promptings(name).image_size == size


def test_an_image_of_the_models_size_is_one_part(promptings: Promptings):
    prompting = promptings("smolvlm")
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)

    pixels = prompting.image_inputs([image, image])["pixel_values"]

    assert pixels.shape == (2, 1, 3, 32, 32)
    own = prompting.processor.image_processor
    mean, std = (torch.tensor(values)[:, None, None] for values in (own.image_mean, own.image_std))
    unchanged = (torch.from_numpy(image).permute(2, 0, 1) / 255 - mean) / std
    torch.testing.assert_close(pixels[1, 0], unchanged)
    token = prompting.tokenizer.convert_tokens_to_ids("<image>")
    assert prompting.encode(prompting.prompt("where?"))["input_ids"].count(token) == 4
    assert promptings("internvl").image_inputs([image])["pixel_values"].shape == (1, 3, 32, 32)


def test_images_are_not_as_large_as_a_model_can_take_at_most(promptings: Promptings):
    from transformers import AutoConfig

    prompting = promptings("qwen2_5_vl")
    config = AutoConfig.from_pretrained(prompting.tokenizer.name_or_path)
    config.vision_config.image_size = 1540

    assert Prompting(prompting.processor, config, "pixtral").image_size == 448


def with_template(prompting: Prompting, template: str) -> Prompting:
    from transformers import AutoConfig

    processor = copy(prompting.processor)
    processor.chat_template = template
    return Prompting(processor, AutoConfig.from_pretrained(prompting.tokenizer.name_or_path), "other")


def test_a_template_for_a_single_question_will_do(promptings: Promptings):
    refuses = "{% if messages|length > 1 %}{{ raise_exception('one') }}{% endif %}<|image_pad|>Q:"

    single = with_template(promptings("qwen3_vl"), refuses)

    assert (single.prompt("x"), single.end) == ("<|image_pad|>Q:", promptings("qwen3_vl").tokenizer.eos_token)


def test_models_that_reason_are_not_let(promptings: Promptings):
    asked = "<|image_pad|>{{ messages[0].content[1].text }}<|im_end|>\nA:"
    switched = asked + "{% if enable_thinking %}<think>{% endif %}"

    always = with_template(promptings("qwen3_vl"), asked + "<think>\n")
    perhaps = with_template(promptings("qwen3_vl"), switched)

    assert always.prompt("x") == "<|image_pad|>x<|im_end|>\nA:<think>\n\n</think>\n\n"
    assert perhaps.prompt("x") == "<|image_pad|>x<|im_end|>\nA:"


def test_models_whose_image_inputs_depend_on_the_prompt_are_refused(promptings: Promptings):
    from transformers import AutoConfig, AutoProcessor

    folder = promptings("llava").tokenizer.name_or_path

    class Mixing(type(AutoProcessor.from_pretrained(folder))):  # type: ignore[misc]
        """As that of Llama 3.2 Vision, which says for each token what image it sees."""

        def __call__(self, **options):
            inputs = super().__call__(**options)
            return inputs | {"cross_attention_mask": inputs["attention_mask"][..., None]}

    with pytest.raises(ModelError, match="models of the type 'llava' mix prompts and images; choose another base"):
        Prompting(Mixing.from_pretrained(folder), AutoConfig.from_pretrained(folder), "mine")
