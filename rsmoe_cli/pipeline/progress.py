"""Progress of a run, for people to see: through the tiles of a single scene, or through several scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rsmoe_cli import console
from rsmoe_cli.pipeline.run import SceneOutputs
from rsmoe_cli.pipeline.scenes import SceneRun

ShowProgress = Callable[[SceneOutputs[SceneRun, Any]], object]
"""Takes note of tiles that are recorded."""


@contextmanager
def run_progress(command: str, scenes: int, first: SceneRun, shown: bool) -> Iterator[ShowProgress]:
    """Shows the progress of a run of so many scenes, unless `shown` is false; `first` is the first that was opened."""
    if scenes > 1:
        with console.progress_bar(scenes, "scene", command, shown=shown) as advance:
            yield lambda part: advance(int(part.is_complete), _within(part))
        return
    done = b"" if first.job is None else first.job.done
    with console.progress_bar(len(done), "tile", command, sum(done), shown and first.job is not None) as advance:
        yield lambda part: advance(len(part.outputs))


def _within(part: SceneOutputs[SceneRun, Any]) -> str:
    """How far the scene is from which the last tiles came; nothing if it is complete."""
    job = part.key.job
    if part.is_complete or job is None:
        return ""
    next_tile = job.grid.number(part.outputs[-1].result.tile) + 1
    done = next_tile + sum(job.done[next_tile:])
    return f"scene {part.key.number + 1}: {done:,} of {len(job.grid):,} tiles"
