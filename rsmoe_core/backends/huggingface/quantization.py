"""Weights of fewer bits, made while a checkpoint is loaded: less memory, and slightly other texts.

    int8    torchao: whole weights in 8 bits, for any device; a processor takes longer with them than without
    8bit    bitsandbytes (LLM.int8): for GPUs
    4bit    bitsandbytes (NF4, scales quantised again): for GPUs

Only the linear layers of the language model are quantised: image encoder, connector and vocabulary take little memory,
and their errors would reach every token.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch

from rsmoe_core.errors import ModelError, UsageError

OTHERS = (r"(?!(?:.*\.)?(?:language_model|text_model)\.).*", r".*lm_head")
"""Regular expressions of transformers for the names of modules that keep their weights: all outside the language model,
and its output layer."""


def quantization_config(quantize: str, device: str, dtype: torch.dtype) -> Any:
    """What `from_pretrained` of transformers takes as `quantization_config`, by the name of a quantisation.

    Raises:
        UsageError: there is no such quantisation, or it does not suit the device.
        ModelError: the package that does it is not installed.
    """
    if quantize not in _MAKERS:
        raise UsageError(f"no quantisation '{quantize}'; choose one of: {', '.join(_MAKERS)}")
    package, extra, make = _MAKERS[quantize]
    if find_spec(package) is None:
        raise ModelError(f"--quantize {quantize} needs {package}; run: pip install 'rsmoe[{extra}]'")
    if device.startswith("mps"):
        raise UsageError(f"--quantize {quantize} does not work on {device}; leave it out, or choose another device")
    return make(dtype)


def _int8(dtype: torch.dtype) -> Any:
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    return TorchAoConfig(Int8WeightOnlyConfig(), modules_to_not_convert=list(OTHERS))


def _8bit(dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(OTHERS))


def _4bit(dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(OTHERS),
    )


_MAKERS: dict[str, tuple[str, str, Callable[[torch.dtype], Any]]] = {
    "int8": ("torchao", "int8", _int8),
    "8bit": ("bitsandbytes", "gpu", _8bit),
    "4bit": ("bitsandbytes", "gpu", _4bit),
}
"""Name → package, the extra of rsmoe that installs it, and what makes the configuration."""
