"""Requests → Descriptions or Answers: the engine that the command line and Python users hold in their hands.

    images ─preprocess─▶ pixels_BCHW ─vision─▶ patches_BPD ─Q-Former─▶ VisionTokens
           ─router─▶ RoutedPrompts ─experts─▶ ExpertDrafts ─fusion─▶ Description

The image encoder and the Q-Former see each picture once, whatever the number of experts, and whatever the number of
questions about it; how a question is answered stands in `answering`.
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rsmoe_core.checkpoint.catalogue import find_model
from rsmoe_core.checkpoint.inference import load_for_inference
from rsmoe_core.checkpoint.load import fingerprint
from rsmoe_core.devices import find_device, is_out_of_memory, release_memory, uses_bf16
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.inference.ablations import FULL_MODEL, Ablation
from rsmoe_core.inference.answers import (
    Looked,
    ask_experts,
    find_things,
    question_of,
    settle_by_experts,
    settle_by_finding,
    unseen,
)
from rsmoe_core.inference.batching import AdaptiveBatchSize, ThreadPool
from rsmoe_core.inference.caption_counts import with_detected_counts
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.model.experts import ExpertDrafts
from rsmoe_core.model.language.generation import RoleDecoders
from rsmoe_core.model.router import RoutedPrompts
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.preprocess import to_pixels
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.roles import CAPTION
from rsmoe_core.types import UNKNOWN, Answer, Description, Request

_ON_CPU, _ELSEWHERE = (32, 32), (128, 512)
"""Pictures of each worker's first batch, and of its largest: more gain a processor nothing, a GPU is idle with few."""
_VISION_BATCH = 2
"""Pictures that a processor encodes at a time: what is in between then stays in its cache."""
Asked = TypeVar("Asked")
Said = TypeVar("Said")
_EXPERTS_NEEDED = "holds a stage-1 model, which has no experts; train stage 2 from it first"


