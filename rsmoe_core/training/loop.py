"""The one training loop.

Every random choice of a step (views, rows, dropout) comes from the pair (seed, step), and the order of pictures from
(seed, epoch); so a run that was broken off and resumed takes the same steps as an unbroken one.

Shapes: B images, V views, P patches, D features, R rows of text, T tokens.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from rsmoe_core.instructions import CAPTION
from rsmoe_core.model import lora
from rsmoe_core.model.language import PackedRows, answer_loss
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.tokenizer import TextCodec
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.files import write_whole
from rsmoe_core.training.lessons import LESSONS, Row, Study
from rsmoe_core.training.stages import Phase

_CLIP = 1.0
_BETAS = (0.9, 0.98)
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Material:
    """Pictures to learn from; row i of the features belongs to `studies[i]`."""

    studies: Sequence[Study]
    features: FeatureBank

    def __len__(self) -> int:
        return len(self.studies)


@dataclass(frozen=True)
class Session:
    """How a phase is run; what is learned is the phase's own business."""

    out: Path
    """Folder for `last/` (weights and optimiser to resume from) and `log.jsonl`."""
    seed: int = 0
    bf16: bool = True
    """Forward passes in bfloat16 where that is safe."""
    save_every: int = 200
    """Steps between two checkpoints."""
    max_steps: int | None = None
    """Stop early after this many steps of the phase; the learning rate falls as if it were run to its end."""


def run_phase(
    model: RSMoE, phase: Phase, train: Material, session: Session, on_epoch: Callable[[int], dict[str, float]]
) -> bool:
    """Train `model` in place; goes on from `session.out/last` where that is there.

    `on_epoch` is called after each whole epoch and returns validation figures for the log. Returns whether the phase
    has come to its end, which is false where `session.max_steps` stopped it before.
    """
    parameters = select_parameters(model, phase)
    optimiser = _optimiser(parameters, phase)
    steps_per_epoch = math.ceil(len(train) / phase.images_per_step)
    total = steps_per_epoch * phase.epochs
    start = _resume(parameters, optimiser, session.out, phase.name)
    stop = min(total, session.max_steps or total)
    log = _Log(session.out / "log.jsonl", phase.name, start)
    with tqdm(total=stop, initial=start, desc=phase.name, unit="step", disable=None) as bar:
        for step in range(start, stop):
            epoch, place = divmod(step, steps_per_epoch)
            rate = _rate(step, total, phase)
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = _step(model, phase, train, _images(epoch, place, len(train), phase, session.seed), step, session)
            norm = nn.utils.clip_grad_norm_([p for _, p in parameters if p.grad is not None], _CLIP)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            log.write(
                step=step + 1, epoch=round((step + 1) / steps_per_epoch, 4), loss=loss, rate=rate, norm=float(norm)
            )
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()
            ends_epoch = place == steps_per_epoch - 1
            if ends_epoch:
                log.write(step=step + 1, epoch=epoch + 1, **on_epoch(epoch + 1))
            if ends_epoch or step + 1 == stop or (step + 1) % session.save_every == 0:
                _save(parameters, optimiser, step + 1, session.out, phase.name)
    return stop == total


def select_parameters(model: RSMoE, phase: Phase) -> list[tuple[str, nn.Parameter]]:
    """Freeze the model but for what the phase trains, and return that by name."""
    model.requires_grad_(False)
    chosen: list[tuple[str, nn.Parameter]] = []
    for part in phase.trains:
        if part in model.roles:
            chosen += lora.parameters_of(model.language, [part])
        else:
            chosen += [(f"{part}.{key}", p) for key, p in getattr(model, part).named_parameters()]
    for _, parameter in chosen:
        parameter.requires_grad_(True)
    return chosen


def _step(model: RSMoE, phase: Phase, train: Material, images: NDArray, step: int, session: Session) -> float:
    """Forward and backward of one batch; the gradients are left on the parameters. Returns the loss."""
    torch.manual_seed(session.seed * 1_000_003 + step)
    rng = np.random.default_rng((session.seed, step))
    model.vision.eval()
    model.qformer.train("qformer" in phase.trains)
    model.language.train()
    views = rng.integers(train.features.views, size=len(images))
    total = 0.0
    for loss, _ in _batch_losses(model, phase, train, images, views, rng, session):
        loss.backward()
        total += loss.item()
    return total


def validation_loss(model: RSMoE, phase: Phase, material: Material, session: Session) -> float:
    """Mean loss over the rows of the phase's lessons, on view 0 of every picture."""
    model.eval()
    losses = counts = 0.0
    with torch.no_grad():
        for start in range(0, len(material), phase.images_per_step):
            images = np.arange(start, min(start + phase.images_per_step, len(material)))
            rng = np.random.default_rng(0)
            for loss, rows in _batch_losses(model, phase, material, images, np.zeros_like(images), rng, session):
                losses += loss.item() * rows
                counts += rows
    return losses / max(counts, 1)


