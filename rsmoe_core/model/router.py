"""VisionTokens + instruction → RoutedPrompts: the Instruction Router writes a prompt for each expert.

Shapes: B images, Q vision tokens, H features.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rsmoe_core.model.language.generation import LanguageModel, write
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.roles import DEFAULT_PROMPTS, ROUTER

RoutedPrompts = dict[str, str]
"""Expert name → the prompt that the router wrote for it."""


def route(
    language: LanguageModel, tokenizer: Tokenizer, tokens_BQH: Tensor, instructions: Sequence[str], max_tokens: int
) -> list[RoutedPrompts]:
    """Prompts for every expert, for each image. An expert that the router left out is asked its plain question."""
    roles = [ROUTER] * len(instructions)
    written = write(language, tokenizer, tokens_BQH, instructions, max_tokens=max_tokens, roles=roles)
    return [plain_prompts(tokenizer.experts) | tokenizer.split_parts(w.ids) for w in written]


def plain_prompts(experts: Sequence[str]) -> RoutedPrompts:
    """What each expert is asked where nobody has anything more particular to ask."""
    return {name: DEFAULT_PROMPTS.get(name, name) for name in experts}
