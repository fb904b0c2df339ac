"""The seam between the mixture and whatever looks at images and writes text.

    requests ─encode─▶ Encoded, each image once ─generate(turns)─▶ Generations, one for each turn

Router, experts and fusion are written once, above this seam (`rsmoe_core.model.moe`, `experts`, `fusion`). What is
below it may be the native model, a vision-language model of transformers, or a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

from rsmoe_core.types import Generation, Request
from rsmoe_core.words.replies import ReplyForm


@dataclass(frozen=True)
class Turn:
    """One text to generate."""

    image: int
    """Index of the image among those that were encoded together."""
    role: str
    """Who generates it: a name of `rsmoe_core.roles`."""
    prompt: str
    drafts: Mapping[str, str] = field(default_factory=dict)
    """Of fusion: the drafts that it reads, by expert."""
    form: ReplyForm | None = None
    """The form of the reply, for models that follow instructions; None for that of the role."""


@dataclass
class Usage:
    """What a backend has computed so far. Threads may add to it side by side."""

    images: int = 0
    """Images that went through the image encoder."""
    calls: int = 0
    """Texts that were generated."""
    prompt_tokens: int = 0
    """Tokens that were read, those of images included; 0 where a server does not say."""
    generated_tokens: int = 0

    def __post_init__(self) -> None:
        self._lock = Lock()

    def add(self, images: int = 0, calls: int = 0, prompt_tokens: int = 0, generated_tokens: int = 0) -> None:
        """Count more of each."""
        with self._lock:
            self.images += images
            self.calls += calls
            self.prompt_tokens += prompt_tokens
            self.generated_tokens += generated_tokens


Encoded = Any
"""What a backend knows of several images after looking at them; only the backend itself reads it."""


class Backend(Protocol):
    """Looks at images and writes text, in the roles of router, experts and fusion.

    What it generates for a turn does not depend on the turns and images beside it.
    """

    @property
    def name(self) -> str:
        """Name of the model, as the user gave it."""

    @property
    def revision(self) -> str:
        """Changes whenever the weights or anything else that decides the output changes."""

    @property
    def device(self) -> str:
        """Where it computes, by torch's name."""

    @property
    def dtype(self) -> str:
        """Number format in which it computes: `float32`, `bfloat16`, ..."""

    @property
    def image_size(self) -> int:
        """Side of the square, in pixels, to which it resizes images."""

    @property
    def batch_sizes(self) -> tuple[int, int]:
        """Images of a first batch and of the largest one that is worth trying, for each thread."""

    @property
    def threads(self) -> int:
        """Threads that may call it side by side, each with images of its own."""

    @property
    def follows_instructions(self) -> bool:
        """Whether it understands any words, in any language; otherwise only the phrases that it was trained on."""

    @property
    def trained_roles(self) -> frozenset[str]:
        """The roles that it has weights of their own for; the others are instructions to the same weights."""

    @property
    def usage(self) -> Usage:
        """What it has computed so far."""

    def encode(self, requests: Sequence[Request]) -> Encoded:
        """Look at the image of each request once.

        Raises:
            ImageError: an image or a mask has the wrong shape or type.
        """

    def generate(self, encoded: Encoded, turns: Sequence[Turn], max_tokens: int) -> list[Generation]:
        """A text of at most `max_tokens` for each turn, in their order.

        A turn that gives no text that can be used has an `error`; it fails alone.

        Raises:
            BackendError: nothing can be generated any more, now or for the turns to come.
        """