def _batch_losses(
    model: RSMoE,
    phase: Phase,
    material: Material,
    images: NDArray,
    views: NDArray,
    rng: np.random.Generator,
    session: Session,
) -> Iterator[tuple[Tensor, int]]:
    """(loss, number of rows) for each role that learns from these pictures, after one pass of the Q-Former."""
    rows: dict[str | None, list[list[Row]]] = {}
    for place, image in enumerate(images):
        for lesson in phase.lessons:
            for row in LESSONS[lesson](material.studies[image], model.codec, rng):
                rows.setdefault(row.role, [[] for _ in images])[place].append(row)
    device = next(model.language.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=session.bf16):
        tokens_BQH = model.encode(material.features.patches(images, views), [CAPTION] * len(images))
        for role, by_image in rows.items():
            if role is not None:
                lora.activate(model.language, role)
            taught = [place for place, own in enumerate(by_image) if own]
            packed = pack(model.codec, [by_image[place] for place in taught]).to(device)
            loss = answer_loss(model.language, tokens_BQH[taught], packed, model.config.language.dropout)
            yield loss, sum(map(len, by_image))


def pack(codec: TextCodec, rows: Sequence[Sequence[Row]]) -> PackedRows:
    """Token ids of every row of every image; see PackedRows."""
    ids, numbers, offsets, weights = [], [], [], []
    for own in rows:
        prompts = [codec.prompt_ids(row.prompt) for row in own]
        answers = [[*codec.encode(row.answer), codec.eos] for row in own]
        lengths = [len(p) + len(a) for p, a in zip(prompts, answers, strict=True)]
        ids.append([token for p, a in zip(prompts, answers, strict=True) for token in p + a])
        numbers.append([number for number, length in enumerate(lengths) for _ in range(length)])
        offsets.append([place for length in lengths for place in range(length)])
        weights.append(
            [w for row, p, a in zip(own, prompts, answers, strict=True) for w in [0.0] * len(p) + [row.weight] * len(a)]
        )
    return PackedRows(
        ids_BT=_padded(ids, codec.pad),
        row_BT=_padded(numbers, -1),
        offset_BT=_padded(offsets, 0),
        weight_BT=_padded(weights, 0.0),
    )


def _padded(lists: Sequence[Sequence[float]], value: float) -> Tensor:
    return pad_sequence([torch.tensor(values) for values in lists], batch_first=True, padding_value=value)


def _images(epoch: int, place: int, count: int, phase: Phase, seed: int) -> NDArray:
    """Numbers of the pictures of one step: a slice of the epoch's shuffled order."""
    order = np.random.default_rng((seed, epoch, count)).permutation(count)
    return order[place * phase.images_per_step : (place + 1) * phase.images_per_step]


def _optimiser(parameters: Sequence[tuple[str, nn.Parameter]], phase: Phase) -> torch.optim.AdamW:
    """AdamW; vectors (norms, biases) are not decayed."""
    decayed = [p for _, p in parameters if p.ndim > 1]
    plain = [p for _, p in parameters if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": phase.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=phase.learning_rate, betas=_BETAS)


def _rate(step: int, total: int, phase: Phase) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    warmup = max(1, round(total * phase.warmup))
    if step < warmup:
        return phase.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return phase.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def _save(
    parameters: Sequence[tuple[str, nn.Parameter]], optimiser: torch.optim.Optimizer, step: int, out: Path, phase: str
) -> None:
    """Write `last/state.safetensors`: parameters, moments and the step, whole or not at all."""
    state = {f"parameter/{name}": p.detach().contiguous() for name, p in parameters}
    for name, parameter in parameters:
        for key, value in optimiser.state.get(parameter, {}).items():
            state[f"{key}/{name}"] = value
    (out / "last").mkdir(parents=True, exist_ok=True)
    aside = out / "last" / "state.part"
    save_file(state, str(aside), metadata={"step": str(step), "phase": phase})
    aside.replace(_state_path(out))


def _resume(
    parameters: Sequence[tuple[str, nn.Parameter]], optimiser: torch.optim.Optimizer, out: Path, phase: str
) -> int:
    """Load what `_save` wrote for this phase and return its step; 0 where there is nothing to go on from."""
    path = _state_path(out)
    if not path.is_file():
        return 0
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
    if metadata["phase"] != phase:
        return 0
    state = load_file(str(path))
    with torch.no_grad():
        for name, parameter in parameters:
            parameter.copy_(state[f"parameter/{name}"])
            moments = {
                key: _like(key, state[f"{key}/{name}"], parameter) for key in _MOMENTS if f"{key}/{name}" in state
            }
            if moments:
                optimiser.state[parameter] = moments
    return int(metadata["step"])


def _like(key: str, moment: Tensor, parameter: nn.Parameter) -> Tensor:
    """Moments live beside their parameter; AdamW counts its steps on the CPU."""
    return moment if key == "step" else moment.to(parameter.device)


def _state_path(out: Path) -> Path:
    return out / "last" / "state.safetensors"


class _Log:
    """`log.jsonl`: one JSON object a line, appended as training goes on; `seconds` count from the latest start."""

    def __init__(self, path: Path, phase: str, start: int) -> None:
        self._path, self._phase, self._began = path, phase, time.perf_counter()
        # Steps after the last checkpoint are taken again; the lines of a killed run about them would stand twice.
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        write_whole(path, "".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= start))

    def write(self, **values: float) -> None:
        row = {"phase": self._phase, "seconds": round(time.perf_counter() - self._began, 2), **values}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
