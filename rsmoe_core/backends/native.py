"""The native backend: image encoder, Q-Former and a decoder for each role, all in one model folder.

    images ─preprocess─▶ pixels_BCHW ─vision─▶ patches_BPD ─Q-Former─▶ tokens_BQH ─decoders─▶ text

Shapes: B images, C channels, H rows, W columns, P patches, D patch features, Q vision tokens, R turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rsmoe_core.backends.base import Turn, Usage
from rsmoe_core.model.language.decoder import DecodedSequence, Decoder, DecodingCounts
from rsmoe_core.model.moe import fusion_prompt
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.preprocess import to_pixels
from rsmoe_core.roles import CAPTION_INSTRUCTION, FUSION, ROUTER
from rsmoe_core.types import Generation, Request

_CPU_BATCHES, _GPU_BATCHES = (32, 32), (128, 512)
"""First and largest batch of each thread: a larger one gains nothing on a processor, a GPU idles with a small one."""
_CPU_ENCODER_BATCH = 2
"""Images that a processor encodes at a time, so that intermediate results stay in its cache."""


class RoleDecoders(nn.Module):
    """A decoder for each role, its adapter merged in, and one for the language model without adapters."""

    def __init__(self, decoders: Mapping[str, Decoder]) -> None:
        super().__init__()
        self.decoders: Any = nn.ModuleDict(decoders)  # of Decoders, which its type does not say

    @property
    def counts(self) -> dict[str, DecodingCounts]:
        """What was computed so far, by role."""
        return {role: decoder.counts for role, decoder in self.decoders.items()}

    def generate(
        self,
        tokens_RQH: Tensor,
        prompts: Sequence[Sequence[int]],
        roles: Sequence[str],
        max_tokens: int,
        eos: int,
    ) -> list[DecodedSequence]:
        """Decode each prompt in its role; the prompts of one role go through its decoder together."""
        sequences: dict[int, DecodedSequence] = {}
        for role in dict.fromkeys(roles):
            rows = [row for row, of_row in enumerate(roles) if of_row == role]
            own = self.decoders[role].generate(tokens_RQH[rows], [prompts[row] for row in rows], max_tokens, eos)
            sequences.update(zip(rows, own, strict=True))
        return [sequences[row] for row in range(len(roles))]


class NativeBackend:
    """See `base.Backend`."""

    follows_instructions = False

    def __init__(
        self,
        model: RSMoE,
        name: str = "",
        revision: str = "",
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        """`model` is in the form that `rsmoe_core.checkpoint.load` gives it; its `language` are `RoleDecoders`.

        `threads` of None is one for each core; a GPU takes its batch whole.
        """
        self.model = model
        self.decoders: RoleDecoders = model.language
        self.name, self.revision, self.device = name, revision, device
        self.usage = Usage()
        self._normalisation = model.encoder_spec.normalisation(model.config.vision)
        self.threads = threads or (torch.get_num_threads() if device.startswith("cpu") else 1)

    @property
    def trained_roles(self) -> frozenset[str]:
        """See `base.Backend`."""
        return frozenset(self.model.roles)

    @property
    def dtype(self) -> str:
        """See `base.Backend`."""
        return str(self.model.qformer.queries.dtype).removeprefix("torch.")

    @property
    def image_size(self) -> int:
        """See `base.Backend`."""
        return self.model.config.vision.image_size

    @property
    def batch_sizes(self) -> tuple[int, int]:
        """See `base.Backend`."""
        return _CPU_BATCHES if self.device == "cpu" else _GPU_BATCHES

    @torch.inference_mode()
    def encode(self, requests: Sequence[Request]) -> Tensor:
        """tokens_BQH: the vision tokens of each image, for the instruction of the caption task."""
        size = _CPU_ENCODER_BATCH if self.device == "cpu" else len(requests)
        parts = [requests[first : first + size] for first in range(0, len(requests), size)]
        patches_BPD = torch.cat([self.model.vision(self._pixels(part)) for part in parts])
        self.usage.add(images=len(requests))
        return self.encode_patches(patches_BPD)

    @torch.inference_mode()
    def encode_patches(self, patches_BPD: Tensor) -> Tensor:
        """tokens_BQH of images whose patch features are known."""
        return self.model.encode(patches_BPD, [CAPTION_INSTRUCTION] * len(patches_BPD))

    @torch.inference_mode()
    def generate(self, encoded: Tensor, turns: Sequence[Turn], max_tokens: int) -> list[Generation]:
        """See `base.Backend`; `encoded` is tokens_BQH. The router's text keeps the markers of the experts."""
        tokenizer = self.model.tokenizer
        prompts = [tokenizer.prompt_ids(self._prompt(turn)) for turn in turns]
        sequences = self.decoders.generate(
            encoded[[turn.image for turn in turns]], prompts, [turn.role for turn in turns], max_tokens, tokenizer.eos
        )
        self.usage.add(
            calls=len(turns),
            prompt_tokens=sum(map(len, prompts)) + len(turns) * encoded.shape[1],
            generated_tokens=sum(len(sequence.ids) for sequence in sequences),
        )
        return [
            Generation(
                tokenizer.decode(sequence.ids, keep_markers=turn.role == ROUTER), sequence.confidence, len(sequence.ids)
            )
            for turn, sequence in zip(turns, sequences, strict=True)
        ]

    def _prompt(self, turn: Turn) -> str:
        if turn.role == FUSION:
            return fusion_prompt(turn.prompt, turn.drafts, self.model.config.experts)
        return turn.prompt

    def _pixels(self, requests: Sequence[Request]) -> Tensor:
        pixels_BCHW = to_pixels(requests, self.image_size, self._normalisation)
        return pixels_BCHW.to(self.device, self.model.qformer.queries.dtype, memory_format=torch.channels_last)
