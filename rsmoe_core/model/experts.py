"""VisionTokens + RoutedPrompts → ExpertDrafts: all experts answer their prompts in one batch over the shared base.

Shapes: B images, E experts, R = B·E rows, Q vision tokens, H features.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import Tensor

from rsmoe_core.model.language.generation import LanguageModel, write
from rsmoe_core.model.router import RoutedPrompts
from rsmoe_core.model.tokenizer import Tokenizer

ExpertDrafts = dict[str, str]
"""Expert name → what it wrote."""


def draft(
    language: LanguageModel, tokenizer: Tokenizer, tokens_BQH: Tensor, prompts: Sequence[RoutedPrompts], max_tokens: int
) -> list[ExpertDrafts]:
    """The drafts of every expert, for each image."""
    experts = tokenizer.experts
    rows = [routed[name] for name in experts for routed in prompts]
    roles = [name for name in experts for _ in prompts]
    tokens_RQH = tokens_BQH.repeat(len(experts), 1, 1)
    written = write(language, tokenizer, tokens_RQH, rows, max_tokens=max_tokens, roles=roles)
    texts = [without_repeats(tokenizer.decode(w.ids)) for w in written]
    return [
        {name: texts[number * len(prompts) + image] for number, name in enumerate(experts)}
        for image in range(len(prompts))
    ]


def without_repeats(text: str) -> str:
    """A draft's phrases, each once: a small model that lists what it sees is apt to begin the list again."""
    phrases = re.split(r"\s*([,;])\s*", text)
    kept: dict[str, str] = {}
    for mark, phrase in zip(["", *phrases[1::2]], phrases[::2], strict=True):
        kept.setdefault(phrase, mark)
    return "".join(
        f"{mark} {phrase}" if mark and number else phrase for number, (phrase, mark) in enumerate(kept.items())
    )
