"""A captioning run: every tile of every scene gets a caption, and the output is written from the journal.

scenes → tiles → images → batches → engine → journal → layer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rsmoe_cli.captioning.layer import write_layer
from rsmoe_cli.pipeline.inputs import SceneJob
from rsmoe_cli.pipeline.session import Session
from rsmoe_cli.pipeline.stats import RunSummary
from rsmoe_core.errors import UsageError
from rsmoe_core.types import Description, Request


@dataclass(frozen=True)
class CaptionJob(SceneJob):
    """Which scenes are to be captioned, and how."""

    command: ClassVar[str] = "caption"

    prompts: bool = False
    """Whether the router's prompts are written."""
    counts: bool = False
    """Whether the detectors correct the numbers of objects in captions."""

    def options(self) -> dict[str, object]:
        """The options that decide what is in the output."""
        return {"--prompts": self.prompts, "--counts": self.counts}


def caption_scenes(session: Session[Description], job: CaptionJob) -> RunSummary:
    """Caption every tile that has a valid pixel, and write the rows in the order of scenes and tiles.

    A tile that cannot be read or captioned becomes a row with the status `failed` and does not stop the others; nor
    does one of several scenes that cannot be opened. Tiles in the journal are not captioned again.

    Raises:
        SceneError: the only scene, or none of several, can be opened.
        OutputError: the output cannot be written, or a scene has changed since the journal was started.
        UsageError: objects are to be counted by a model without detectors.
    """
    engine = session.engine
    assert engine is not None, "captions need an engine"
    if job.counts and not engine.has_detectors:
        raise UsageError(f"{engine.name} has no detectors for --counts; leave it out, or use --model nano")

    def describe(requests: Sequence[Request]) -> list[tuple[Description]]:
        return [(description,) for description in engine.describe(requests)]

    facts = {"counts": "detected" if job.counts else "generated"}
    # An engine that knows the ground sample distance corrects numbers of objects.
    for _ in session.run(session.journal.is_complete, describe, knows_scale=job.counts, facts=facts):
        pass
    write_layer(session, job.prompts)
    return _summary(session)


def _summary(session: Session[Description]) -> RunSummary:
    job, journal, timer = session.job, session.journal, session.timer
    assert session.engine is not None
    assert session.output is not None
    stats, seconds, usage = journal.stats(), timer.seconds, session.engine.usage
    seen = max(1, usage.images)
    return RunSummary(
        scene=job.scenes[0] if len(job.scenes) == 1 else f"{len(job.scenes)} scenes",
        output=str(session.output.path),
        model=session.engine.name,
        tiles=stats.tiles,
        captioned=stats.answered,
        skipped=stats.skipped,
        failed=stats.failed,
        resumed=session.resumed,
        failed_scenes=len(journal.failed_scenes()),
        seconds=round(seconds, 3),
        tiles_per_second=round((stats.tiles - session.resumed) / seconds, 2),
        first_seconds=round(timer.first_batch, 3),
        waited_seconds=round(timer.reading.waited_seconds, 3),
        warnings=tuple(session.warnings()),
        coverage=stats.coverage,
        calls_per_tile=round(usage.calls / seen, 2),
        prompt_tokens_per_tile=round(usage.prompt_tokens / seen, 1),
        generated_tokens_per_tile=round(usage.generated_tokens / seen, 1),
    )
