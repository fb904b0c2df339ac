"""The one training loop.

Every random choice of a step (views, rows, dropout) comes from (seed, step, part), and the order of pictures from
(seed, epoch); so a run that was broken off and resumed takes the same steps as an unbroken one. A step's pictures are
gone through in as many parts as `RunOptions.accumulate` and `processes` say; most often that is one.

What is learned is an objective's business (see `objectives`); here are the steps, the rate, the log and the resuming.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from rsmoe_core.training import distributed
from rsmoe_core.training.ema import EMA
from rsmoe_core.training.log import Log
from rsmoe_core.training.objectives.base import Objective, RunOptions
from rsmoe_core.training.stages import Phase

_CLIP = 1.0
_BETAS = (0.9, 0.98)
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_PART_SEED = 7_368_787
"""Far enough apart that the parts of a step share no seed with each other's or a neighbouring step's."""


def run_phase(
    objective: Objective,
    phase: Phase,
    session: RunOptions,
    on_epoch: Callable[[int], dict[str, float]],
    should_stop: Callable[[int], bool] = lambda epochs: False,
) -> bool:
    """Train in place what the objective trains; goes on from `session.out/last` where that is there.

    `on_epoch` is called after each whole epoch and returns validation figures for the log; `should_stop` says before
    each epoch whether, after so many, the phase ends early. Where the phase averages, `on_epoch` sees the average of
    the parameters, and so does whoever comes after the phase. Returns whether the phase has come to its end, which is
    false where `session.max_steps` stopped it before.
    """
    parameters = objective.trained
    optimiser = _optimiser(parameters, phase)
    steps_per_epoch = math.ceil(len(objective) / phase.images_per_step)
    total = steps_per_epoch * phase.epochs
    followed = [(name, value) for name, value in objective.statistics if value.is_floating_point()]
    average = EMA([*parameters, *followed], phase.average)
    start = _resume(objective, optimiser, average, session.out, phase.name)
    stop = min(total, session.max_steps or total)
    ended = stop == total
    hidden = None if distributed.is_rank0() else True  # None: where nobody looks
    bar = tqdm(total=stop, initial=start, desc=phase.name, unit="step", disable=hidden)
    with bar, closing(Log(session.out, phase.name, start)) as log:
        for step in range(start, stop):
            epoch, place = divmod(step, steps_per_epoch)
            if place == 0 and should_stop(epoch):
                ended = True
                break
            rate = _rate(step, total, phase)
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = _step(objective, _images(epoch, place, len(objective), phase, session.seed), step, session)
            norm = nn.utils.clip_grad_norm_([p for _, p in parameters if p.grad is not None], _CLIP)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            average.update(step)
            log.write(
                step=step + 1, epoch=round((step + 1) / steps_per_epoch, 4), loss=loss, rate=rate, norm=float(norm)
            )
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()
            ends_epoch = place == steps_per_epoch - 1
            if ends_epoch:
                with average.in_place():
                    figures = on_epoch(epoch + 1)
                log.write(step=step + 1, epoch=epoch + 1, **figures)
            if distributed.is_rank0() and (ends_epoch or step + 1 == stop or (step + 1) % session.save_every == 0):
                _save(objective, optimiser, average, step + 1, session.out, phase.name)
    average.swap()
    return ended


def _step(objective: Objective, images: NDArray, step: int, session: RunOptions) -> float:
    """Forward and backward of one step's pictures; the gradients are left on the parameters. Returns the loss.

    Loss and gradient are those of the parts, each weighted by its share of the pictures. That is the loss and gradient
    of the whole step where an objective's loss is a mean over pictures. A mean over tokens, such as TextObjective's for each
    role, is so only if all parts have equally many: otherwise a token weighs a little more in a part of short texts
    than in one of long texts, and the texts of a role that few pictures have a little more in a part that has few of
    them; a role that no picture of a part has adds nothing there. Chance (views, rows, dropout) differs with the parts,
    and batch norm sees one part at a time.
    """
    total, share = 0.0, 0.0
    for part, own in distributed.rank_parts(images, session.accumulate):
        torch.manual_seed(session.seed * 1_000_003 + step + part * _PART_SEED)
        rng = np.random.default_rng((session.seed, step, part))
        weight = len(own) / len(images)
        for loss in objective.losses(own, rng):
            (loss * weight).backward()
            total += loss.item() * weight
        share += weight
    distributed.average([value for _, value in objective.statistics], share)
    return distributed.reduce_gradients(total, [parameter for _, parameter in objective.trained])


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
    objective: Objective, optimiser: torch.optim.Optimizer, average: EMA, step: int, out: Path, phase: str
) -> None:
    """Write `last/state.safetensors`: parameters, their average, statistics, moments and the step, whole or not."""
    state = {f"statistic/{name}": value.contiguous() for name, value in objective.statistics}
    state |= {f"average/{name}": value.contiguous() for name, value in average.values.items()}
    for name, parameter in objective.trained:
        state[f"parameter/{name}"] = parameter.detach().contiguous()
        for key, value in optimiser.state.get(parameter, {}).items():
            state[f"{key}/{name}"] = value.contiguous()
    (out / "last").mkdir(parents=True, exist_ok=True)
    aside = out / "last" / "state.part"
    save_file(state, str(aside), metadata={"step": str(step), "phase": phase})
    aside.replace(_state_path(out))


def _resume(objective: Objective, optimiser: torch.optim.Optimizer, average: EMA, out: Path, phase: str) -> int:
    """Load what `_save` wrote for this phase and return its step; 0 where there is nothing to go on from."""
    path = _state_path(out)
    if not path.is_file():
        return 0
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
    if metadata["phase"] != phase:
        return 0
    state = load_file(str(path))
    for name, value in objective.statistics:
        value.copy_(state[f"statistic/{name}"])
    for name, value in average.values.items():
        value.copy_(state[f"average/{name}"])
    with torch.no_grad():
        for name, parameter in objective.trained:
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
