"""Texts and images → the inputs of a vision-language model of transformers, in the form that its class expects.

    text ─prompt─▶ whole prompt, placeholder of the image and chat template included ─text_inputs─▶ token ids, padded
    images_BHWC ─image_inputs─▶ normalised pixels, and whatever else the class wants to know of images

Every image has the same size, so all prompts have the same number of image tokens: token ids are made beside a blank
image, once for each prompt. Training and inference prompt a model through the same `Prompting`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rsmoe_core.errors import ModelError

_PLAIN = {
    "instructblip": "{text}",
    "blip-2": "Question: {text} Answer:",
    "paligemma": "<image>{text}",
    "florence2": "{text}",
}
"""Prompts of the model types that have no chat template; some processors add the placeholder of the image."""
_REMEMBERED = 4096
"""Prompts whose token ids are kept: those of the experts come back for every image."""
_PROBE = "ANSWER"
_THOUGHT = ("<think>", "</think>")
_ANY_SIZE = 448
"""Side, in pixels, of images for models that take any size."""
_LARGEST = 1024
"""Side, in pixels, from which on a configuration says what a model can take (Pixtral), not what it expects."""


class Prompting:
    """How one model is prompted."""

    def __init__(self, processor: Any, config: Any, name: str, image_size: int | None = None) -> None:
        """`image_size` is for models that take any size; None is the model's own.

        Raises:
            ModelError: the model cannot be prompted.
        """
        self.processor, self.tokenizer, self.name = processor, processor.tokenizer, name
        _keep_whole(processor.image_processor)
        self.model_type: str = config.model_type
        self.image_size = image_size or _image_size(processor, config)
        self._is_encoder_decoder = bool(config.is_encoder_decoder)
        self._template = _template(processor)
        self._special_tokens = _special_tokens(self.tokenizer)
        self._special_pattern = re.compile("|".join(map(re.escape, self._special_tokens)) or r"(?!)")
        self._beside_blank = copy(processor)
        """Prepares prompts beside a blank image, which it has prepared before."""
        self._beside_blank.image_processor = _Once(processor.image_processor)
        self.encode = lru_cache(_REMEMBERED)(self._encode)
        if self._template is None and self.model_type not in _PLAIN:
            raise ModelError(
                f"'{name}' has no chat template, so it cannot be instructed; choose the -Instruct or -it release of it"
            )
        self._takes_parts = True
        if self._template is not None and not self._has_image():
            self._takes_parts = False  # but plain text, in which the placeholder of the image is one of the words
            if not self._has_image():
                raise ModelError(f"the chat template of '{name}' has no place for an image; choose another base")
        if not self._separates_images():
            raise ModelError(f"models of the type '{self.model_type}' mix prompts and images; choose another base")

    def prompt(self, text: str) -> str:
        """The whole prompt of a text about an image, up to where the answer begins.

        Special tokens in the text are left out, so that nobody's words can end a turn or stand for an image.
        """
        text = self._special_pattern.sub(" ", text)
        if self._template is None:
            return _PLAIN[self.model_type].format(text=text)
        prompt = self._render([self._message("user", text)], add_generation_prompt=True)
        if prompt.rstrip().endswith(_THOUGHT[0]):  # a model that always reasons is told that it has
            return prompt.rstrip() + "\n\n" + _THOUGHT[1] + "\n\n"
        return prompt

    @property
    def end(self) -> str:
        """What ends an answer: the chat template's end of turn, else the tokenizer's end of text."""
        return self._end_of_turn or str(self.tokenizer.eos_token or "")

    def end_ids(self, generation_config: Any) -> list[int]:
        """Every token that ends an answer, by the model's own settings and by its chat template."""
        own = generation_config.eos_token_id
        ids = {*(own if isinstance(own, list | tuple) else [own]), self.tokenizer.eos_token_id}
        if end := self._end_of_turn:
            ids.add(self.tokenizer.convert_tokens_to_ids(end))
        return sorted(token for token in ids if token is not None)

    @property
    def pad_id(self) -> int:
        """The token that fills up shorter prompts; it is masked, so any will do where a tokenizer has none."""
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        return next((token for token in (pad, end) if token is not None), 0)

    def image_inputs(self, images: Sequence[NDArray[np.uint8]]) -> dict[str, Tensor]:
        """What the model wants to know of images, each image_size x image_size x 3; the images are in their order."""
        inputs = self._process(self.processor, [self.prompt("x")] * len(images), images)
        return {key: value for key, value in inputs.items() if not _is_text(key)}

    def text_inputs(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and masks of whole prompts; R rows, padded to the longest.

        A decoder goes on from the last token, so it is padded on the left. Encoders (of Florence-2, and the Q-Former,
        which reads the prompt as well) number their positions from the first token on: they are padded on the right.
        """
        rows = [self.encode(prompt) for prompt in prompts]
        inputs = {}
        for key in rows[0]:
            longest = max(len(row[key]) for row in rows)
            on_right = self._is_encoder_decoder or key.startswith("qformer")
            fill = self._fill(key)
            inputs[key] = torch.tensor([_padded(row[key], longest, fill, on_right) for row in rows])
        return inputs

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def _encode(self, prompt: str) -> Mapping[str, list[int]]:
        inputs = self._process(self._beside_blank, [prompt], [self._blank])
        return {key: value[0].tolist() for key, value in inputs.items() if _is_text(key)}

    def _separates_images(self) -> bool:
        """Whether image inputs are the same for every prompt; those of Llama 3.2 Vision are not."""
        short, long = (
            self._process(self._beside_blank, [self.prompt(text)], [self._blank]) for text in ("x", "some more words")
        )
        return all(short[key].shape == long[key].shape for key in short if not _is_text(key))

    @cached_property
    def _blank(self) -> NDArray[np.uint8]:
        return np.zeros((self.image_size, self.image_size, 3), np.uint8)

    def _process(
        self, processor: Any, prompts: Sequence[str], images: Sequence[NDArray[np.uint8]]
    ) -> dict[str, Tensor]:
        options: dict[str, Any] = {}
        bos = self.tokenizer.bos_token
        if bos is not None and prompts[0].startswith(bos):  # the tokenizer would add another one
            options["add_special_tokens"] = False
        nested = [[Image.fromarray(image)] for image in images]
        inputs = processor(text=list(prompts), images=nested, return_tensors="pt", padding=True, **options)
        return {key: value for key, value in inputs.items() if key != "labels"}  # PaliGemma's are for training

    def _fill(self, key: str) -> int:
        if key == "qformer_input_ids":
            return int(self.processor.qformer_tokenizer.pad_token_id or 0)
        return self.pad_id if key == "input_ids" else 0

    def _message(self, role: str, text: str) -> dict[str, Any]:
        """What one side says; the user's begins with the image."""
        if self._takes_parts:
            image = [{"type": "image"}] if role == "user" else []
            return {"role": role, "content": [*image, {"type": "text", "text": text}]}
        image_token = getattr(self.processor, "image_token", "")
        return {"role": role, "content": f"{image_token}\n{text}" if role == "user" else text}

    def _render(self, messages: list[dict[str, Any]], **options: Any) -> str:
        if "enable_thinking" in str(self._template):
            options["enable_thinking"] = False
        return str(self.processor.apply_chat_template(messages, self._template, tokenize=False, **options))

    def _has_image(self) -> bool:
        """Whether prompts have a placeholder for the image, as messages are made now."""
        try:
            prompt = self.prompt("x")
        except Exception:  # templates raise errors of their own about messages that they were not made for
            return False
        tokens = [getattr(self.processor, name, None) for name in ("image_token", "boi_token")]
        return not any(tokens) or any(token and str(token) in prompt for token in tokens)

    @cached_property
    def _end_of_turn(self) -> str | None:
        """The special token that the chat template puts after an answer."""
        if self._template is None:
            return None
        try:
            rendered = self._render([self._message("user", "x"), self._message("assistant", _PROBE)])
        except Exception:  # some templates are for a single question
            return None
        after = rendered.rpartition(_PROBE)[2].lstrip()
        return next((token for token in self._special_tokens if after.startswith(token)), None)


class _Once:
    """An image processor that is always given the same image."""

    def __init__(self, image_processor: Any) -> None:
        self._image_processor = image_processor
        self._known: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._image_processor, name)

    def __call__(self, images: Any, **options: Any) -> Any:
        if self._known is None:
            self._known = self._image_processor(images, **options)
        return copy(self._known)  # some processors take entries out


