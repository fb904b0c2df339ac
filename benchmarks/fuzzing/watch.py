"""Runs many mutants in one separate process, with limits; finds the one that crashed or blocked it."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.fuzzing.targets import outcome
from benchmarks.fuzzing.verdicts import CRASH, HANG, MEMORY, Outcome

_SECONDS = 120
"""Wall time for one mutant; generous, because the machine may be busy."""
_START_SECONDS = 60
"""Additional wall time for the first one, before which everything is imported."""
_CPU_SECONDS = 20
"""CPU time for one mutant."""
_MEMORY = 1536 * 2**20
"""Bytes that a mutant may add to the peak memory."""
_COMMAND = ("-c", "from benchmarks.fuzzing.watch import work; work()")
"""Arguments of Python in the process."""
_ADDRESS_SPACE = 12 * 2**30
"""Bytes of address space, so that a mutant cannot exhaust the memory of the machine."""


def outcomes(target: str, paths: Sequence[Path]) -> Iterator[tuple[Path, Outcome]]:
    """The outcome of each mutant, in order."""
    left = list(paths)
    while left:
        done = 0
        for found in _run(target, left):
            yield left[done], found
            done += 1
        del left[:done]


def _run(target: str, paths: Sequence[Path]) -> Iterator[Outcome]:
    """Outcomes until the process has finished, or one of them ended it, which is then the last."""
    command = [sys.executable, *_COMMAND, target]
    with tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=_home()
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for number, path in enumerate(paths):
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(f"{path}\n")
                    process.stdin.flush()
                line = _line(process, _SECONDS + (_START_SECONDS if number == 0 else 0))
                if line is None:
                    stderr.seek(0)
                    yield HANG, f"more than {_SECONDS} s: {stderr.read()[-2000:].strip()}"
                    return
                if not line:
                    stderr.seek(0)
                    yield CRASH, f"exit {process.wait()}: {stderr.read()[-300:].strip()}"
                    return
                what, why = json.loads(line)
                yield what, why
                if what == MEMORY:
                    return
        finally:
            process.kill()
            process.wait()


def _line(process: subprocess.Popen[str], seconds: float) -> str | None:
    """The next line of a process; empty if it has ended, None if there is no line in time."""
    import selectors

    with selectors.DefaultSelector() as selector:
        assert process.stdout is not None
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(seconds) else None


def _home() -> str:
    return str(Path(__file__).parents[2])


def work() -> None:
    """The loop of the separate process: read paths of mutants, write the outcome of each."""
    import os

    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not look like a result
    for line in sys.stdin:
        before, start = _peak(), time.process_time()
        faulthandler.dump_traceback_later(_SECONDS - 5)
        what, why = outcome(sys.argv[1], Path(line.rstrip("\n")))
        faulthandler.cancel_dump_traceback_later()
        if _peak() - before > _MEMORY:
            what, why = MEMORY, f"{(_peak() - before) / 2**20:.0f} MiB more; {what}: {why}"
        if (seconds := time.process_time() - start) > _CPU_SECONDS:
            what, why = HANG, f"{seconds:.0f} s; {what}: {why}"
        results.write(json.dumps([what, why]) + "\n")
        results.flush()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
