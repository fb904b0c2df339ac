"""The moving average of the trained parameters, which often is the better model than where the last step left them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class EMA:
    """An exponential moving average; with a decay of 0 it is the parameters themselves, and nothing is kept.

    Running statistics that belong to averaged parameters are averaged with them: they are those of the weights of a
    few steps only.
    """

    def __init__(self, parameters: Sequence[tuple[str, Tensor]], decay: float) -> None:
        self._decay = decay
        self._parameters = dict(parameters) if decay else {}
        self.values: dict[str, Tensor] = {name: p.detach().clone() for name, p in self._parameters.items()}
        """By the parameters' names; to be saved, and to be overwritten by what was saved."""

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the parameters after step `step`, the first of which is 0."""
        # At first the average reaches back over a part of the steps only, lest it remember the start.
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in self.values.items():
            value.lerp_(self._parameters[name], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model with the average for its parameters; afterwards they are back, to the bit."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the parameters and their average."""
        for name, value in self.values.items():
            parameter = self._parameters[name]
            last = parameter.clone()
            parameter.copy_(value)
            value.copy_(last)
