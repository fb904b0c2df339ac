"""A backend without any network, to test what is above the `Backend` seam."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rsmoe_core.backends.base import Turn, Usage
from rsmoe_core.roles import DEFAULT_EXPERTS, FUSION, ROUTER
from rsmoe_core.types import Generation, Request

Text = str | Generation | Callable[[int, Turn], str]
"""What a role generates: always the same, or a function of what the image was encoded to and of the turn."""


@dataclass
class FakeBackend:
    """Generates canned texts by role, and records every call. An image is encoded to its first value."""

    texts: Mapping[str, Text]
    confidence: float | None = None
    encoded: list[int] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    max_tokens: list[int] = field(default_factory=list)
    name: str = "fake"
    revision: str = "1"
    device: str = "cpu"
    dtype: str = "float32"
    image_size: int = 32
    batch_sizes: tuple[int, int] = (4, 4)
    threads: int = 1
    follows_instructions: bool = False
    trained_roles: frozenset[str] = frozenset((ROUTER, *DEFAULT_EXPERTS, FUSION))
    usage: Usage = field(default_factory=Usage)

    def encode(self, requests: Sequence[Request]) -> list[int]:
        self.encoded += [len(requests)]
        return [int(request.image.flat[0]) for request in requests]

    def generate(self, encoded: list[int], turns: Sequence[Turn], max_tokens: int) -> list[Generation]:
        self.turns += turns
        self.max_tokens.append(max_tokens)
        return [self._generation(encoded[turn.image], turn) for turn in turns]

    def turns_of(self, role: str) -> list[Turn]:
        return [turn for turn in self.turns if turn.role == role]

    def _generation(self, image: int, turn: Turn) -> Generation:
        text = self.texts[turn.role]
        if isinstance(text, Generation):
            return text
        text = text if isinstance(text, str) else text(image, turn)
        return Generation(text, self.confidence, len(text.split()))
