"""A training command as one of the processes that a launcher started."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rsmoe_cli import console
from rsmoe_core.devices import find_device, uses_bf16
from rsmoe_core.training import distributed
from rsmoe_core.training.run import TrainConfig

if TYPE_CHECKING:
    from rsmoe_cli.option_groups import TrainingOptions


@contextmanager
def distributed_session(training: TrainingOptions) -> Iterator[Callable[..., TrainConfig]]:
    """Join the other processes of the run, if there are any; all except rank 0 print errors only.

    Yields what makes a TrainConfig of the remaining settings, with the device and number format of this process.

    Raises:
        UsageError: there is no such device or precision.
    """
    with distributed.initialised(find_device(training.device)) as own_device:
        if not distributed.is_rank0():
            console.set_level(logging.ERROR)
        yield partial(
            TrainConfig,
            seed=training.seed,
            views=training.views,
            validation_split=training.validation_split,
            accumulate=training.accumulate,
            device=own_device,
            bf16=distributed.from_rank0(lambda: uses_bf16(training.precision, own_device)),
        )
