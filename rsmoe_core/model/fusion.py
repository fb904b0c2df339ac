"""ExpertDrafts → text: the fusion pass reads vision tokens, instruction and drafts, and writes the final sentence.

Shapes: B images, Q vision tokens, H features.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rsmoe_core.model.experts import ExpertDrafts
from rsmoe_core.model.language.decoder import Generation
from rsmoe_core.model.language.generation import LanguageModel, write
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.roles import FUSION


def fusion_prompt(tokenizer: Tokenizer, instruction: str, drafts: ExpertDrafts) -> str:
    """What the fusion pass reads beside the picture: the instruction, then each draft under its expert's mark."""
    return f"{instruction} {tokenizer.join_parts(drafts)}"


def fuse(
    language: LanguageModel,
    tokenizer: Tokenizer,
    tokens_BQH: Tensor,
    instructions: Sequence[str],
    drafts: Sequence[ExpertDrafts],
    *,
    max_tokens: int,
    beams: int,
) -> list[Generation]:
    """The final text of each image, with its confidence."""
    prompts = [fusion_prompt(tokenizer, i, d) for i, d in zip(instructions, drafts, strict=True)]
    roles = [FUSION] * len(prompts)
    return write(language, tokenizer, tokens_BQH, prompts, max_tokens=max_tokens, beams=beams, roles=roles)
