"""The training loop, and the exponential moving average (EMA) of what it trains.

    for each step: images ─objective.losses─▶ gradients ─AdamW─▶ parameters, EMA, log, checkpoint

Every random choice of a step (views, texts, dropout) comes from (seed, step, part), and the order of images from
(seed, epoch). So a run that was interrupted and resumed takes the same steps as one that was not. The images of a step
are gone through in as many parts as `RunOptions.accumulate` and the number of processes say, most often one.

What is learned is up to an objective (see `objectives.base`); steps, learning rate, log and resuming are here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from rsmoe_core.checkpoint.weights import write_weights
from rsmoe_core.training import distributed
from rsmoe_core.training.log import Log
from rsmoe_core.training.objectives.base import Objective, RunOptions
from rsmoe_core.training.phases import Phase


class EMA:
    """An exponential moving average of tensors; with a decay of 0 nothing is averaged or stored.

    Running statistics that belong to averaged parameters (of batch norm) have to be averaged with them, as they are
    those of the last few steps only.
    """

    def __init__(self, tensors: Sequence[tuple[str, Tensor]], decay: float) -> None:
        self._decay = decay
        self._tensors = dict(tensors) if decay else {}
        self.values: dict[str, Tensor] = {name: value.detach().clone() for name, value in self._tensors.items()}
        """The averages by name; stored in checkpoints, and overwritten by those of a checkpoint."""

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the tensors after step `step`, the first of which is 0."""
        # A shorter average in the first steps, so that the initial values do not stay in it.
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in self.values.items():
            value.lerp_(self._tensors[name], 1 - decay)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """The model with the averages in the place of its tensors, which are restored to the bit afterwards."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the tensors and their averages."""
        for name, value in self.values.items():
            tensor = self._tensors[name]
            last = tensor.clone()
            tensor.copy_(value)
            value.copy_(last)


_MAX_GRADIENT_NORM = 1.0
_BETAS = (0.9, 0.98)
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW stores for each parameter."""
_PART_SEED = 7_368_787
"""Distance of the seeds of a step's parts: large enough that no two parts of nearby steps have the same seed."""


def run_phase(
    objective: Objective,
    phase: Phase,
    options: RunOptions,
    on_epoch: Callable[[int], dict[str, float]],
    should_stop: Callable[[int], bool] = lambda epochs: False,
) -> bool:
    """Train the objective's parameters in place, resuming from `options.out/last` where that is there.

    `on_epoch` is called after each whole epoch and returns validation figures for the log. `should_stop` decides before
    each epoch whether the phase ends early after so many. Where the phase has an EMA, `on_epoch` finds it in the place
    of the parameters, and it stays there at the end.

    Returns:
        Whether the phase has come to its end; false where `options.max_steps` stopped it.
    """
    parameters = objective.trained
    optimiser = _optimiser(parameters, phase)
    steps_per_epoch = math.ceil(len(objective) / phase.images_per_step)
    total = steps_per_epoch * phase.epochs
    running = [(name, value) for name, value in objective.buffers if value.is_floating_point()]
    ema = EMA([*parameters, *running], phase.ema_decay)
    start = _resume(objective, optimiser, ema, options.out, phase.name)
    stop = min(total, options.max_steps or total)
    ended = stop == total
    progress = options.progress(stop, "step", phase.name, start)
    with progress as advance, closing(Log(options.out, phase.name, start)) as log:
        for step in range(start, stop):
            epoch, index = divmod(step, steps_per_epoch)
            if index == 0 and should_stop(epoch):
                ended = True
                break
            learning_rate = _learning_rate(step, total, phase)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate
            loss = _step(objective, _images(epoch, index, len(objective), phase, options.seed), step, options)
            with_gradients = [p for _, p in parameters if p.grad is not None]
            norm = float(nn.utils.clip_grad_norm_(with_gradients, _MAX_GRADIENT_NORM))
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            ema.update(step)
            log.write(
                step=step + 1,
                epoch=round((step + 1) / steps_per_epoch, 4),
                loss=loss,
                learning_rate=learning_rate,
                gradient_norm=norm,
            )
            advance(1, f"loss {loss:.3f}")
            ends_epoch = index == steps_per_epoch - 1
            if ends_epoch:
                with ema.swapped_in():
                    figures = on_epoch(epoch + 1)
                log.write(step=step + 1, epoch=epoch + 1, **figures)
            if distributed.is_rank0() and (ends_epoch or step + 1 == stop or (step + 1) % options.save_every == 0):
                _save(objective, optimiser, ema, step + 1, options.out, phase.name)
    ema.swap()
    return ended


