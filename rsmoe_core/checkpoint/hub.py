"""Files of models on the Hugging Face hub, fetched into its cache; every failure is one line that says what to do.

Cache, offline mode, tokens, mirrors and proxies are huggingface_hub's own: HF_HOME, HF_HUB_OFFLINE, HF_TOKEN or
`hf auth login`, HF_ENDPOINT. Free of torch.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from pathlib import Path

from rsmoe_core.errors import ModelError, RsmoeError, UsageError

SETTINGS = ("*.json", "*.txt", "*.model", "*.jinja", "*.md")
"""Files of configuration, tokenizer, processor and chat template; none of them is ever executed."""
WEIGHTS = (*SETTINGS, "*.safetensors")
"""The same and the weights."""
SHARDS = (*SETTINGS, "*.bin")
"""The same and the pickled weights of older releases, for `rsmoe models import` alone."""
_COPIES = ("consolidated*", "original/*", "onnx/*", "openvino/*", "gguf/*", ".cache/*")
"""The same weights in other formats, which many repositories hold as well."""


def is_hub_id(name: str) -> bool:
    """Whether a name can be the id of a model on the hub: `owner/name`."""
    return re.fullmatch(r"\w[\w.-]*/[\w.-]+", name) is not None


def fetch(hub_id: str, revision: str | None = None, patterns: Sequence[str] = WEIGHTS) -> Path:
    """The folder with the files of a model that match the patterns; it is named by the commit that it holds.

    Files that are in the cache already are not fetched again; without a network, the cache alone is used.

    Raises:
        ModelError: the hub does not have it, does not give it, or cannot be reached.
        UsageError: the id is malformed.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(hub_id, revision=revision, allow_patterns=list(patterns), ignore_patterns=list(_COPIES))
        )
    except Exception as error:  # the hub client and the network each raise their own
        raise _refusal(error, hub_id, revision, patterns) from error


def commit_of(folder: Path) -> str | None:
    """The commit of a folder in the hub's cache; None for any other folder."""
    in_cache = folder.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", folder.name)
    return folder.name if in_cache else None


def _refusal(error: Exception, hub_id: str, revision: str | None, patterns: Sequence[str]) -> RsmoeError:
    """What to tell the user, by the error of huggingface_hub."""
    from huggingface_hub import errors

    at = f" at revision '{revision}'" if revision else ""
    match error:
        case errors.HFValidationError():
            return UsageError(f"'{hub_id}' cannot be the id of a model on the hub; give owner/name, or a folder")
        case errors.GatedRepoError():
            return ModelError(
                f"'{hub_id}' is gated: accept its licence at https://huggingface.co/{hub_id}, then run "
                "'hf auth login' or set HF_TOKEN to a token of that account"
            )
        case errors.RepositoryNotFoundError():
            return ModelError(
                f"the hub has no model '{hub_id}', or it is private; check the name, or set HF_TOKEN to a token that "
                "may read it"
            )
        case errors.RevisionNotFoundError():
            return ModelError(f"'{hub_id}' has no revision '{revision}'; give a branch, a tag or a commit of it")
        case errors.LocalEntryNotFoundError() | errors.OfflineModeIsEnabled():
            return ModelError(
                f"'{hub_id}'{at} is not in the cache, and {_unreachable()}; {_by_hand(hub_id, revision, patterns)}"
            )
        case errors.HfHubHTTPError():
            status = error.response.status_code
            return ModelError(f"the hub answered {status} for '{hub_id}'{at}; try again later, or give a folder")
        case OSError(errno=errno.ENOSPC):
            return ModelError(f"no space is left for '{hub_id}'; set HF_HOME to a folder on a larger disk")
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS):
        return ModelError(f"cannot write into the hub's cache ({error}); set HF_HOME to a folder that can be written")
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelError(f"cannot fetch '{hub_id}'{at} from the hub ({reason}); {_by_hand(hub_id, revision, patterns)}")


def _unreachable() -> str:
    from huggingface_hub import constants

    return "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"


def _by_hand(hub_id: str, revision: str | None, patterns: Sequence[str]) -> str:
    """How to bring a model to a machine without a network."""
    without = "" if "*.bin" in patterns else ' --exclude "*.bin"'
    own = hub_id.split("/")[-1]
    pinned = f" --revision {revision}" if revision else ""
    return (
        f"where there is a network, run 'hf download {hub_id}{pinned}{without} --local-dir {own}', "
        f"bring the folder here, and give it as the model"
    )
