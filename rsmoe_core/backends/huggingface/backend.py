"""The transformers backend: any vision-language model of `AutoModelForImageTextToText` as the base of the mixture.

    requests ─fill, resize─▶ images ─encode─▶ EncodedImages ─generate(turns)─▶ token ids ─▶ text, checked

A role with an adapter is prompted as it was trained; one without is an instruction to the base. Both go through one
call of `generate`: a batch may mix adapters, and rows without any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rsmoe_core.backends.base import Turn, Usage
from rsmoe_core.backends.huggingface.captioners import TASKS, CaptionTasks
from rsmoe_core.backends.huggingface.greedy import Watch, changed, greedy
from rsmoe_core.backends.huggingface.prompting import Prompting
from rsmoe_core.backends.huggingface.vision_features import EncodedImages, encode_images, reuse_of
from rsmoe_core.backends.instructions import Instructions
from rsmoe_core.checkpoint.mixture import Mixture, adapter_name, apply_mixture
from rsmoe_core.devices import is_out_of_memory
from rsmoe_core.errors import BackendError, ModelError
from rsmoe_core.preprocess import filled_image, resize
from rsmoe_core.roles import BASE, DEFAULT_EXPERTS
from rsmoe_core.types import Generation, Request

_CPU_BATCHES, _GPU_BATCHES = (4, 8), (8, 128)
"""First and largest batch: a processor is busy with few images, a GPU waits for memory with many."""


@dataclass(frozen=True)
class _Text:
    """What one turn is turned into."""

    prompt: str
    """The whole prompt."""
    max_tokens: int
    is_trained: bool
    """Whether the role has an adapter."""


class TransformersBackend:
    """See `base.Backend`. A single thread may use it: what adapters are at work is a state of the model."""

    threads = 1

    def __init__(
        self,
        model: Any,
        prompting: Prompting,
        *,
        name: str = "",
        revision: str = "",
        trained_roles: frozenset[str] = frozenset(),
        instructions: Instructions | None = None,
        static_cache: bool = False,
    ) -> None:
        """`model` is one of transformers, or a PeftModel of one with an adapter for each of `trained_roles`.

        `static_cache` reserves the memory of keys and values once for each call; not every class allows it.
        """
        self.model, self.prompting, self.name, self.revision = model, prompting, name, revision
        self.trained_roles = trained_roles
        self.instructions = instructions or Instructions(DEFAULT_EXPERTS)
        self.usage = Usage()
        self.base = model.get_base_model() if trained_roles else model
        self.reuse = reuse_of(self.base)
        self._ends = prompting.end_ids(self.base.generation_config)
        self._settings = greedy(self.base.generation_config, self._ends, prompting.pad_id)
        for one in (self.base, self.model):  # where transformers looks for what it is not told
            one.generation_config = self._settings
        if static_cache:
            if not allows_static_cache(self.base):
                raise ModelError(f"{type(self.base).__name__} does not allow a static cache; leave it out")
            # Compilation pays for batches of one shape; here shapes change from one call to the next.
            self._settings = changed(self._settings, cache_implementation="static", disable_compile=True)
        self._tasks: CaptionTasks | None = TASKS.get(prompting.model_type)

    @property
    def follows_instructions(self) -> bool:
        """See `base.Backend`."""
        return self._tasks is None

    @property
    def device(self) -> str:
        """See `base.Backend`."""
        return str(self.base.device)

    @property
    def dtype(self) -> str:
        """See `base.Backend`."""
        return str(self.base.dtype).removeprefix("torch.")

    @property
    def image_size(self) -> int:
        """See `base.Backend`."""
        return self.prompting.image_size

    @property
    def batch_sizes(self) -> tuple[int, int]:
        """See `base.Backend`."""
        return _CPU_BATCHES if self.device == "cpu" else _GPU_BATCHES

    @torch.inference_mode()
    def encode(self, requests: Sequence[Request]) -> EncodedImages:
        """See `base.Backend`."""
        images = [resize(filled_image(request), self.image_size) for request in requests]
        inputs = self.prompting.image_inputs(images)
        self.usage.add(images=len(requests))
        with _working(self.device):
            moved = {key: self._moved(value) for key, value in inputs.items()}
            return encode_images(self.base, moved, len(requests), self.reuse)

    def generate(self, encoded: EncodedImages, turns: Sequence[Turn], max_tokens: int) -> list[Generation]:
        """See `base.Backend`. `max_tokens` bounds roles with an adapter; for others, the form of the reply does."""
        texts = [self._text(turn, max_tokens) for turn in turns]
        asked = {row: text for row, text in enumerate(texts) if isinstance(text, _Text)}
        written = self._write(encoded, [turns[row] for row in asked], list(asked.values()))
        replies = {
            row: raw if text.is_trained else self.instructions.generation(turns[row], raw)
            for (row, text), raw in zip(asked.items(), written, strict=True)
        }
        return [replies[row] if row in replies else Generation("", error=str(text)) for row, text in enumerate(texts)]

    def _text(self, turn: Turn, max_tokens: int) -> _Text | str:
        """What the model is asked in a turn; or one line that says why it can't be."""
        if turn.role in self.trained_roles:
            return _Text(self.prompting.prompt(self.instructions.trained_text(turn)), max_tokens, True)
        form = self.instructions.form(turn)
        if self._tasks is None:
            return _Text(self.prompting.prompt(self.instructions.chat_text(turn)), form.max_tokens, False)
        task = self._tasks.text(turn, self.instructions.sentences)
        if task is None:
            return f"a model of the type '{self.prompting.model_type}' takes no such instruction before it is trained"
        return _Text(self.prompting.prompt(task), form.max_tokens, False)

    @torch.inference_mode()
    def _write(self, encoded: EncodedImages, turns: Sequence[Turn], texts: Sequence[_Text]) -> list[Generation]:
        """A raw text for each turn, all in one batch."""
        if not turns:
            return []
        images = [turn.image for turn in turns]
        prompts = self.prompting.text_inputs([text.prompt for text in texts])
        inputs = {key: value.to(self.base.device) for key, value in prompts.items()} | encoded.arguments(images)
        if self.trained_roles:
            inputs["adapter_names"] = [
                adapter_name(turn.role) if text.is_trained else BASE for turn, text in zip(turns, texts, strict=True)
            ]
        watch = Watch([text.max_tokens for text in texts], self._ends)
        with _working(self.device), quietly(), encoded.reused(self.base, images):
            self.model.generate(**inputs, **watch.arguments(self._settings))
        sequences = watch.sequences()
        self.usage.add(
            calls=len(turns),
            prompt_tokens=int(prompts["attention_mask"].sum()),
            generated_tokens=sum(len(sequence.ids) for sequence in sequences),
        )
        return [
            Generation(self.prompting.decode(sequence.ids), sequence.confidence, len(sequence.ids))
            for sequence in sequences
        ]

    def _moved(self, value: torch.Tensor) -> torch.Tensor:
        """An image input where the model computes, pixels in the format in which it does."""
        return value.to(self.base.device, self.base.dtype if value.is_floating_point() else None)


