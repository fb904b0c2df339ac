"""Requests → Descriptions or Answers: the engine that the command line and Python users hold in their hands.

    images ─preprocess─▶ pixels_BCHW ─vision─▶ patches_BPD ─Q-Former─▶ VisionTokens
           ─router─▶ RoutedPrompts ─experts─▶ ExpertDrafts ─fusion─▶ Description

The image encoder and the Q-Former see each picture once, whatever the number of experts, and whatever the number of
questions about it; how a question is answered stands in `answering`.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rsmoe_core.answering import (
    Looked,
    ask_experts,
    find_things,
    inquiry_of,
    settle_by_experts,
    settle_by_finding,
    unseen,
)
from rsmoe_core.catalogue import find_model
from rsmoe_core.checkpoint import fingerprint
from rsmoe_core.devices import find_device
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.finding import Finder
from rsmoe_core.instructions import CAPTION
from rsmoe_core.model.experts import ExpertDrafts
from rsmoe_core.model.router import RoutedPrompts
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.model.vision import folded
from rsmoe_core.preprocess import to_pixels
from rsmoe_core.question_reader import read_inquiry
from rsmoe_core.ready import load_ready
from rsmoe_core.types import UNKNOWN, Answer, Description, Request
from rsmoe_core.variants import WHOLE, Variant

_BATCH = 32
_EXPERTS_NEEDED = "holds a stage-1 model, which has no experts; train stage 2 from it first"


class Engine:
    """A loaded model, ready to describe pictures. Use it from one thread at a time."""

    def __init__(self, model: RSMoE, name: str, revision: str, device: str = "cpu", batch_size: int = _BATCH) -> None:
        self._model = model
        self._encoder = folded(model.vision)
        self._finder = Finder(model.counters, model.config.counting, device)
        self.name = name
        self.revision = revision
        self.device = device
        self.batch_size = batch_size

    @property
    def image_size(self) -> int:
        """Side of the square, in pixels, to which every picture is resized."""
        return self._model.config.vision.image_size

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the model's experts."""
        return self._model.config.experts

    @property
    def dtype(self) -> str:
        """Number format in which the model computes."""
        return str(next(self._model.language.parameters()).dtype).removeprefix("torch.")

    def caption(
        self, images: Sequence[NDArray[np.uint8] | Image.Image], valid: Sequence[NDArray[np.bool_]] | None = None
    ) -> list[Description]:
        """Describe pictures: HxWx3 uint8 arrays (red-green-blue) or PIL images, each of any size.

        `valid` gives an HxW mask for each, true where the picture was really observed. Raises ImageError.
        """
        masks = valid if valid is not None else [None] * len(images)
        return self.describe([Request(as_array(image), mask) for image, mask in zip(images, masks, strict=True)])

    def describe(self, requests: Sequence[Request], batch_size: int | None = None) -> list[Description]:
        """Answer requests in their order, `batch_size` pictures at a time; the size does not change the answers."""
        return self.compare(requests, [WHOLE], batch_size)[0]

    def ask(
        self,
        images: Sequence[NDArray[np.uint8] | Image.Image],
        question: str | Sequence[str],
        valid: Sequence[NDArray[np.bool_]] | None = None,
        metres_per_pixel: float | None = None,
    ) -> list[Answer]:
        """Ask one question about every picture, or one about each: pictures and masks as in `caption`.

        `metres_per_pixel` is the pictures' ground sample distance, where it is known. A question that no picture
        answers gets the answer `unknown`, with the reason as its evidence. Raises UsageError for an empty or endless
        question, ImageError for a picture that is none.
        """
        questions = [question] * len(images) if isinstance(question, str) else list(question)
        if len(questions) != len(images):
            raise UsageError(f"{len(questions)} questions for {len(images)} pictures; give one, or one for each")
        read = {text: read_inquiry(text) for text in questions}
        masks = valid if valid is not None else [None] * len(images)
        return self.answer(
            [
                Request(as_array(image), mask, read[text], metres_per_pixel)
                for image, mask, text in zip(images, masks, questions, strict=True)
            ]
        )

    def answer(self, requests: Sequence[Request], batch_size: int | None = None) -> list[Answer]:
        """Answers in the order of the requests, each of which has an inquiry; `batch_size` pictures at a time.

        Requests with the very same image share the look at it. The batch size does not change the answers.
        """
        size = batch_size or self.batch_size
        settled: dict[int, Answer] = {}
        looked: Looked = {}
        by_picture: dict[int, list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            if (early := self._without_experts(request, looked)) is not None:
                settled[number] = early
            else:
                by_picture[id(request.image)].append(number)
        pictures = list(by_picture.values())
        for first in range(0, len(pictures), size):
            numbers = pictures[first : first + size]
            settled |= self._answers([[(n, requests[n]) for n in own] for own in numbers])
        return [settled[number] for number in range(len(requests))]

    def _without_experts(self, request: Request, looked: Looked) -> Answer | None:
        """The answer to what no picture, or not this one, can tell, and to what the counters settle."""
        inquiry = inquiry_of(request)
        reason = inquiry.reason if inquiry.kind == "unknown" else None
        reason = reason or unseen(inquiry, self._finder, request.metres_per_pixel)
        if reason:
            return Answer(UNKNOWN, 1.0, reason)
        return settle_by_finding(request, find_things(request, self._finder, looked))

    @torch.inference_mode()
    def _answers(self, pictures: Sequence[Sequence[tuple[int, Request]]]) -> dict[int, Answer]:
        """Answers by number, of the questions about a batch of pictures."""
        tokens_BQH = self._look([own[0][1] for own in pictures])
        asked = [(row, number, request) for row, own in enumerate(pictures) for number, request in own]
        told = [one for one in asked if inquiry_of(one[2]).kind == "description"]
        put = [one for one in asked if inquiry_of(one[2]).kind != "description"]
        answers = {}
        if told:
            words = self._describe_tokens(tokens_BQH[[row for row, _, _ in told]], [WHOLE])[0]
            for (_, number, _), description in zip(told, words, strict=True):
                answers[number] = Answer(
                    description.caption, description.confidence, description.theme, prompts=description.prompts
                )
        if put:
            tokens_RQH = tokens_BQH[[row for row, _, _ in put]]
            heard = ask_experts(self._model, tokens_RQH, [inquiry_of(request) for _, _, request in put])
            for (_, number, request), said in zip(put, heard, strict=True):
                answers[number] = settle_by_experts(request, said)
        return answers

    def compare(
        self, requests: Sequence[Request], variants: Sequence[Variant], batch_size: int | None = None
    ) -> list[list[Description]]:
        """The answers of each variant of the model to the same requests; what variants share is computed once."""
        size = batch_size or self.batch_size
        described: list[list[Description]] = [[] for _ in variants]
        for first in range(0, len(requests), size):
            for so_far, more in zip(described, self._batch(requests[first : first + size], variants), strict=True):
                so_far += more
        return described

    @torch.inference_mode()
    def _batch(self, requests: Sequence[Request], variants: Sequence[Variant]) -> list[list[Description]]:
        return self._describe_tokens(self._look(requests), variants)

    def _look(self, requests: Sequence[Request]) -> Tensor:
        """The vision tokens of each picture."""
        pixels_BCHW = to_pixels(requests, self.image_size).to(self.device, memory_format=torch.channels_last)
        return self._model.encode(self._encoder(pixels_BCHW), [CAPTION] * len(requests))

    def _describe_tokens(self, tokens_BQH: Tensor, variants: Sequence[Variant]) -> list[list[Description]]:
        instructions = [CAPTION] * len(tokens_BQH)
        asked = {
            routed: self._model.ask_experts(tokens_BQH, instructions, routed) for routed in {v.router for v in variants}
        }
        return [self._finish(variant, tokens_BQH, instructions, *asked[variant.router]) for variant in variants]

    def _finish(
        self,
        variant: Variant,
        tokens_BQH: Tensor,
        instructions: Sequence[str],
        prompts: Sequence[RoutedPrompts],
        drafts: Sequence[ExpertDrafts],
    ) -> list[Description]:
        used = [{name: text for name, text in draft.items() if name not in variant.without} for draft in drafts]
        return [
            Description(
                caption=caption,
                theme=draft.get("theme", ""),
                objects=draft.get("objects", ""),
                relations=draft.get("relations", ""),
                confidence=confidence,
                prompts=MappingProxyType(prompt),
            )
            for (caption, confidence), draft, prompt in zip(
                self._last_word(variant, tokens_BQH, instructions, used), used, prompts, strict=True
            )
        ]

    def _last_word(
        self, variant: Variant, tokens_BQH: Tensor, instructions: Sequence[str], drafts: Sequence[ExpertDrafts]
    ) -> list[tuple[str, float]]:
        """Caption and confidence; joined drafts have no confidence of their own (NaN)."""
        model = self._model
        if variant.ending == "join":
            return [(as_sentence(", ".join(filter(None, draft.values()))), math.nan) for draft in drafts]
        if variant.ending == "language":
            written = model.answer(tokens_BQH, instructions, beams=model.config.decoding.beams)
        else:
            written = model.fuse(tokens_BQH, instructions, drafts)
        return [(as_sentence(model.codec.decode(text.ids)), text.confidence) for text in written]


def load(model: str | Path = "nano", *, device: str = "auto", revision: str | None = None) -> Engine:
    """Load a model by built-in name, from a folder, or from the Hugging Face hub by id (`owner/name`).

    `device` is `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` ...; `revision` a branch, tag or commit of a
    hub model. Raises UsageError for a name that means nothing, ModelError for a folder that is damaged.
    """
    folder = find_model(str(model), revision)
    where = find_device(device)
    loaded = load_ready(folder, where)
    if not loaded.has_experts:
        raise ModelError(f"{folder} {_EXPERTS_NEEDED}")
    return Engine(loaded, str(model), fingerprint(folder), where)


def as_array(image: NDArray[np.uint8] | Image.Image) -> NDArray[np.uint8]:
    """A picture as HxWx3, red-green-blue."""
    return np.asarray(image.convert("RGB")) if isinstance(image, Image.Image) else image


def as_sentence(text: str) -> str:
    """Text as the model writes it ("a pond is near a road .") → a sentence for people ("A pond is near a road.")."""
    text = re.sub(r"\s+([.,;:!?])", r"\1", text.strip())
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")
