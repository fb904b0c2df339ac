"""The shape of a model, as frozen values that are stored in `config.json`. Free of torch, so that it is cheap to read.

Sizes are numbers of features unless a field says otherwise; images are square and measured in pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from rsmoe_core.roles import DEFAULT_EXPERTS


@dataclass(frozen=True)
class VisionConfig:
    """The image encoder. `width` and `depth` also shape the first layers of the detectors, whatever the encoder."""

    encoder: str = "efficientnet_lite"
    """Name of a registered encoder; see `rsmoe_core.model.vision.base.ENCODERS`."""
    width: float = 1.1
    """Channel multiplier of EfficientNet-Lite; 1.0 is Lite0, 1.1 is Lite2."""
    depth: float = 1.2
    """Layer multiplier of EfficientNet-Lite; 1.0 is Lite0, 1.2 is Lite2."""
    image_size: int = 224
    """Side of the square input, in pixels."""
    feature_size: int = 1280
    """Channels of the patch features that leave the encoder."""
    pretrained: str = ""
    """File, folder or hub id of the encoder's published weights, from which training starts. Not read for inference."""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Further settings of the encoder, as plain JSON values; each encoder checks its own."""


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
    """Every n-th layer has cross-attention from the queries to the patches."""
    dropout: float = 0.1
    """Dropped share of activations during training."""


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
    """Dropped share of input embeddings during training."""


@dataclass(frozen=True)
class LoraSettings:
    """The low-rank adapters that turn the shared language model into each role (router, experts, fusion)."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    """Linear layers of the language model that get an adapter."""


@dataclass(frozen=True)
class DetectionConfig:
    """The detectors, which find single objects so that they can be counted, and how their scores are calibrated."""

    classes: tuple[str, ...] = ()
    """Detector classes: names of `rsmoe_core.model.detector.DETECTOR_CLASSES`. Empty for a model without detectors."""
    thresholds: tuple[float, ...] = ()
    """For each class, the heatmap score at which a detection has a confidence of one half."""
    slopes: tuple[float, ...] = ()
    """For each class, how fast confidence rises with the log-odds of the heatmap score."""
    log_count_stds: tuple[float, ...] = ()
    """For each class, the standard deviation of the logarithm of found to true counts, on the validation split."""
    width: int = 64
    """Channels between the features and the heatmap."""

    def with_classes(self, more: tuple[str, ...]) -> DetectionConfig:
        """With further classes, not calibrated yet."""
        new = tuple(name for name in more if name not in self.classes)
        return dataclasses.replace(
            self,
            classes=(*self.classes, *new),
            thresholds=(*self.thresholds, *(0.3 for _ in new)),
            slopes=(*self.slopes, *(1.0 for _ in new)),
            log_count_stds=(*self.log_count_stds, *(0.5 for _ in new)),
        )

    def calibrated(self, class_name: str, threshold: float, slope: float, log_count_std: float) -> DetectionConfig:
        """The same with another calibration of one class."""
        values = dict(
            zip(self.classes, zip(self.thresholds, self.slopes, self.log_count_stds, strict=True), strict=True)
        )
        values[class_name] = (threshold, slope, log_count_std)
        thresholds, slopes, log_count_stds = zip(*values.values(), strict=True)
        return dataclasses.replace(self, thresholds=thresholds, slopes=slopes, log_count_stds=log_count_stds)


@dataclass(frozen=True)
class DecodingConfig:
    """How many tokens may be generated. Decoding is greedy."""

    prompt_tokens: int = 48
    """For all of the router's prompts together."""
    draft_tokens: int = 32
    """For one expert's draft."""
    caption_tokens: int = 40
    """For the fused caption."""


Mixture = Literal["full", "experts", "direct"]
MIXTURES: tuple[Mixture, ...] = get_args(Mixture)
"""Router, experts and fusion; experts with fixed prompts, and fusion; or a single text, without any of them."""


Detail = Literal["brief", "full"]
DETAILS: tuple[Detail, ...] = get_args(Detail)
"""One sentence, or a few."""


@dataclass(frozen=True)
class CaptionOptions:
    """How captions are made, whatever the model; the user's choice for one run."""

    mixture: Mixture = "full"
    prompt: str | None = None
    """What to write about, in the user's words; None to describe the image."""
    words: int | None = None
    """Most words of a caption; None for as many as `detail` has."""
    detail: Detail = "brief"
    """A model that does not follow instructions writes as it was trained."""


@dataclass(frozen=True)
class BaseReference:
    """A vision-language model of transformers that a mixture is on."""

    name: str = ""
    """Hub id (`owner/name`) or folder; one that begins with `./` lies in the folder of the mixture."""
    revision: str = ""
    """Commit on the hub, or fingerprint of a folder; another one has other weights."""


@dataclass(frozen=True)
class BaseParts:
    """Two published models of which an InstructBLIP is composed, by hub id or folder."""

    vision: str
    """An InstructBLIP whose image encoder and Q-Former are taken."""
    text: str
    """The language model. The projection between them is new."""


@dataclass(frozen=True)
class MixtureConfig:
    """RS-MoE on a base: a vision-language model of transformers. Stored in `mixture.json`."""

    base: BaseReference = field(default_factory=BaseReference)
    preset: str = ""
    """Name of the preset that it was made from; empty for any other base."""
    stage: str = ""
    """The last stage of training: `1`, `2`, ...; empty before any."""
    experts: tuple[str, ...] = DEFAULT_EXPERTS
    """Names of registered experts (`rsmoe_core.roles.EXPERTS`), in the order in which their drafts are fused."""
    lora: LoraSettings = field(default_factory=lambda: LoraSettings(targets=()))
    """Of all adapters. Without targets, they are on every linear layer of the language model."""
    language: str = ""
    """Dotted name of the language model's decoder within the base, which alone has adapters."""
    decoding: DecodingConfig = field(default_factory=lambda: DecodingConfig(128, 64, 96))
    format: int = 1
    """Version of the format of the folder."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)


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
    experts: tuple[str, ...] = DEFAULT_EXPERTS
    """Names of registered experts (`rsmoe_core.roles.EXPERTS`), in the order in which their drafts are fused."""
    share_base: bool = True
    """Roles are adapters on one language model; otherwise each is a full copy of it with its adapter merged in."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)
