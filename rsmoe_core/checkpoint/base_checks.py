"""Whether a checkpoint of transformers can be a base of the mixture, by its settings alone; no weight is read.

A base writes text about images, by code of transformers itself, and has a processor and a tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rsmoe_core.errors import ModelError
from rsmoe_core.strict_json import read_json_file

CONFIG, ADAPTER_SETTINGS = "config.json", "adapter_config.json"

_WITHOUT_TEMPLATE = frozenset(
    ("blip", "blip-2", "florence2", "git", "instructblip", "kosmos-2", "kosmos-2.5", "paligemma", "pix2struct", "udop")
)
"""Model types that are prompted with plain text; all others need a chat template."""
_WITH_NUM2WORDS = frozenset(("smolvlm",))
"""Model types whose processor writes numbers in words."""
_MAX_JSON = 2**26


def check_base(folder: Path, name: str) -> Mapping[str, Any]:
    """The configuration of a base; `name` is what messages call it. No weight file is needed.

    Raises:
        ModelError: it is no model of transformers, needs code of its own, takes no image or writes no text, lacks a
            processor or a chat template, or needs a package that is not installed.
    """
    config = _config(folder, name)
    _check_architecture(config, name)
    _check_processor(folder, str(config["model_type"]), name)
    return config


def _config(folder: Path, name: str) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        if (folder / ADAPTER_SETTINGS).is_file():
            base = json_object(folder / ADAPTER_SETTINGS).get("base_model_name_or_path")
            raise ModelError(f"'{name}' is an adapter{f' of {base!r}' if base else ''}, no model; give its base")
        raise ModelError(f"'{name}' is no model ({CONFIG} is missing); give a model of transformers, or one of rsmoe")
    config = json_object(path)
    if not isinstance(config.get("model_type"), str):
        raise ModelError(f"'{name}' is no model of transformers ({CONFIG} has no model_type); give another model")
    return config


def json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ModelError: the file is missing or damaged.
    """
    try:
        values = read_json_file(path, _MAX_JSON)
        if not isinstance(values, dict):
            raise ValueError("no object")
    except ValueError as error:
        raise ModelError(f"{path}: damaged ({error}); copy or download it again") from error
    return values


def _check_architecture(config: Mapping[str, Any], name: str) -> None:
    from transformers import __version__ as version
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )

    kind = config["model_type"]
    if kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return
    if config.get("auto_map"):
        raise ModelError(
            f"'{name}' needs code of its own (trust_remote_code), which rsmoe never runs; choose a release for "
            "transformers itself, whose id often ends in -hf"
        )
    if kind not in CONFIG_MAPPING_NAMES:
        raise ModelError(f"transformers {version} does not know the model type '{kind}' of '{name}'; update it")
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ModelError(f"'{name}' reads text only and takes no image; choose a vision-language model")
    raise ModelError(f"'{name}' (model type '{kind}') does not write text about images; choose a vision-language model")


def _check_processor(folder: Path, model_type: str, name: str) -> None:
    settings = [folder / file for file in ("processor_config.json", "preprocessor_config.json")]
    if not any(path.is_file() for path in settings):
        raise ModelError(f"'{name}' has no processor (preprocessor_config.json is missing); copy it from the original")
    if not any(folder.glob("tokenizer*")) and not any(folder.glob("vocab*")):
        raise ModelError(f"'{name}' has no tokenizer (tokenizer.json is missing); copy it from the original")
    if model_type not in _WITHOUT_TEMPLATE and not _has_template(folder):
        raise ModelError(
            f"'{name}' has no chat template, so it cannot be instructed; choose the -Instruct or -it release of it, "
            "or put its chat_template.jinja into the folder"
        )
    missing = [
        package
        for package, is_missing in (
            ("torchvision", needs_torchvision(model_type, folder)),
            ("num2words", model_type in _WITH_NUM2WORDS and find_spec("num2words") is None),
        )
        if is_missing
    ]
    if missing:
        raise ModelError(
            f"models of the type '{model_type}' need {' and '.join(missing)}; run: pip install 'rsmoe[vision]'"
        )


def _has_template(folder: Path) -> bool:
    if any((folder / file).is_file() for file in ("chat_template.jinja", "chat_template.json")):
        return True
    files = [folder / file for file in ("tokenizer_config.json", "processor_config.json")]
    return any(json_object(path).get("chat_template") for path in files if path.is_file())


def needs_torchvision(model_type: str, folder: Path) -> bool:
    """Whether a base cannot be used for want of torchvision: its processor has a video processor, or no other code."""
    import transformers
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES
    from transformers.utils import is_torchvision_available

    if is_torchvision_available():
        return False
    names = [PROCESSOR_MAPPING_NAMES.get(model_type)]
    for path in (folder / file for file in ("processor_config.json", "tokenizer_config.json")):
        if path.is_file():
            names.insert(0, json_object(path).get("processor_class"))
    name = next((name for name in names if isinstance(name, str) and hasattr(transformers, name)), None)
    image_processors = IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type) or {}
    if name is not None and "video_processor" in getattr(transformers, name).get_attributes():
        return True
    return bool(image_processors) and "pil" not in image_processors
