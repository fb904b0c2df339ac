"""Requests → Descriptions or Answers: the engine that the command line and Python users hold in their hands.

    requests ─encode─▶ Encoded ─router─▶ RoutedPrompts ─experts─▶ ExpertDrafts ─fusion─▶ Description
                               └─ questions ─▶ detections or experts ─▶ Answers

Each image is encoded once, whatever the number of experts and of questions about it. The engine batches, spreads
batches over threads and shrinks them where memory does not suffice; what is computed is in `inference.captions` and
`inference.answers`, over a `Backend`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.backends.base import Backend, Encoded, Usage
from rsmoe_core.config import CaptionOptions, DecodingConfig, DetectionConfig
from rsmoe_core.devices import is_out_of_memory, release_memory
from rsmoe_core.errors import UsageError
from rsmoe_core.images import ImageLike, as_array, listed
from rsmoe_core.inference.ablations import MIXTURES, Ablation
from rsmoe_core.inference.answers import answer_from_detections, detect_subjects, unanswerable
from rsmoe_core.inference.batching import AdaptiveBatchSize, ThreadPool
from rsmoe_core.inference.caption_counts import with_detected_counts
from rsmoe_core.inference.captions import describe
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.inference.expert_answers import answer_from_experts, ask_experts
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.roles import CAPTION_INSTRUCTION, DEFAULT_EXPERTS, all_roles
from rsmoe_core.types import UNKNOWN, Answer, Description, Detection, Request
from rsmoe_core.words.replies import shorten

Result = TypeVar("Result")


class Engine:
    """A backend with router, experts and fusion on top. Use it from one thread at a time."""

    def __init__(
        self,
        backend: Backend,
        detectors: Detectors | None = None,
        experts: Sequence[str] = DEFAULT_EXPERTS,
        limits: DecodingConfig | None = None,
        options: CaptionOptions | None = None,
    ) -> None:
        """`detectors` find single objects; without them no object is counted one by one.

        Raises:
            UsageError: the options have a prompt that the model does not understand.
        """
        self.backend = backend
        self.options = options if options is not None else CaptionOptions()
        if self.options.prompt is not None and not backend.follows_instructions:
            raise UsageError(
                f"{backend.name} only describes images in the words that it was trained on, and takes no --prompt; "
                "use a model that follows instructions, such as --model OWNER/NAME or --endpoint URL"
            )
        self.detectors = detectors if detectors is not None else Detectors({}, DetectionConfig(), backend.device)
        self.experts = tuple(experts)
        """Names of the experts, in the order in which their drafts are fused."""
        self.limits = limits if limits is not None else DecodingConfig()
        self.threads = ThreadPool(backend.threads)
        first, largest = backend.batch_sizes
        self._size = AdaptiveBatchSize(first * self.threads.count, largest * self.threads.count)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.backend.name

    @property
    def revision(self) -> str:
        """Version of its weights."""
        return self.backend.revision

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.backend.device

    @property
    def dtype(self) -> str:
        """Number format in which it computes."""
        return self.backend.dtype

    @property
    def image_size(self) -> int:
        """Side of the square, in pixels, to which every image is resized."""
        return self.backend.image_size

    @property
    def follows_instructions(self) -> bool:
        """Whether it understands any words, and not only those that it was trained on."""
        return self.backend.follows_instructions

    @property
    def checks_replies(self) -> bool:
        """Whether some roles are instructions, whose replies may turn out to be of no use."""
        return not self.backend.trained_roles.issuperset(all_roles(self.experts))

    @property
    def has_detectors(self) -> bool:
        """Whether it can find and count single objects."""
        return len(self.detectors) > 0

    @property
    def usage(self) -> Usage:
        """What it has computed so far."""
        return self.backend.usage

    @property
    def batch_size(self) -> int:
        """Images that are best given to it at a time, as far as is known by now; set it to keep it fixed."""
        return self._size.current

    @batch_size.setter
    def batch_size(self, images: int) -> None:
        self._size = AdaptiveBatchSize(images, images)

    def caption(
        self,
        images: ImageLike | Sequence[ImageLike],
        valid: NDArray[np.bool_] | Sequence[NDArray[np.bool_]] | None = None,
        metres_per_pixel: float | None = None,
    ) -> list[Description]:
        """Describe images: HxWx3 uint8 arrays (red-green-blue), PIL images or paths of files, each of any size.

        A single image gives a list with one description.

        `valid` gives an HxW mask for each, true where the image was observed. `metres_per_pixel` is the images' ground
        sample distance; where it is known, numbers of ships and airplanes are those that the detectors find.

        Raises:
            ImageError: an image or a mask has the wrong shape or type.
            DataError: a file cannot be read as an image.
        """
        images, masks = listed(images, valid)
        return self.describe(
            [
                Request(as_array(image), mask, metres_per_pixel=metres_per_pixel)
                for image, mask in zip(images, masks, strict=True)
            ]
        )

    def describe(self, requests: Sequence[Request], batch_size: int | None = None) -> list[Description]:
        """Descriptions in the order of the requests, `batch_size` images at a time; the size does not change them."""
        return self._in_batches(self._describe_batch, requests, batch_size)

    def compare(
        self, requests: Sequence[Request], ablations: Sequence[Ablation], batch_size: int | None = None
    ) -> list[list[Description]]:
        """For each ablation the descriptions of all requests; what ablations share is computed once."""
        described = self._in_batches(lambda part: self._ablate_batch(part, ablations), requests, batch_size)
        return [[by_ablation[number] for by_ablation in described] for number in range(len(ablations))]

    def ask(
        self,
        images: ImageLike | Sequence[ImageLike],
        question: str | Sequence[str],
        valid: NDArray[np.bool_] | Sequence[NDArray[np.bool_]] | None = None,
        metres_per_pixel: float | None = None,
    ) -> list[Answer]:
        """Ask one question about every image, or one about each; images and masks as in `caption`.

        `metres_per_pixel` is the images' ground sample distance, where it is known. A question that no image answers
        gets the answer `unknown`, with the reason as its evidence. An image that is given several times, as the very
        same object, is encoded once.

        Raises:
            UsageError: a question is empty or too long, or there are not as many questions as images.
            ImageError: an image or a mask has the wrong shape or type.
            DataError: a file cannot be read as an image.
        """
        images, masks = listed(images, valid)
        questions = [question] * len(images) if isinstance(question, str) else list(question)
        if len(questions) != len(images):
            raise UsageError(f"{len(questions)} questions for {len(images)} images; give one, or one for each")
        parsed = {text: self.understood(parse_question(text)) for text in questions}
        grouped: dict[tuple[int, int], list[int]] = {}
        for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
            grouped.setdefault((id(image), id(mask)), []).append(number)
        requests = [
            Request(
                as_array(images[own[0]]),
                masks[own[0]],
                tuple(parsed[questions[number]] for number in own),
                metres_per_pixel,
            )
            for own in grouped.values()
        ]
        answers = {
            number: answer
            for own, of_image in zip(grouped.values(), self.answer(requests), strict=True)
            for number, answer in zip(own, of_image, strict=True)
        }
        return [answers[number] for number in range(len(images))]

    def understood(self, question: ParsedQuestion) -> ParsedQuestion:
        """The question as this model understands it: in its own words, where it follows instructions."""
        return question.opened() if self.follows_instructions else question

    def answer(self, requests: Sequence[Request], batch_size: int | None = None) -> list[tuple[Answer, ...]]:
        """For each request the answers to its questions, `batch_size` images at a time; it does not change them."""
        return self._in_batches(self._answer_batch, requests, batch_size)

    def _describe_batch(self, requests: Sequence[Request]) -> list[Description]:
        described = self._ablate_batch(requests, [MIXTURES[self.options.mixture]])
        return [
            self._finished(description, request) for (description,), request in zip(described, requests, strict=True)
        ]

    def _finished(self, description: Description, request: Request) -> Description:
        """With detected counts, and no longer than the user wants it."""
        counted = with_detected_counts(description, request, self.detectors)
        if self.options.words is None:
            return counted
        return dataclasses.replace(counted, caption=shorten(counted.caption, self.options.words))

    def _ablate_batch(self, requests: Sequence[Request], ablations: Sequence[Ablation]) -> list[list[Description]]:
        encoded = self.backend.encode(requests)
        return self._describe_encoded(encoded, range(len(requests)), ablations)

    def _describe_encoded(
        self, encoded: Encoded, images: Sequence[int], ablations: Sequence[Ablation]
    ) -> list[list[Description]]:
        instruction = self.options.prompt or CAPTION_INSTRUCTION
        return describe(self.backend, encoded, images, self.experts, self.limits, ablations, instruction)

    def _answer_batch(self, requests: Sequence[Request]) -> list[tuple[Answer, ...]]:
        """First what needs no expert, then the rest: only the images of the latter are encoded."""
        answers = [self._answers_without_experts(request) for request in requests]
        left = [row for row, own in enumerate(answers) if None in own]
        if left:
            by_experts = iter(
                self._answers_from_experts([requests[row] for row in left], [answers[row] for row in left])
            )
            for row in left:
                answers[row] = [answer if answer is not None else next(by_experts) for answer in answers[row]]
        return [tuple(answer for answer in own if answer is not None) for own in answers]

    def _answers_without_experts(self, request: Request) -> list[Answer | None]:
        """Answers to what cannot be answered and to what detections answer; None for what the experts are asked."""
        cache: dict[str, tuple[Detection, ...]] = {}
        answers: list[Answer | None] = []
        for question in request.questions:
            if reason := unanswerable(
                question, self.detectors, request.metres_per_pixel, any_words=self.follows_instructions
            ):
                answers.append(Answer(UNKNOWN, 1.0, reason))
            else:
                detections = detect_subjects(request, question, self.detectors, cache)
                answers.append(answer_from_detections(request, question, detections))
        return answers

    def _answers_from_experts(
        self, requests: Sequence[Request], known: Sequence[Sequence[Answer | None]]
    ) -> list[Answer]:
        """Answers to the questions that have none in `known`, request by request."""
        encoded = self.backend.encode(requests)
        asked = [
            (image, question)
            for image, (request, answers) in enumerate(zip(requests, known, strict=True))
            for question, answer in zip(request.questions, answers, strict=True)
            if answer is None
        ]
        captioned = [number for number, (_, question) in enumerate(asked) if question.type == "description"]
        put = [number for number, (_, question) in enumerate(asked) if question.type != "description"]
        answers: dict[int, Answer] = {}
        if captioned:
            images = [asked[number][0] for number in captioned]
            described = self._describe_encoded(encoded, images, [MIXTURES[self.options.mixture]])
            for number, image, (description,) in zip(captioned, images, described, strict=True):
                answers[number] = _as_answer(self._finished(description, requests[image]))
        if put:
            images, questions = [asked[number][0] for number in put], [asked[number][1] for number in put]
            drafts = ask_experts(self.backend, encoded, images, questions, self.experts, self.limits)
            for number, question, own in zip(put, questions, drafts, strict=True):
                answers[number] = answer_from_experts(question, own)
        return [answers[number] for number in range(len(asked))]

    def _in_batches(
        self, compute: Callable[[Sequence[Request]], list[Result]], requests: Sequence[Request], size: int | None
    ) -> list[Result]:
        """`compute` for one batch after another, all threads at each; batches shrink where memory is short."""
        results: list[Result] = []
        while len(results) < len(requests):
            batch = requests[len(results) : len(results) + (size or self.batch_size)]
            start = time.perf_counter()
            try:
                results += self.threads.map(compute, batch)
            except Exception as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                self._size.record_out_of_memory(len(batch))
                size = self.batch_size
                release_memory(self.device)
            else:
                self._size.record(len(batch), time.perf_counter() - start)
        return results


def _as_answer(description: Description) -> Answer:
    return Answer(
        description.caption or UNKNOWN,
        description.confidence,
        description.error or description.draft("theme"),
        prompts=description.prompts,
        error=description.error,
    )
