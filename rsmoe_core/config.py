"""The shape of a model, as frozen values that travel in `config.json`. Free of torch, so that it is cheap to read.

Sizes are numbers of features unless a field says otherwise; images are square and measured in pixels.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from rsmoe_core.checkpoint.validation import built, misfits
from rsmoe_core.errors import ModelError
from rsmoe_core.types import EXPERTS


@dataclass(frozen=True)
class VisionConfig:
    """The image encoder: an EfficientNet-Lite (Tan & Le 2019, without squeeze-excite, with ReLU6)."""

    width: float = 1.1
    """Channel multiplier; 1.0 is Lite0, 1.1 is Lite2."""
    depth: float = 1.2
    """Layer multiplier; 1.0 is Lite0, 1.2 is Lite2."""
    image_size: int = 224
    """Side of the square input, in pixels; a multiple of 32."""
    feature_size: int = 1280
    """Channels of the patch features that leave the encoder."""

    @property
    def grid(self) -> int:
        """Patches along one side of the image: one for every 32 pixels."""
        return self.image_size // 32


@dataclass(frozen=True)
class QFormerConfig:
    """The VLM encoder: an instruction-aware Q-Former (Dai et al. 2023, InstructBLIP)."""

    queries: int = 32
    """Learned queries, and so vision tokens that the language model reads."""
    hidden_size: int = 256
    layers: int = 2
    heads: int = 4
    intermediate_size: int = 768
    cross_attention_every: int = 1
    """The queries look at the patches in every n-th layer."""
    dropout: float = 0.1
    """Dropped share of activations while training."""


@dataclass(frozen=True)
class LanguageConfig:
    """The LLM block: a Llama-type decoder, the stage-1 language model from which every expert starts."""

    vocab_size: int = 2048
    hidden_size: int = 256
    layers: int = 4
    heads: int = 4
    intermediate_size: int = 704
    max_length: int = 192
    """Positions: vision tokens, instruction, drafts and answer together."""
    dropout: float = 0.1
    """Dropped share of input embeddings while training."""


@dataclass(frozen=True)
class LoraSettings:
    """The low-rank adapters that make a role (router, expert, fusion) out of the shared language model."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    """Linear layers of the language model that get an adapter."""


@dataclass(frozen=True)
class DetectionConfig:
    """The detectors, which find the single things that the objects expert is to count."""

    classes: tuple[str, ...] = ()
    """What they find: names of `rsmoe_core.model.detector.DETECTOR_CLASSES`; none leaves the model without detectors."""
    thresholds: tuple[float, ...] = ()
    """For each cls the heat above which there is a thing."""
    slopes: tuple[float, ...] = ()
    """For each cls how fast confidence rises with the logarithm of the heat's odds."""
    log_count_stds: tuple[float, ...] = ()
    """For each cls the standard deviation of the logarithm of counts to the truth, on pictures held out."""
    width: int = 64
    """Channels on the way from features to heat."""

    def with_classes(self, more: tuple[str, ...]) -> DetectionConfig:
        """With more classes, of whose heat nothing is known yet."""
        new = tuple(name for name in more if name not in self.classes)
        return dataclasses.replace(
            self,
            classes=(*self.classes, *new),
            thresholds=(*self.thresholds, *(0.3 for _ in new)),
            slopes=(*self.slopes, *(1.0 for _ in new)),
            log_count_stds=(*self.log_count_stds, *(0.5 for _ in new)),
        )

    def calibrated(self, cls: str, threshold: float, slope: float, spread: float) -> DetectionConfig:
        """The same with another reading of one cls's heat."""
        known = dict(
            zip(self.classes, zip(self.thresholds, self.slopes, self.log_count_stds, strict=True), strict=True)
        )
        thresholds, slopes, log_count_stds = zip(*(known | {cls: (threshold, slope, spread)}).values(), strict=True)
        return dataclasses.replace(self, thresholds=thresholds, slopes=slopes, log_count_stds=log_count_stds)


@dataclass(frozen=True)
class DecodingConfig:
    """How texts are written. Lengths are upper limits in tokens."""

    prompt_tokens: int = 48
    """For all of the router's prompts together."""
    draft_tokens: int = 32
    """For one expert's draft."""
    caption_tokens: int = 40
    """For the fused caption."""
    beams: int = 1
    """Beam width of the fusion pass, 1 being greedy; router and experts decode greedily."""


@dataclass(frozen=True)
class ModelConfig:
    """A whole RS-MoE."""

    name: str = "nano"
    vision: VisionConfig = field(default_factory=VisionConfig)
    qformer: QFormerConfig = field(default_factory=QFormerConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    lora: LoraSettings = field(default_factory=LoraSettings)
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    experts: tuple[str, ...] = EXPERTS
    """Names of the experts, in the order in which their drafts are fused."""
    share_base: bool = True
    """Roles are adapters on one language model; otherwise each is a full copy of it with its adapter merged in."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """The inverse of `to_dict`. Raises ModelError that names every setting that is unknown, wrong or too large."""
        faults: list[str] = []
        config = built(cls, values, "", faults)
        if faults := faults or list(misfits(config)):
            raise ModelError(f"config.json: {'; '.join(faults)}; export the model again")
        return config
