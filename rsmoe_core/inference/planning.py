"""What a model will take, without loading its weights: memory, batch, texts and tokens for each image.

name, folder or hub id ─plan_model─▶ ModelPlan        of a hub id, only the settings are fetched
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.huggingface.captioners import TASKS
from rsmoe_core.checkpoint import hub
from rsmoe_core.checkpoint.base_checks import check_base
from rsmoe_core.checkpoint.base_weights import revision_of
from rsmoe_core.checkpoint.catalogue import fingerprint, summarise
from rsmoe_core.checkpoint.mixture import find_base_of, is_mixture, read_mixture
from rsmoe_core.config import CaptionOptions, DecodingConfig
from rsmoe_core.devices import find_device, uses_bf16
from rsmoe_core.errors import ModelError
from rsmoe_core.inference.memory import (
    ITEM_BYTES,
    BaseShape,
    Memory,
    Workload,
    describe_base,
    inference_memory,
    training_memory,
)
from rsmoe_core.loading import find_folder, instructions_for, is_native
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, DEFAULT_EXPERTS, EXPERTS, FUSION, ROUTER, all_roles

if TYPE_CHECKING:
    from rsmoe_core.backends.huggingface.prompting import Prompting
    from rsmoe_core.backends.instructions import Instructions
    from rsmoe_core.checkpoint.mixture import Mixture

_FORMS = (("float32", None), ("bfloat16", None), ("bfloat16", "8bit"), ("bfloat16", "4bit"))
"""Number formats and quantisations that are compared on a GPU."""
_FORMS_OF_CPU = (("float32", None), ("bfloat16", None), ("bfloat16", "int8"))
_DRAFT = "many ships at a quay beside a few large buildings and a wide road with cars"
"""As long as drafts of experts are."""
_NATIVE_BATCHES, _BASE_BATCHES, _GPU_BATCH = {"cpu": 32}, {"cpu": 8}, 128
"""Images of the largest batches that backends try: by device, or on any other."""
RANK = 16
"""Of the adapters in estimates of training."""
_NUMBERS_OF_PIXEL = 64
"""Numbers that a native image encoder has at a time for each pixel."""


@dataclass(frozen=True)
class Fit:
    """A way to hold the weights, and what of it fits."""

    dtype: str
    quantize: str | None
    memory: Memory
    largest_batch: int | None
    """Images; 0 where not a single one fits, None where the memory of the device is unknown."""


@dataclass(frozen=True)
class TrainingFit:
    """What training on a base takes."""

    stage: int
    """1 trains the connector and a LoRA adapter; 2 an adapter for each role, one after the other."""
    quantize: str | None
    memory: Memory
    """`activations` are those of one text."""
    largest_batch: int | None
    """Texts; 0 where not a single one fits, None where the memory of the device is unknown."""


@dataclass(frozen=True)
class ModelPlan:
    """What a model will take."""

    model: str
    revision: str
    """As results will be labelled with it."""
    device: str
    image_size: int
    """Side of an image in pixels."""
    most_at_a_time: int
    """Images of the largest batch that is worth computing."""
    texts: int
    """That are generated for an image."""
    prompt_tokens: int
    """That are read for an image, by all texts together."""
    new_tokens: int
    """That are written for an image at most."""
    chosen: Fit
    others: tuple[Fit, ...]
    """Other ways to hold the weights."""
    training: tuple[TrainingFit, ...] = ()
    """In bfloat16 with gradient checkpointing; empty for native models."""

    @property
    def fits(self) -> bool | None:
        """Whether at least one image fits; None where that is unknown."""
        return None if self.chosen.largest_batch is None else self.chosen.largest_batch > 0


def plan_model(
    name: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    quantize: str | None = None,
    options: CaptionOptions | None = None,
    available: float | None = None,
) -> ModelPlan:
    """What a model will take on a device with `available` bytes of memory, None where that is unknown.

    Raises:
        UsageError: there is no such model, device or precision.
        ModelError: the model cannot be used.
    """
    where, chosen = find_device(device), options or CaptionOptions()
    dtype = "bfloat16" if uses_bf16(precision, where) else "float32"
    if is_native(name, revision):
        return _native_plan(name, where, dtype, chosen, available)
    return _base_plan(name, revision, where, dtype, quantize, chosen, available)


def _native_plan(name: str, device: str, dtype: str, options: CaptionOptions, available: float | None) -> ModelPlan:
    summary = summarise(name)
    config, parts = summary.config, summary.parts
    roles = all_roles(config.experts)
    texts = _texts_at_once(config.experts, options)
    own = parts["language"] * (1 + len(roles)) + parts["vision"] + parts["qformer"]
    detectors = sum(count for part, count in parts.items() if part.startswith("detector"))
    language = config.language
    item = ITEM_BYTES[dtype]
    memory = Memory(
        weights=own * item + detectors * ITEM_BYTES["float32"],
        trained=0,
        cache=texts * 2 * language.layers * language.hidden_size * language.max_length * item,
        activations=config.vision.image_size**2 * _NUMBERS_OF_PIXEL * item,
    )
    used = _roles(config.experts, options)
    return ModelPlan(
        model=name,
        revision=summary.revision,
        device=device,
        image_size=config.vision.image_size,
        most_at_a_time=_NATIVE_BATCHES.get(device, _GPU_BATCH),
        texts=len(used),
        prompt_tokens=len(used) * config.qformer.queries,
        new_tokens=sum(_limit(role, config.decoding) for role in used),
        chosen=_fit(memory, dtype, None, available),
        others=(),
    )


def _base_plan(
    name: str,
    revision: str | None,
    device: str,
    dtype: str,
    quantize: str | None,
    options: CaptionOptions,
    available: float | None,
) -> ModelPlan:
    folder, mixture = find_folder(name, revision), None
    experts, label, base_name = DEFAULT_EXPERTS, "", name
    if is_mixture(folder):
        mixture = read_mixture(hub.fetch(name, revision) if not Path(name).is_dir() else folder)
        experts, label = mixture.config.experts, f"{fingerprint(mixture.folder)} on "
        base_name, folder = settings_of_base(mixture)
    check_base(folder, base_name)
    shape = describe_base(folder)
    prompting, patch_size = _prompting(folder, base_name)
    told = instructions_for(experts, options)
    trained = frozenset(mixture.adapters) if mixture is not None else frozenset()
    lengths = _prompt_lengths(prompting, told, _roles(experts, options), trained)
    written = {role: told.form(_turn(role, experts)).max_tokens for role in lengths}
    if mixture is not None:
        written |= {role: _limit(role, mixture.config.decoding) for role in trained & written.keys()}
    work = Workload(
        texts=_texts_at_once(experts, options),
        prompt_tokens=max(lengths.values()),
        new_tokens=max(written.values()),
        patches=_patches(prompting, patch_size),
    )

    def fit(dtype: str, quantize: str | None) -> Fit:
        return _fit(inference_memory(shape, work, dtype, quantize), dtype, quantize, available)

    forms = _FORMS_OF_CPU if device == "cpu" else _FORMS
    return ModelPlan(
        model=name,
        revision=f"{label}{revision_of(folder)}{f' in {quantize}' if quantize else ''}",
        device=device,
        image_size=prompting.image_size,
        most_at_a_time=_BASE_BATCHES.get(device, _GPU_BATCH),
        texts=len(lengths),
        prompt_tokens=sum(lengths.values()),
        new_tokens=sum(written.values()),
        chosen=fit(dtype, quantize),
        others=tuple(fit(*form) for form in forms if form != (dtype, quantize)),
        training=tuple(_training_fits(shape, work, experts, available)),
    )


def _training_fits(
    shape: BaseShape, work: Workload, experts: Sequence[str], available: float | None
) -> Iterator[TrainingFit]:
    one = dataclasses.replace(work, texts=1)
    for quantize in (None, "4bit"):
        for stage, adapters in ((1, 1), (2, 1 + len(all_roles(experts)))):
            memory = training_memory(
                shape, one, "bfloat16", quantize, rank=RANK, adapters=adapters, trains_connector=stage == 1
            )
            largest = None if available is None else memory.largest_batch(available)
            yield TrainingFit(stage, quantize, memory, largest)


def settings_of_base(mixture: Mixture) -> tuple[str, Path]:
    """Name and folder of the base of a mixture; of one on the hub, only the settings are fetched.

    Raises:
        ModelError: the base is missing, or cannot be reached.
    """
    reference = mixture.config.base
    if hub.is_hub_id(reference.name) and not Path(reference.name).is_dir():
        return reference.name, hub.fetch(reference.name, reference.revision or None, hub.SETTINGS)
    base = find_base_of(mixture)
    return base.id, base.folder


def _limit(role: str, limits: DecodingConfig) -> int:
    """Most tokens of a role that was trained."""
    special = {ROUTER: limits.prompt_tokens, FUSION: limits.caption_tokens, BASE: limits.caption_tokens}
    return special.get(role, limits.draft_tokens)


def _fit(memory: Memory, dtype: str, quantize: str | None, available: float | None) -> Fit:
    return Fit(dtype, quantize, memory, None if available is None else memory.largest_batch(available))


def _roles(experts: Sequence[str], options: CaptionOptions) -> tuple[str, ...]:
    """The roles that write a text for an image, by the kind of mixture."""
    return {"full": all_roles(experts), "experts": (*experts, FUSION), "direct": (BASE,)}[options.mixture]


def _texts_at_once(experts: Sequence[str], options: CaptionOptions) -> int:
    return 1 if options.mixture == "direct" else len(experts)


def _turn(role: str, experts: Sequence[str]) -> Turn:
    prompt = EXPERTS[role].default_prompt if role in EXPERTS else CAPTION_INSTRUCTION
    return Turn(0, role, prompt, dict.fromkeys(experts, _DRAFT) if role == FUSION else {})


def _prompting(folder: Path, name: str) -> tuple[Prompting, int]:
    """How a base is prompted, and the side of its image encoder's patches in pixels."""
    from transformers import AutoConfig, AutoProcessor

    from rsmoe_core.backends.huggingface.prompting import Prompting

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        processor = AutoProcessor.from_pretrained(folder, **options)
        config: Any = AutoConfig.from_pretrained(folder, **options)
    except Exception as error:  # transformers and tokenizers each raise their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"the processor of '{name}' cannot be loaded ({reason[:150]})") from error
    patch = getattr(getattr(config, "vision_config", None), "patch_size", None) or 14
    return Prompting(processor, config, name), int(patch if isinstance(patch, int) else patch[0])


def _prompt_lengths(
    prompting: Prompting, told: Instructions, roles: Sequence[str], trained: Collection[str]
) -> Mapping[str, int]:
    """Tokens of each role's prompt, those of the image included."""
    turns = {role: _turn(role, told.experts) for role in roles}
    if tasks := TASKS.get(prompting.model_type):  # a captioner, which takes few instructions
        turns = {
            role: turn
            for role, turn in turns.items()
            if role in trained or tasks.text(turn, told.sentences) is not None
        }
    texts = {role: told.trained_text(turn) if role in trained else told.chat_text(turn) for role, turn in turns.items()}
    return {role: len(prompting.encode(prompting.prompt(text))["input_ids"]) for role, text in texts.items()}


def _patches(prompting: Prompting, patch_size: int) -> int:
    """Patches that the image encoder sees of one image, all of its parts together."""
    blank = np.zeros((prompting.image_size, prompting.image_size, 3), np.uint8)
    pixels = prompting.image_inputs([blank])["pixel_values"]
    return len(pixels) if pixels.ndim == 2 else max(1, pixels.numel() // (3 * patch_size**2))
