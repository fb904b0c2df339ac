"""The endpoint backend: a vision-language model behind any server that speaks OpenAI's chat completions.

    images ──data_url──▶ data URLs ──a request for each turn, some side by side──▶ server ──▶ text

The server batches, so that what counts here is that it always has requests to choose from. A role whose adapter is
served under a name of its own (vLLM: `--lora-modules theme=PATH`) is asked by that name, as it was trained; the others
are instructions to the model.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from rsmoe_core.backends.base import Turn, Usage
from rsmoe_core.backends.endpoint.address import find_key, parse_address
from rsmoe_core.backends.endpoint.chat import ALL_REASONING, ChatApi
from rsmoe_core.backends.endpoint.client import Clock, EndpointClient, Patience
from rsmoe_core.backends.endpoint.errors import RequestFailed
from rsmoe_core.backends.instructions import Instructions
from rsmoe_core.errors import BackendError, ModelError, UsageError
from rsmoe_core.preprocess import filled_image, resize
from rsmoe_core.roles import all_roles
from rsmoe_core.types import Generation, Request

log = logging.getLogger(__name__)

IMAGE_SIZE = 448
"""Side of the images that are sent, in pixels: about 200 to 300 tokens for most models."""
_JPEG_QUALITY = 95
"""At this quality, and with colours at full resolution, pixels change by less than the noise of most sensors (2 of 255
on average), while a PNG is three times as large and takes ten times as long to write."""
_DEAD_AFTER = 3
"""Images in a row, none of whose requests came through, after which the server is given up."""
_CHECK_ATTEMPTS = 3
"""How often the first request is sent: somebody is waiting for it."""
_NAMES = 8
"""Models that a message lists."""
_WITHOUT_REASONING: tuple[Mapping[str, Any], ...] = (
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"reasoning_effort": "none"},
)
"""Fields by which servers keep a model from reasoning."""


def connect(
    endpoint: str,
    model: str,
    instructions: Instructions,
    *,
    served_roles: Mapping[str, str] | None = None,
    concurrency: int = 8,
    image_size: int = IMAGE_SIZE,
    patience: Patience | None = None,
    clock: Clock | None = None,
) -> EndpointBackend:
    """A model behind a server, after one small request that shows whether it works.

    `served_roles` gives the name by which the adapter of a role is served; `concurrency` is the largest number of
    requests that are under way at any time. A key comes from the environment variable RSMOE_API_KEY, or OPENAI_API_KEY.

    Raises:
        UsageError: there is no such endpoint or model, or the key is missing or refused.
        ModelError: the server cannot be reached or does not work, or the model takes no images.
    """
    if concurrency < 1:
        raise UsageError(f"--concurrency {concurrency}: give at least 1")
    roles = all_roles(instructions.experts)
    if unknown := set(served_roles or {}) - set(roles):
        raise UsageError(f"no role '{min(unknown)}'; the roles are: {', '.join(roles)}")
    address = parse_address(endpoint)
    client = EndpointClient(address, find_key(address), concurrency, patience, clock)
    backend = EndpointBackend(client, model, instructions, served_roles or {}, image_size)
    try:
        backend.check()
    except BaseException:
        client.close()
        raise
    return backend


class EndpointBackend:
    """See `base.Backend`."""

    follows_instructions = True
    dtype = "served"
    threads = 2
    """While one waits for the last replies of a step, the other one has requests left."""

    def __init__(
        self,
        client: EndpointClient,
        model: str,
        instructions: Instructions,
        served_roles: Mapping[str, str],
        image_size: int = IMAGE_SIZE,
    ) -> None:
        """Nothing is sent yet."""
        self.name, self.image_size, self.usage = model, image_size, Usage()
        self.device = f"endpoint {client.address.host}"
        self._client, self._instructions, self._served = client, instructions, dict(served_roles)
        self._chat = ChatApi(client, self.usage)
        self._url = client.address.url
        self._roots: dict[str, str] = {}
        """What the server says of where the weights are from, by the names of models."""
        self._failing: set[str] = set()
        """The last images in a row none of whose requests came through."""

    @property
    def trained_roles(self) -> frozenset[str]:
        """See `base.Backend`."""
        return frozenset(self._served)

    @property
    def revision(self) -> str:
        """`served-` and eight digits of what is known: the served names, where their weights are from, how images are
        sent. A server does not tell whether its weights have changed."""
        known = [self._served, self._roots, self.image_size, _JPEG_QUALITY]
        return f"served-{hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:8]}"

    @property
    def batch_sizes(self) -> tuple[int, int]:
        """See `base.Backend`. An image has several requests, so that few images fill the server."""
        return max(1, self._client.concurrency // self.threads), 4 * self._client.concurrency

    def encode(self, requests: Sequence[Request]) -> list[str]:
        """The data URL of each image."""
        urls = [data_url(request, self.image_size) for request in requests]
        self.usage.add(images=len(requests))
        return urls

    def generate(self, encoded: Sequence[str], turns: Sequence[Turn], max_tokens: int) -> list[Generation]:
        """See `base.Backend`. `max_tokens` is for roles with an adapter; a reply's form says how long others may be."""
        return self._client.run(self._generate(encoded, turns, max_tokens))

    def check(self) -> None:
        """See `connect`."""
        self._client.run(self._check())

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    async def _generate(self, encoded: Sequence[str], turns: Sequence[Turn], max_tokens: int) -> list[Generation]:
        try:
            async with asyncio.TaskGroup() as group:  # the first error of one cancels the others
                tasks = [group.create_task(self._turn(encoded[turn.image], turn, max_tokens)) for turn in turns]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _turn(self, image: str, turn: Turn, max_tokens: int) -> Generation:
        try:
            if turn.role in self._served:
                text = self._instructions.trained_text(turn)
                raw = await self._chat.complete(self._served[turn.role], image, text, max_tokens)
            else:
                form = self._instructions.form(turn)
                schema = None if form.schema.get("type") == "string" else form.schema
                text = self._instructions.chat_text(turn)
                raw = await self._chat.complete(self.name, image, text, form.max_tokens, schema)
        except RequestFailed as failure:
            self._record_failure(image, failure)
            return Generation("", error=f"the server failed: {failure}", failed=True)
        self._failing.clear()
        return raw if turn.role in self._served else self._instructions.generation(turn, raw)

    def _record_failure(self, image: str, failure: RequestFailed) -> None:
        """Count failures, so that a server that is gone stops the run, but an image that it cannot take does not.

        Raises:
            BackendError: the server is given up.
        """
        self._failing.add(image)
        if failure.gone or len(self._failing) >= _DEAD_AFTER:
            raise BackendError(f"the server at {self._url} stopped working: {failure}")

    async def _check(self) -> None:
        listed = await self._list_models()
        for model in dict.fromkeys((self.name, *self._served.values())):
            await self._try(model, listed)
        self._roots = {name: listed[name] for name in (self.name, *self._served.values()) if listed and name in listed}

    async def _list_models(self) -> dict[str, str] | None:
        """The models that the server lists, and where they are from; None where it has no list."""
        try:
            reply = await self._client.get("/models")
        except RequestFailed as failure:
            if failure.gone or failure.status == 200:
                self._refuse(failure)
            return None
        models = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(models, list):
            self._refuse(RequestFailed("it does not list its models", 200))
        named = [model for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)]
        return {model["id"]: str(model.get("root") or "") for model in named}

    async def _try(self, model: str, listed: Mapping[str, str] | None) -> None:
        """Ask for a few words about a grey image; switches off reasoning where that takes all of them."""
        grey = np.full((self.image_size, self.image_size, 3), 128, np.uint8)
        image, prompt = data_url(Request(grey), self.image_size), "What is in this image?"
        form = {"type": "array", "items": {"type": "string"}, "maxItems": 1}
        try:
            for fields in ({}, *_WITHOUT_REASONING):
                chat = ChatApi(self._client, Usage(), fields, _CHECK_ATTEMPTS)
                reply = await chat.complete(model, image, prompt, 16, form)
                if reply.error != ALL_REASONING:
                    break
            else:
                raise RequestFailed("it reasons before it replies; serve it without reasoning, or an instruct model")
        except RequestFailed as failure:
            self._refuse_model(model, listed, failure)
        self._chat.extra, self._chat.refused = chat.extra, chat.refused
        if listed and model not in listed and f"{model}:latest" not in listed:
            log.warning("%s does not list '%s' (it lists %s), but replies", self._url, model, _some(listed))

    def _refuse_model(self, model: str, listed: Mapping[str, str] | None, failure: RequestFailed) -> NoReturn:
        if failure.gone or (listed is None and failure.status == 404):
            self._refuse(failure)
        if listed and model not in listed:
            role = next((f" for the role {role}" for role, name in self._served.items() if name == model), "")
            raise UsageError(f"{self._url} has no model '{model}'{role}; it has {_some(listed)} ({failure})")
        if failure.status is None or failure.status >= 500 or failure.transient:
            raise ModelError(f"'{model}' at {self._url} fails at a first small request: {failure}")
        raise ModelError(f"'{model}' at {self._url} does not reply to an image and a text: {failure}")

    def _refuse(self, failure: RequestFailed) -> NoReturn:
        """The server is none that can be used."""
        if failure.status in (200, 404):
            hint = "give the URL of an OpenAI-compatible server, which mostly ends in /v1"
            raise UsageError(f"{self._url} is no endpoint: {failure}; {hint}")
        if failure.status is not None:
            raise UsageError(f"cannot use {self._url}: {failure}")
        raise ModelError(f"cannot reach {self._url}: {failure}; start the server, or check --endpoint")


def data_url(request: Request, size: int) -> str:
    """The image of a request, unobserved pixels filled, as a JPEG of `size` x `size` pixels in a data URL.

    Raises:
        ImageError: the image or its mask has the wrong shape or type.
    """
    file = io.BytesIO()
    Image.fromarray(resize(filled_image(request), size)).save(file, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _some(names: Iterable[str]) -> str:
    """The first few names in a list."""
    listed = sorted(names)
    more = f" and {len(listed) - _NAMES} more" if len(listed) > _NAMES else ""
    return ", ".join(f"'{name}'" for name in listed[:_NAMES]) + more
