"""ExpertDrafts → text: the fusion pass reads vision tokens, instruction and drafts, and writes the final sentence.

Shapes: B images, Q vision tokens, H features.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rsmoe_core.model.experts import ExpertDrafts
from rsmoe_core.model.language.decoder import Written
from rsmoe_core.model.language.generation import LanguageModel, write
from rsmoe_core.model.tokenizer import TextCodec
from rsmoe_core.roles import FUSION


def fusion_prompt(codec: TextCodec, instruction: str, drafts: ExpertDrafts) -> str:
    """What the fusion pass reads beside the picture: the instruction, then each draft under its expert's mark."""
    return f"{instruction} {codec.join_parts(drafts)}"


def fuse(
    language: LanguageModel,
    codec: TextCodec,
    tokens_BQH: Tensor,
    instructions: Sequence[str],
    drafts: Sequence[ExpertDrafts],
    *,
    max_tokens: int,
    beams: int,
) -> list[Written]:
    """The final text of each image, with its confidence."""
    prompts = [fusion_prompt(codec, i, d) for i, d in zip(instructions, drafts, strict=True)]
    roles = [FUSION] * len(prompts)
    return write(language, codec, tokens_BQH, prompts, max_tokens=max_tokens, beams=beams, roles=roles)