@contextmanager
def _working(device: str) -> Iterator[None]:
    """While a device computes: where it breaks down, the run stops. Memory that runs out is none of that."""
    try:
        yield
    except getattr(torch, "AcceleratorError", ()) as error:
        if is_out_of_memory(error):
            raise
        raise BackendError(f"{device} stopped working: {str(error).splitlines()[0]}") from error


def allows_static_cache(model: Any) -> bool:
    """Whether a model of transformers allows keys and values in memory that is reserved beforehand."""
    return bool(model._can_compile_fullgraph)


def load_transformers(
    folder: Path,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    name: str = "",
    revision: str = "",
    mixture: Mixture | None = None,
    instructions: Instructions | None = None,
    image_size: int | None = None,
    static_cache: bool = False,
    quantization: Any = None,
) -> TransformersBackend:
    """Load a base from a folder that `find_base` has checked, and what was trained on it.

    `name` and `revision` are those that results are labelled with. `image_size` is the side of images in pixels, for
    models that take any; `quantization` a configuration of transformers for smaller weights.

    Raises:
        ModelError: the folder cannot be loaded, or the mixture was trained on another base.
    """
    name = name or str(folder)
    model, processor = load_base(folder, name, device, dtype, quantization)
    prompting = Prompting(processor, model.config, name, image_size)
    roles: frozenset[str] = frozenset()
    if mixture is not None:
        model = apply_mixture(model, mixture).eval()
        roles = frozenset(mixture.adapters)
        instructions = instructions or Instructions(mixture.config.experts)
    return TransformersBackend(
        model,
        prompting,
        name=name,
        revision=revision,
        trained_roles=roles,
        instructions=instructions,
        static_cache=static_cache,
    )


def load_base(
    folder: Path, name: str, device: str = "cpu", dtype: torch.dtype = torch.float32, quantization: Any = None
) -> tuple[Any, Any]:
    """Model and processor of a base, without gradients; nothing that the folder holds is executed.

    Raises:
        ModelError: transformers cannot load it.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    loader: Any = AutoModelForImageTextToText
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quietly():
            processor = AutoProcessor.from_pretrained(folder, **options)
            if quantization is not None:
                options |= {"quantization_config": quantization, "device_map": {"": device}}
            model, report = loader.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, output_loading_info=True, **options
            )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # transformers, safetensors and tokenizers each raise their own
        reason = " ".join((str(error) or repr(error)).split())
        raise ModelError(f"'{name}' cannot be loaded ({_advice(reason)})") from error
    if missing := sorted(report["missing_keys"]):  # transformers would make them up
        raise ModelError(f"'{name}' is incomplete ({missing[0]} is missing); copy or download it again")
    model = model.requires_grad_(False).eval()
    return (model if quantization is not None else model.to(device)), processor


@contextmanager
def quietly() -> Iterator[None]:
    """Without the progress bar and the warnings of transformers; what matters of them becomes an error."""
    from transformers.utils import logging

    verbosity, shows_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shows_progress:
            logging.enable_progress_bar()


def _advice(reason: str) -> str:
    for package in ("torchvision", "num2words"):
        if package in reason.lower():
            return f"it needs {package}; run: pip install 'rsmoe[vision]'"
    return reason[:200]
