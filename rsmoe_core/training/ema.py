"""The exponential moving average of the trained parameters, often a better model than the last step's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


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