def _step(objective: Objective, images: NDArray, step: int, options: RunOptions) -> float:
    """Forward and backward of one step's images; the gradients are left on the parameters. Returns the loss.

    Loss and gradients are the means over the parts, each weighted by its share of the images. They equal those of the
    whole step where an objective's loss is a mean over images. A mean over tokens, such as TextObjective's for each
    role, differs: a token weighs a little more in a part of short texts than in one of long texts, and so do the texts
    of a role that few images of a part have. Random numbers (views, texts, dropout) differ with the parts as well, and
    batch norm sees one part at a time.
    """
    total, share = 0.0, 0.0
    for part, own in distributed.rank_parts(images, options.accumulate, in_step=options.in_step):
        torch.manual_seed(options.seed * 1_000_003 + step + part * _PART_SEED)
        rng = np.random.default_rng((options.seed, step, part))
        weight = len(own) / len(images)
        for loss in objective.losses(own, rng):
            (loss * weight).backward()
            total += loss.item() * weight
        share += weight
    distributed.average_buffers([value for _, value in objective.buffers], share)
    return distributed.reduce_gradients(total, [parameter for _, parameter in objective.trained])


def _images(epoch: int, index: int, count: int, phase: Phase, seed: int) -> NDArray:
    """Indices of the images of one step: a slice of the epoch's random order."""
    order = np.random.default_rng((seed, epoch, count)).permutation(count)
    return order[index * phase.images_per_step : (index + 1) * phase.images_per_step]


def _optimiser(parameters: Sequence[tuple[str, nn.Parameter]], phase: Phase) -> torch.optim.AdamW:
    """AdamW, without weight decay on vectors (norms, biases)."""
    matrices = [p for _, p in parameters if p.ndim > 1]
    vectors = [p for _, p in parameters if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": phase.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=phase.learning_rate, betas=_BETAS)


def _learning_rate(step: int, total: int, phase: Phase) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    warmup = max(1, round(total * phase.warmup))
    if step < warmup:
        return phase.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return phase.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def _save(objective: Objective, optimiser: torch.optim.Optimizer, ema: EMA, step: int, out: Path, phase: str) -> None:
    """Write `last/state.safetensors` atomically: parameters, their EMA, buffers, moments and the step."""
    state = {f"buffer/{name}": value.contiguous() for name, value in objective.buffers}
    state |= {f"ema/{name}": value.contiguous() for name, value in ema.values.items()}
    for name, parameter in objective.trained:
        state[f"parameter/{name}"] = parameter.detach().contiguous()
        for key, value in optimiser.state.get(parameter, {}).items():
            state[f"{key}/{name}"] = value.contiguous()
    (out / "last").mkdir(parents=True, exist_ok=True)
    part = out / "last" / "state.part"
    write_weights(state, part, {"step": str(step), "phase": phase})
    part.replace(_state_path(out))


def _resume(objective: Objective, optimiser: torch.optim.Optimizer, ema: EMA, out: Path, phase: str) -> int:
    """Load what `_save` wrote for this phase and return its step; 0 where there is nothing to resume from."""
    path = _state_path(out)
    if not path.is_file():
        return 0
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
    if metadata["phase"] != phase:
        return 0
    state = load_file(str(path))
    for name, value in objective.buffers:
        value.copy_(state[f"buffer/{name}"])
    for name, value in ema.values.items():
        value.copy_(state[f"ema/{name}"])
    with torch.no_grad():
        for name, parameter in objective.trained:
            parameter.copy_(state[f"parameter/{name}"])
            moments = {
                key: _on_device(key, state[f"{key}/{name}"], parameter) for key in _MOMENTS if f"{key}/{name}" in state
            }
            if moments:
                optimiser.state[parameter] = moments
    return int(metadata["step"])


def _on_device(key: str, moment: Tensor, parameter: nn.Parameter) -> Tensor:
    """Moments are stored on the device of their parameter; AdamW counts its steps on the CPU."""
    return moment if key == "step" else moment.to(parameter.device)


def _state_path(out: Path) -> Path:
    return out / "last" / "state.safetensors"
