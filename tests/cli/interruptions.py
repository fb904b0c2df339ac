"""Ends runs in the middle: by SIGKILL, or like Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.fakes import FakeEngine


def killed(run: Callable[[], object]) -> int:
    """The signal that ended a copy of this process in which `run` was called; 0 if it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(place: Any, name: str, call: int = 1, after: bool = True) -> None:
    """Ends the process after, or before, the given call of a function."""
    calls, function = [0], getattr(place, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if not after and calls[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **named)
        if calls[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(place, name, dying)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted_after(engine: FakeEngine, batches: int, method: str = "describe") -> Callable[[], None]:
    """Make a method of an engine raise KeyboardInterrupt after so many batches; returns what undoes that."""
    predict = getattr(engine, method)

    def interrupting(requests: Any) -> Any:
        if len(engine.batches) >= batches:
            raise KeyboardInterrupt
        return predict(requests)

    setattr(engine, method, interrupting)
    return lambda: setattr(engine, method, predict)
