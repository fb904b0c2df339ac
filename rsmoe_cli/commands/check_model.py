"""`rsmoe models check`: does a model work here, what can it do, and how fast is it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rsmoe_cli import console, options
from rsmoe_cli.option_groups import EngineOptions

if TYPE_CHECKING:
    from rsmoe_core.inference.smoke_test import ModelCheck


def check_model(
    model: options.ModelName,
    revision: options.Revision = None,
    endpoint: options.Endpoint = None,
    roles: options.ServedRoles = None,
    concurrency: options.Concurrency = 8,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    quantize: options.Quantize = None,
    mixture: options.MixtureName = "full",
    words: options.Words = None,
    detail: options.Detail = "brief",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Load a model, let it describe three drawn images, and print what works, memory, speed and the captions.

    The speed is kept for `rsmoe plan`. Exit code 1 if an image gets no caption.
    """
    import dataclasses
    import json as json_format

    from rsmoe_cli.planning.speeds import SpeedKey, record_speed
    from rsmoe_core.inference.smoke_test import check_engine

    engine = EngineOptions(
        model=model,
        revision=revision,
        endpoint=endpoint,
        roles=roles,
        concurrency=concurrency,
        device=device,
        precision=precision,
        quantize=quantize,
        mixture=mixture,
        words=words,
        detail=detail,
    )
    result = check_engine(engine.load)
    key = SpeedKey.of(result.revision, result.device, result.dtype, engine.caption_options())
    record_speed(key, result.images_per_second, "models check")
    if json:
        rates = {"images_per_second": result.images_per_second, "tokens_per_second": result.tokens_per_second}
        typer.echo(json_format.dumps(dataclasses.asdict(result) | rates))
    else:
        for line in _lines(result):
            console.print_result(line)
    if not result.works:
        console.print_error("an image got no caption; see what the model wrote above")
        raise typer.Exit(1)


def _lines(result: ModelCheck) -> list[str]:
    images = len(result.captions)
    size = "" if result.parameters is None else f", {result.parameters / 1e6:,.1f} M parameters"
    tokens = f"{result.generated_tokens:.0f} tokens written"
    if result.prompt_tokens:
        tokens = f"{result.prompt_tokens:.0f} tokens read and {tokens}"
    same = "the same texts" if result.same_in_batch == images else f"other texts for {images - result.same_in_batch}"
    if result.same_in_batch < images and result.dtype != "float32":
        same += f" of {images} (usual in {result.dtype})"
    own = ", ".join(result.trained_roles) or "none; all of them are instructions"
    return [
        f"model: {result.model}, revision {result.revision}",
        f"computes: on {result.device} in {result.dtype}, images of {result.image_size} pixels{size}",
        f"loaded in: {result.load_seconds:.1f} s",
        f"memory: {result.peak_bytes / 1e9:.2f} GB at most{'' if 'cuda' in result.device else ' for this process'}",
        f"speed: {result.images_per_second:.2f} images/s, {result.tokens_per_second:.1f} tokens/s",
        f"for an image: {result.calls:.0f} text{'s' if result.calls > 1 else ''}, {tokens}",
        f"roles with weights of their own: {own}",
        f"several images in a batch: {same}",
        f"several adapters in a batch: {result.adapters}",
        f"static cache: {result.static_cache}",
        *(f"problem with {error}" for error in result.errors),
        *(
            f"caption of {name}: {caption or 'none'}"
            for name, caption in zip(("a harbour", "fields", "a town"), result.captions, strict=True)
        ),
    ]
