"""What a mixture in training generates: drafts of its experts, and captions to validate it by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rsmoe_core.backends.huggingface.backend import TransformersBackend
from rsmoe_core.backends.instructions import Instructions
from rsmoe_core.model.mixture_model import MixtureModel


def mixture_backend(model: MixtureModel) -> TransformersBackend:
    """The model as it is now; it is in evaluation mode from now on."""
    model.model.eval()
    return TransformersBackend(
        model.model,
        model.prompting,
        name=model.config.base.name,
        trained_roles=model.roles,
        instructions=Instructions(model.config.experts),
    )


def in_batches(rows: Sequence[int], backend: TransformersBackend) -> Iterator[Sequence[int]]:
    """As many images at a time as the backend is sure to have memory for."""
    size = backend.batch_sizes[0]
    for first in range(0, len(rows), size):
        yield rows[first : first + size]