class Engine:
    """A loaded model, ready to describe pictures. Use it from one thread at a time."""

    def __init__(self, model: RSMoE, name: str, revision: str, device: str = "cpu") -> None:
        self._model = model
        self._detectors = Detectors(model.detectors, model.config.detection, device)
        # peft tells one model, for all threads, which adapters the rows at hand use: only decoders can be shared.
        self._workers = ThreadPool.on(device) if isinstance(model.language, RoleDecoders) else ThreadPool(1)
        first, most = _ON_CPU if device == "cpu" else _ELSEWHERE
        self._size = AdaptiveBatchSize(first * self._workers.count, most * self._workers.count)
        self.name = name
        self.revision = revision
        self.device = device

    @property
    def batch_size(self) -> int:
        """Pictures that are best given to it at a time, as far as it knows by now; set it to keep it fixed."""
        return self._size.now

    @batch_size.setter
    def batch_size(self, pictures: int) -> None:
        self._size = AdaptiveBatchSize(pictures, pictures)

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
        return str(self._model.qformer.queries.dtype).removeprefix("torch.")

    def caption(
        self,
        images: Sequence[NDArray[np.uint8] | Image.Image],
        valid: Sequence[NDArray[np.bool_]] | None = None,
        metres_per_pixel: float | None = None,
    ) -> list[Description]:
        """Describe pictures: HxWx3 uint8 arrays (red-green-blue) or PIL images, each of any size.

        `valid` gives an HxW mask for each, true where the picture was really observed. `metres_per_pixel` is the
        pictures' ground sample distance; where it is known, amounts of ships and airplanes are those that the detectors
        find. Raises ImageError.
        """
        masks = valid if valid is not None else [None] * len(images)
        return self.describe(
            [
                Request(as_array(image), mask, metres_per_pixel=metres_per_pixel)
                for image, mask in zip(images, masks, strict=True)
            ]
        )

    def describe(self, requests: Sequence[Request], batch_size: int | None = None) -> list[Description]:
        """Descriptions in the order of the requests, `batch_size` pictures at a time; the size does not change them."""
        return self._in_batches(self._described, requests, batch_size)

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
        read = {text: parse_question(text) for text in questions}
        masks = valid if valid is not None else [None] * len(images)
        return self.answer(
            [
                Request(as_array(image), mask, read[text], metres_per_pixel)
                for image, mask, text in zip(images, masks, questions, strict=True)
            ]
        )

    def answer(self, requests: Sequence[Request], batch_size: int | None = None) -> list[Answer]:
        """Answers in the order of the requests, each of which has an parsed; `batch_size` pictures at a time.

        Requests with the very same image share the look at it. The batch size does not change the answers.
        """
        by_picture: dict[int, list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            by_picture[id(request.image)].append(number)
        pictures = [[requests[number] for number in own] for own in by_picture.values()]
        said = self._in_batches(self._answer_pictures, pictures, batch_size)
        numbered = {
            number: answer
            for own, answers in zip(by_picture.values(), said, strict=True)
            for number, answer in zip(own, answers, strict=True)
        }
        return [numbered[number] for number in range(len(requests))]

    def _answer_pictures(self, pictures: Sequence[Sequence[Request]]) -> list[list[Answer]]:
        """The answers to all questions about each picture."""
        looked: Looked = {}
        settled = [[self._without_experts(request, looked) for request in own] for own in pictures]
        left = [
            [(place, request) for place, request in enumerate(own) if answers[place] is None]
            for own, answers in zip(pictures, settled, strict=True)
        ]
        heard = iter(self._ask_experts([own for own in left if own]))
        said = [next(heard) if own else {} for own in left]
        return [
            [answer or by_experts[place] for place, answer in enumerate(answers)]
            for answers, by_experts in zip(settled, said, strict=True)
        ]

    def _without_experts(self, request: Request, looked: Looked) -> Answer | None:
        """The answer to what no picture, or not this one, can tell, and to what the detectors settle."""
        parsed = question_of(request)
        reason = parsed.reason if parsed.type == "unknown" else None
        reason = reason or unseen(parsed, self._detectors, request.metres_per_pixel)
        if reason:
            return Answer(UNKNOWN, 1.0, reason)
        return settle_by_finding(request, find_things(request, self._detectors, looked))

    @torch.inference_mode()
    def _ask_experts(self, pictures: Sequence[Sequence[tuple[int, Request]]]) -> list[dict[int, Answer]]:
        """Answers by place, for each picture of a batch of which something is asked."""
        if not pictures:
            return []
        tokens_BQH = self._look([own[0][1] for own in pictures])
        asked = [(row, place, request) for row, own in enumerate(pictures) for place, request in own]
        told = [one for one in asked if question_of(one[2]).type == "description"]
        put = [one for one in asked if question_of(one[2]).type != "description"]
        answers: list[dict[int, Answer]] = [{} for _ in pictures]
        if told:
            words = self._describe_tokens(tokens_BQH[[row for row, _, _ in told]], [FULL_MODEL])
            for (row, place, request), (said,) in zip(told, words, strict=True):
                description = with_detected_counts(said, request, self._detectors)
                answers[row][place] = Answer(
                    description.caption, description.confidence, description.theme, prompts=description.prompts
                )
        if put:
            tokens_RQH = tokens_BQH[[row for row, _, _ in put]]
            heard = ask_experts(self._model, tokens_RQH, [question_of(request) for _, _, request in put])
            for (row, place, request), drafts in zip(put, heard, strict=True):
                answers[row][place] = settle_by_experts(request, drafts)
        return answers

    def compare(
        self, requests: Sequence[Request], ablation_list: Sequence[Ablation], batch_size: int | None = None
    ) -> list[list[Description]]:
        """The answers of each ablation of the model to the same requests; what ablation_list share is computed once."""
        said = self._in_batches(lambda part: self._batch(part, ablation_list), requests, batch_size)
        return [[own[number] for own in said] for number in range(len(ablation_list))]

    def _in_batches(
        self, compute: Callable[[Sequence[Asked]], list[Said]], asked: Sequence[Asked], size: int | None
    ) -> list[Said]:
        """`compute` for a batch after the other, all workers at each; batches shrink where memory does not suffice."""
        said: list[Said] = []
        while len(said) < len(asked):
            batch = asked[len(said) : len(said) + (size or self.batch_size)]
            began = time.perf_counter()
            try:
                said += self._workers.map(compute, batch)
            except Exception as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                self._size.was_too_large(len(batch))
                size = self.batch_size
                release_memory(self.device)
            else:
                self._size.took(len(batch), time.perf_counter() - began)
        return said

    def _described(self, requests: Sequence[Request]) -> list[Description]:
        said = self._batch(requests, [FULL_MODEL])
        return [
            with_detected_counts(own, request, self._detectors) for (own,), request in zip(said, requests, strict=True)
        ]

    @torch.inference_mode()
    def _batch(self, requests: Sequence[Request], ablation_list: Sequence[Ablation]) -> list[list[Description]]:
        return self._describe_tokens(self._look(requests), ablation_list)

    def _look(self, requests: Sequence[Request]) -> Tensor:
        """The vision tokens of each picture."""
        at_a_time = _VISION_BATCH if self.device == "cpu" else len(requests)
        parts = [requests[first : first + at_a_time] for first in range(0, len(requests), at_a_time)]
        patches_BPD = torch.cat([self._model.vision(self._pixels(part)) for part in parts])
        return self._model.encode(patches_BPD, [CAPTION] * len(requests))

    def _pixels(self, requests: Sequence[Request]) -> Tensor:
        pixels_BCHW = to_pixels(requests, self.image_size)
        dtype = self._model.qformer.queries.dtype
        return pixels_BCHW.to(self.device, dtype, memory_format=torch.channels_last)

    def _describe_tokens(self, tokens_BQH: Tensor, ablation_list: Sequence[Ablation]) -> list[list[Description]]:
        """For each picture, what each ablation says of it."""
        instructions = [CAPTION] * len(tokens_BQH)
        asked = {
            routed: self._model.ask_experts(tokens_BQH, instructions, routed)
            for routed in {v.router for v in ablation_list}
        }
        said = [self._finish(ablation, tokens_BQH, instructions, *asked[ablation.router]) for ablation in ablation_list]
        return [list(own) for own in zip(*said, strict=True)]

    def _finish(
        self,
        ablation: Ablation,
        tokens_BQH: Tensor,
        instructions: Sequence[str],
        prompts: Sequence[RoutedPrompts],
        drafts: Sequence[ExpertDrafts],
    ) -> list[Description]:
        used = [{name: text for name, text in draft.items() if name not in ablation.without} for draft in drafts]
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
                self._last_word(ablation, tokens_BQH, instructions, used), used, prompts, strict=True
            )
        ]

    def _last_word(
        self, ablation: Ablation, tokens_BQH: Tensor, instructions: Sequence[str], drafts: Sequence[ExpertDrafts]
    ) -> list[tuple[str, float]]:
        """Caption and confidence; initialised drafts have no confidence of their own (NaN)."""
        model = self._model
        if ablation.ending == "join":
            return [(as_sentence(", ".join(filter(None, draft.values()))), math.nan) for draft in drafts]
        if ablation.ending == "language":
            written = model.answer(tokens_BQH, instructions, beams=model.config.decoding.beams)
        else:
            written = model.fuse(tokens_BQH, instructions, drafts)
        return [(as_sentence(model.tokenizer.decode(text.ids)), text.confidence) for text in written]


def load(
    model: str | Path = "nano", *, device: str = "auto", precision: str = "fp32", revision: str | None = None
) -> Engine:
    """Load a model by built-in name, from a folder, or from the Hugging Face hub by id (`owner/name`).

    `device` is `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` ...; `precision` is `fp32`, `bf16`, which
    changes some words, or `auto`, which measures what is faster; `revision` a branch, tag or commit of a hub model.
    Raises UsageError for a name that means nothing, ModelError for a folder that is damaged.
    """
    folder = find_model(str(model), revision)
    where = find_device(device)
    loaded = load_for_inference(folder, where, torch.bfloat16 if uses_bf16(precision, where) else torch.float32)
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
