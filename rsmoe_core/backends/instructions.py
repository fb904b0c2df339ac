"""What a model that follows instructions is told in each role, and what its replies mean. Free of torch.

    Turn ─chat_text─▶ the user's message ─model─▶ raw text ─generation─▶ Generation, checked

A model without adapters for the roles of the mixture plays them by these instructions. A role with an adapter is
prompted as it was trained, with `trained_text`, and its replies are taken as they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from rsmoe_core.backends.base import Turn
from rsmoe_core.model.moe import fusion_prompt, join_parts
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, EXPERTS, FUSION, ROUTER
from rsmoe_core.types import Generation
from rsmoe_core.words import replies
from rsmoe_core.words.replies import ReplyForm

_IMAGE = "This is a satellite or aerial image, seen from above."
_TASK = "Describe the image: what kind of place it is, which objects there are, and how they lie to each other."

BRIEF_WORDS, FULL_WORDS = 20, 60
"""Most words of a brief and of a full caption, where the user does not say."""


@dataclass(frozen=True)
class Instructions:
    """How the roles of a mixture are put into words."""

    experts: tuple[str, ...]
    words: int = BRIEF_WORDS
    """Most words of a caption."""
    sentences: bool = False
    """Whether a caption may have several sentences."""

    def form(self, turn: Turn) -> ReplyForm:
        """The form in which a turn is to be replied to."""
        if turn.form is not None:
            return turn.form
        if turn.role == ROUTER:
            return replies.prompts_for({name: EXPERTS[name].description for name in self.experts})
        if turn.role in (FUSION, BASE):
            return replies.paragraph(self.words) if self.sentences else replies.sentence(self.words)
        return EXPERTS[turn.role].form

    def chat_text(self, turn: Turn) -> str:
        """What the model is told for a turn, beside the image."""
        task = _TASK if turn.prompt == CAPTION_INSTRUCTION else turn.prompt
        request = self.form(turn).request
        if turn.role == ROUTER:
            experts = "\n".join(f"{name}: {EXPERTS[name].description}" for name in self.experts)
            return (
                f"{_IMAGE} Specialists will look at it, each for one thing:\n{experts}\n"
                f"The task of all of them together is: {task}\n"
                f"Tell each specialist in one short sentence what to look for in this very image. {request}"
            )
        if turn.role == FUSION:
            notes = "\n".join(f"{name}: {text}" for name, text in turn.drafts.items() if text)
            notes = f"Specialists noted the following, and may be wrong:\n{notes}\n" if notes else ""
            return f"{_IMAGE} {notes}{task} Say only what the image shows. {request}"
        return f"{_IMAGE} {_sentence(task)} {request}"

    def trained_text(self, turn: Turn) -> str:
        """The prompt of a role that has an adapter: as in training."""
        return fusion_prompt(turn.prompt, turn.drafts, self.experts) if turn.role == FUSION else turn.prompt

    def generation(self, turn: Turn, raw: Generation) -> Generation:
        """A raw text, checked and repaired; the router's prompts are headed by the markers of their experts."""
        if raw.error is not None:
            return raw
        reply = self.form(turn).check(raw.text)
        if reply.error is not None:
            return replace(raw, text="", confidence=None, error=reply.error)
        text = reply.text if turn.role != ROUTER else join_parts(json.loads(reply.text), self.experts)
        return replace(raw, text=text)


def _sentence(text: str) -> str:
    """A prompt as a sentence of its own: "name the kind of place" → "Name the kind of place."."""
    text = text.strip()
    return text if text.endswith((":", "：")) else replies.ended(text[:1].title() + text[1:])