def _template(processor: Any) -> str | None:
    """The chat template for plain conversations; older releases have it in their tokenizers."""
    template = processor.chat_template or processor.tokenizer.chat_template
    return template.get("default") if isinstance(template, dict) else template


def _special_tokens(tokenizer: Any) -> list[str]:
    """What stands for something else than itself; longest first, so that none hides behind the beginning of another."""
    special = {str(token) for token in tokenizer.all_special_tokens}
    added = tokenizer.added_tokens_decoder.values()
    return sorted(special | {token.content for token in added if token.special}, key=len, reverse=True)


def _keep_whole(image_processor: Any) -> None:
    """No image is enlarged and cut into parts, as SmolVLM and Idefics 3 would: 17 times the tokens for the same pixels.

    Tiles have the size of the image encoder, so that a single part shows all of them.
    """
    if getattr(image_processor, "do_image_splitting", False) and hasattr(image_processor, "max_image_size"):
        image_processor.do_image_splitting = False
        image_processor.size = image_processor.max_image_size


def _is_text(key: str) -> bool:
    """Whether an input of a model describes its prompt; the others describe images."""
    return key in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids") or key.startswith("qformer")


def _padded(ids: list[int], length: int, fill: int, on_right: bool) -> list[int]:
    missing = [fill] * (length - len(ids))
    return ids + missing if on_right else missing + ids


def _image_size(processor: Any, config: Any) -> int:
    """The side of the images that a model was trained on; for any size, a usual one within the processor's limits."""
    size = getattr(getattr(config, "vision_config", None), "image_size", None)
    size = size if size is None or isinstance(size, int) else size[0]
    if size is not None and size < _LARGEST:
        return int(size)
    limits = dict(getattr(processor.image_processor, "size", None) or {})
    if "height" in limits and limits["height"] < _LARGEST:
        return int(limits["height"])
    # Of Qwen's classes, the limits are numbers of pixels.
    most = limits.get("longest_edge")
    return min(_ANY_SIZE, int(most**0.5)) if most and size is None else _ANY_SIZE
