"""Models that take a few fixed tasks instead of instructions. Free of torch.

They caption images, and some answer short questions. In the mixture they can play no role of router or expert before
they are trained for it, so `--mixture direct` is for them.
"""

from __future__ import annotations

from dataclasses import dataclass

from rsmoe_core.backends.base import Turn
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, FUSION


@dataclass(frozen=True)
class CaptionTasks:
    """What such a model is told."""

    brief: str
    """For one sentence."""
    full: str
    """For several sentences."""
    question: str | None = None
    """For a question that takes the place of `{}`; None if it answers none."""

    def text(self, turn: Turn, sentences: bool) -> str | None:
        """What it is told for a turn; None for what it cannot do."""
        if turn.role not in (BASE, FUSION):
            return None
        if turn.prompt == CAPTION_INSTRUCTION:
            return self.full if sentences else self.brief
        return self.question.format(turn.prompt) if self.question is not None else None


TASKS = {
    "florence2": CaptionTasks("<CAPTION>", "<MORE_DETAILED_CAPTION>"),
    "paligemma": CaptionTasks("caption en", "describe en", "answer en {}"),
}
"""By model type."""
