"""Chat completions as OpenAI defined them, of which every server understands a little less or more.

    model, image, text ──▶ request body ──EndpointClient──▶ reply ──▶ Generation

Fields that not every server takes are sent until one refuses them, and from then on left out.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, cast

from rsmoe_core.backends.base import Usage
from rsmoe_core.backends.endpoint.client import EndpointClient
from rsmoe_core.backends.endpoint.errors import RequestFailed, error_words, plain
from rsmoe_core.types import Generation

log = logging.getLogger(__name__)

_INVALID = frozenset((400, 422))
"""Statuses with which servers refuse a field that they need not name."""
_OPTIONAL = {
    "response_format": ("response_format", "json_schema", "schema", "guided", "structured", "grammar"),
    "logprobs": ("logprob",),
    "seed": ("seed",),
    "temperature": ("temperature",),
    "max_tokens": ("max_completion_tokens",),
}
"""Fields that a server may refuse, and words of which its refusal has one. `max_tokens` gets its newer name then."""
ALL_REASONING = "the model spent all of its tokens on reasoning"
"""The error of a reply that has thoughts only."""
_LONGEST = 10_000
"""Characters of a text that are kept, should a server not keep to the limit of tokens."""
_SCHEMA_TOKENS = 32
"""Tokens for the braces, quotes and names of a reply in JSON."""


class ChatApi:
    """The chat completions of one endpoint."""

    def __init__(
        self, client: EndpointClient, usage: Usage, extra: Mapping[str, Any] | None = None, attempts: int | None = None
    ) -> None:
        """`extra` are further fields of each request, such as `chat_template_kwargs`; `attempts` as in `post`."""
        self.client, self.usage, self.extra, self._attempts = client, usage, dict(extra or {}), attempts
        self.refused: frozenset[str] = frozenset()
        """The fields that the server has refused so far."""

    async def complete(
        self, model: str, image_url: str, text: str, max_tokens: int, schema: Mapping[str, Any] | None = None
    ) -> Generation:
        """What a model replies to an image and a text; in JSON by `schema`, where the server offers that.

        Raises:
            RequestFailed: the server gives no reply.
        """
        body = _body(model, image_url, text, max_tokens, schema) | self.extra
        left_out = self.refused
        while True:
            try:
                reply = await self.client.post("/chat/completions", _without(body, left_out), _checked, self._attempts)
            except RequestFailed as failure:
                suspects = _suspects(body, left_out, failure)
                if not suspects:
                    raise
                left_out |= suspects
            else:
                break
        if new := left_out - self.refused:
            self.refused |= new
            log.info("%s refuses %s; going on without", self.client.address.url, ", ".join(sorted(new)))
        return self._generation(reply)

    def _generation(self, reply: Mapping[str, Any]) -> Generation:
        tokens = _count(reply, "completion_tokens")
        self.usage.add(calls=1, prompt_tokens=_count(reply, "prompt_tokens"), generated_tokens=tokens)
        choice = reply["choices"][0]
        text = _text(choice["message"].get("content"))
        if error := _problem(choice, text, tokens):
            return Generation("", tokens=tokens, error=error)
        return Generation(text.strip(), _confidence(choice.get("logprobs")), tokens)


def _checked(reply: Any) -> Mapping[str, Any]:
    """A reply that has a message.

    Raises:
        RequestFailed: it has none, as when a gateway finds no server that is free.
    """
    choices = reply.get("choices") if isinstance(reply, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict) and isinstance(choice.get("message"), dict):
        return cast(Mapping[str, Any], reply)
    words = error_words(reply) if isinstance(reply, dict) and "error" in reply else ""
    raise RequestFailed(f"its reply has no message in it{words and f': {words}'}", transient=True)


def _body(model: str, image_url: str, text: str, max_tokens: int, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The image comes first, so that a server computes it once for all texts about it where it caches prefixes."""
    content = [{"type": "image_url", "image_url": {"url": image_url}}, {"type": "text", "text": text}]
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "seed": 0,
        "logprobs": True,
    }
    if schema is not None:
        named = {"name": "reply", "strict": True, "schema": _object(schema)}
        body |= {
            "max_tokens": max_tokens + _SCHEMA_TOKENS,
            "response_format": {"type": "json_schema", "json_schema": named},
        }
    return body


def _object(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of an object, as servers want it: one with a single entry where it is not one itself."""
    if schema.get("type") == "object":
        return schema
    return {
        "type": "object",
        "properties": {"answer": schema},
        "required": ["answer"],
        "additionalProperties": False,
    }


def _without(body: Mapping[str, Any], left_out: frozenset[str]) -> dict[str, Any]:
    kept = {name: value for name, value in body.items() if name not in left_out}
    if "max_tokens" in left_out:
        kept["max_completion_tokens"] = body["max_tokens"]
    return kept


def _suspects(body: Mapping[str, Any], left_out: frozenset[str], failure: RequestFailed) -> frozenset[str]:
    """The fields that a refusal names, or else one that the server may not know; none if it is about something else."""
    candidates = [name for name in _OPTIONAL if name in body and name not in left_out]
    words = failure.words.lower()
    if named := frozenset(name for name in candidates if any(word in words for word in _OPTIONAL[name])):
        return named
    return frozenset(name for name in candidates[:1] if failure.status in _INVALID and name != "max_tokens")


def _count(reply: Mapping[str, Any], name: str) -> int:
    """A number of tokens; 0 where the server does not say."""
    usage = reply.get("usage")
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) else 0


def _text(content: Any) -> str:
    """A message's content, which may be in parts."""
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return plain("".join(texts)[:_LONGEST])


def _problem(choice: Mapping[str, Any], text: str, tokens: int) -> str | None:
    """Why a reply cannot be used; None where its text can be looked at."""
    message, end = choice["message"], choice.get("finish_reason")
    if refusal := message.get("refusal"):
        return f"the model declined: {' '.join(plain(str(refusal)).split())[:100]}"
    if end == "content_filter":
        return "the server's content filter kept the reply back"
    if end == "length" and text.lstrip().startswith("{"):
        return f"the reply was cut off after {tokens} tokens"
    thoughts = message.get("reasoning_content") or message.get("reasoning") or "<think>" in text
    answer = text.rpartition("</think>")[2] if "</think>" in text else text.partition("<think>")[0]
    if answer.strip():
        return None
    return ALL_REASONING if thoughts else "the model wrote nothing"


def _confidence(logprobs: Any) -> float | None:
    """Geometric mean of the probabilities of the tokens that the server lists; None where it lists none."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    values = [token.get("logprob") for token in content or [] if isinstance(token, dict)]
    known = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if not known or len(known) < len(values):
        return None
    mean = sum(known) / len(known)
    return min(1.0, math.exp(mean)) if math.isfinite(mean) else None
