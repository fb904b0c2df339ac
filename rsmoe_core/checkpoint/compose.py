"""An InstructBLIP composed of two published models, once: the base of the presets rs-moe-1b and rs-moe-3b.

    InstructBLIP ─▶ image encoder, Q-Former ┐
                          new projection ───┼─▶ folder: an ordinary checkpoint of transformers, which is a base
    Llama ─▶ language model, tokenizer ─────┘

The language model keeps its weights; its vocabulary gets a token that stands for the image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rsmoe_core.checkpoint import hub
from rsmoe_core.checkpoint.base_weights import find_base
from rsmoe_core.checkpoint.headers import weight_files
from rsmoe_core.config import BaseParts
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.strict_json import read_json_file

RECORD = "composed_of.json"
"""In the folder: which parts it was composed of."""
_VISION_TYPE = "instructblip"
_TAKEN = ("vision_model.", "qformer.", "query_tokens")
"""Beginnings of the names of what is taken from it."""
_IMAGE_TOKEN = "<image>"
_PADDING_TOKENS = ("<|finetune_right_pad_id|>", "<pad>", "<unk>")
"""Tokens that may fill up a batch where the tokenizer names none."""
_MULTIPLE = 64
"""The vocabulary is filled up to a multiple of it, which is faster on a GPU."""


def compose(parts: BaseParts, folder: Path, seed: int = 0) -> None:
    """Write the composed checkpoint to a new folder; after an error, its contents are of no use.

    Raises:
        UsageError: a name is neither a folder nor a hub id.
        ModelError: a part is missing, damaged, or of another kind.
    """
    from rsmoe_core.backends.huggingface.backend import quietly

    with quietly():
        _compose(parts, folder, seed)


def _compose(parts: BaseParts, folder: Path, seed: int) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, InstructBlipProcessor

    vision = find_base(parts.vision)
    if vision.model_type != _VISION_TYPE:
        raise ModelError(
            f"'{parts.vision}' is no InstructBLIP (model type '{vision.model_type}'); give one of its releases"
        )
    text = _text_folder(parts.text)
    try:
        tokenizer = AutoTokenizer.from_pretrained(text, local_files_only=True, trust_remote_code=False)
        language = AutoModelForCausalLM.from_pretrained(
            text, dtype="auto", use_safetensors=True, local_files_only=True, trust_remote_code=False
        )
        own: Any = InstructBlipProcessor.from_pretrained(vision.folder, local_files_only=True)
    except Exception as error:  # transformers, safetensors and tokenizers each raise their own
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise ModelError(f"'{parts.text}' cannot be composed with '{parts.vision}' ({reason[:200]})") from error
    processor = InstructBlipProcessor(
        own.image_processor, _prepared(tokenizer), own.qformer_tokenizer, num_query_tokens=own.num_query_tokens
    )
    torch.manual_seed(seed)
    language.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=_MULTIPLE, mean_resizing=False)
    model = _joined(vision.folder, language, tokenizer)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    record = {"vision": [parts.vision, vision.revision], "text": parts.text, "seed": seed}
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def check_parts(folder: Path, parts: BaseParts) -> None:
    """Refuse a composed base that has other parts.

    Raises:
        ModelError: it has, or it was not written by `compose`.
    """
    try:
        record = read_json_file(folder / RECORD)
        same = record["vision"][0] == parts.vision and record["text"] == parts.text
    except (ValueError, TypeError, LookupError) as error:
        raise ModelError(f"{folder}: no composed base ({RECORD} is missing or damaged); remove it") from error
    if not same:
        raise ModelError(f"{folder}: was composed of other parts; give another --out, or remove it")


def _text_folder(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    if not hub.is_hub_id(name):
        raise UsageError(f"no model '{name}'; give a folder, or the id of a model on the hub (owner/name)")
    return hub.fetch(name)


def _prepared(tokenizer: Any) -> Any:
    """The tokenizer with a token for the image, and one to fill up batches with."""
    tokenizer.add_special_tokens({"additional_special_tokens": [_IMAGE_TOKEN]}, replace_extra_special_tokens=False)
    if tokenizer.pad_token is None:
        known = tokenizer.get_vocab()
        tokenizer.pad_token = next((token for token in _PADDING_TOKENS if token in known), tokenizer.eos_token)
    tokenizer.chat_template = None  # it knows no images; InstructBLIP is prompted with plain text
    return tokenizer


def _joined(vision: Path, language: Any, tokenizer: Any) -> Any:
    """Image encoder and Q-Former of one checkpoint, with another language model and a new projection."""
    from torch import nn
    from transformers import InstructBlipConfig, InstructBlipForConditionalGeneration, LlamaConfig

    config: Any = InstructBlipConfig.from_pretrained(vision, local_files_only=True)
    config.text_config = LlamaConfig(vocab_size=8, hidden_size=32, intermediate_size=8, num_hidden_layers=1)
    model = InstructBlipForConditionalGeneration(config)
    _load_parts(model, vision)
    model.language_model = language
    sizes = config.qformer_config.hidden_size, language.config.hidden_size
    projection = model.language_projection = nn.Linear(*sizes)
    nn.init.normal_(projection.weight, std=config.initializer_range)
    nn.init.zeros_(projection.bias)
    config.text_config = language.config
    config.image_token_index = tokenizer.convert_tokens_to_ids(_IMAGE_TOKEN)
    config.dtype = language.dtype
    model.generation_config = language.generation_config
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def _load_parts(model: Any, folder: Path) -> None:
    """Give image encoder and Q-Former the weights of a checkpoint, whose language model may be many times larger."""
    from safetensors import safe_open

    own = {name: value for name, value in model.state_dict().items() if name.startswith(_TAKEN)}
    missing = dict(own)
    for path in weight_files(folder):
        with safe_open(str(path), "pt") as file:
            for name in missing.keys() & file.keys():
                own[name].copy_(file.get_tensor(name))
                del missing[name]
    if missing:
        raise ModelError(
            f"{folder}: has no {sorted(missing)[0]}, so it is no InstructBLIP of transformers; give another"
        )
