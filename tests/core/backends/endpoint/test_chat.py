from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from rsmoe_core.backends.base import Usage
from rsmoe_core.backends.endpoint.address import parse_address
from rsmoe_core.backends.endpoint.chat import ALL_REASONING, ChatApi
from rsmoe_core.backends.endpoint.client import EndpointClient, Patience
from rsmoe_core.backends.endpoint.errors import RequestFailed
from rsmoe_core.types import Generation
from rsmoe_core.words.replies import ITEMS
from tests import chat_server
from tests.chat_server import ChatServer, completion, refuse, status
from tests.core.backends.endpoint.test_client import FakeClock


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture
def chat(server: ChatServer) -> Iterator[ChatApi]:
    client = EndpointClient(parse_address(server.url), None, 8, Patience(), FakeClock().clock)
    yield ChatApi(client, Usage())
    client.close()


def complete(chat: ChatApi, schema: Any = None) -> Generation:
    return chat.client.run(chat.complete("my-vlm", "data:image/jpeg;base64,AAAA", "Name the objects.", 20, schema))


def test_what_is_sent(server: ChatServer, chat: ChatApi) -> None:
    assert complete(chat) == Generation("a port", None, 5)
    [received] = server.chats
    assert received.path == "/v1/chat/completions"
    assert received.body == {
        "model": "my-vlm",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}},
                    {"type": "text", "text": "Name the objects."},
                ],
            }
        ],
        "max_tokens": 20,
        "temperature": 0,
        "seed": 0,
        "logprobs": True,
    }
    assert chat.usage == Usage(0, 1, 100, 5)


def test_a_schema_is_that_of_an_object(server: ChatServer, chat: ChatApi) -> None:
    complete(chat, ITEMS.schema)
    sent = server.chats[0].body["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"]["properties"] == {"answer": ITEMS.schema}
    assert server.chats[0].body["max_tokens"] > 20
    assert ITEMS.check('{"answer": ["a quay", "two ships"]}').text == "a quay, two ships"


@pytest.mark.parametrize("field", ["response_format", "logprobs", "seed", "temperature"])
@pytest.mark.parametrize("words", [None, "Bad request"])
@pytest.mark.parametrize("code", [400, 422])
def test_a_field_that_is_refused_is_tried_once(
    server: ChatServer, chat: ChatApi, field: str, words: str | None, code: int
) -> None:
    server.script += [refuse(field, code, words)] * 5
    assert complete(chat, ITEMS.schema).text == "a port"
    assert field in chat.refused
    tries = len(server.chats)
    assert tries == 2 if words is None else tries <= 5
    server.script.clear()
    server.script += [refuse(field, code, words)]
    assert complete(chat, ITEMS.schema).text == "a port"
    assert len(server.chats) == tries + 1
    assert {"response_format", "logprobs", "seed", "temperature"} - set(server.chats[-1].body) == chat.refused


def test_a_field_that_is_not_allowed(server: ChatServer, chat: ChatApi) -> None:
    server.script.append(refuse("logprobs", 403, "You are not allowed to request logprobs from this model"))
    assert complete(chat).text == "a port"
    assert chat.refused == {"logprobs"}


def test_the_newer_name_of_the_limit_of_tokens(server: ChatServer, chat: ChatApi) -> None:
    server.script.append(refuse("max_tokens", 400, "'max_tokens' is not supported. Use 'max_completion_tokens'."))
    complete(chat)
    complete(chat)
    assert [one.body.get("max_completion_tokens") for one in server.chats] == [None, 20, 20]
    assert "max_tokens" not in server.chats[-1].body


def test_fields_are_kept_if_the_request_fails_without_them_too(server: ChatServer, chat: ChatApi) -> None:
    server.script += [status(400, "the image is too large")] * 9
    with pytest.raises(RequestFailed, match="the image is too large"):
        complete(chat, ITEMS.schema)
    assert chat.refused == frozenset()
    assert len(server.chats) == 5


def test_a_model_that_is_missing_is_not_asked_without_fields(server: ChatServer, chat: ChatApi) -> None:
    server.script += [status(404, "model not found")] * 2
    with pytest.raises(RequestFailed):
        complete(chat)
    assert len(server.chats) == 1


@pytest.mark.parametrize(
    ("logprobs", "confidence"),
    [
        ({"content": [{"token": "a", "logprob": math.log(0.9)}, {"token": "b", "logprob": math.log(0.4)}]}, 0.6),
        ({"content": [{"token": "a", "logprob": 0}]}, 1.0),
        ({"content": []}, None),
        ({"content": None}, None),
        ({"content": [{"token": "a"}]}, None),
        ({"content": [{"token": "a", "logprob": None}]}, None),
        ({"content": [{"token": "a", "logprob": float("-inf")}]}, None),
        (None, None),
        ([], None),
    ],
)
def test_confidence_is_that_of_the_tokens_or_none(
    server: ChatServer, chat: ChatApi, logprobs: object, confidence: float | None
) -> None:
    answer = completion("a port")
    answer["choices"][0]["logprobs"] = logprobs
    server.script.append(chat_server.reply(answer))
    assert complete(chat).confidence == (None if confidence is None else pytest.approx(confidence))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (completion([{"type": "text", "text": "a "}, {"type": "text", "text": "port"}]), "a port"),
        (completion("a port") | {"usage": None}, "a port"),
        (completion("a\x00 \x1b[31mport\ud800\u200c\U0001f6a2"), "a [31mport\u200c\U0001f6a2"),
        (completion("a port " * 10_000), ("a port " * 10_000)[:10_000].strip()),
        (completion("<think>water ...</think>\na port"), "<think>water ...</think>\na port"),
        (completion("a port", reasoning_content="There is water."), "a port"),
    ],
)
def test_texts(server: ChatServer, chat: ChatApi, answer: Any, text: str) -> None:
    server.script.append(chat_server.reply(answer))
    generation = complete(chat)
    assert (generation.text, generation.error) == (text, None)


def ended(answer: Any, reason: str) -> Any:
    answer["choices"][0]["finish_reason"] = reason
    return answer


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (completion(None), "the model wrote nothing"),
        (completion(" \n"), "the model wrote nothing"),
        (completion(7), "the model wrote nothing"),
        (completion(None, refusal="I can't\nhelp"), "the model declined: I can't help"),
        (ended(completion("a po"), "content_filter"), "the server's content filter kept the reply back"),
        (ended(completion('{"answer": ["a qu'), "length"), "the reply was cut off after 5 tokens"),
        (completion(None, reasoning_content="There is"), ALL_REASONING),
        (ended(completion("<think>There is"), "length"), ALL_REASONING),
    ],
)
def test_replies_without_a_text_say_why(server: ChatServer, chat: ChatApi, answer: Any, error: str) -> None:
    server.script.append(chat_server.reply(answer))
    generation = complete(chat)
    assert (generation.text, generation.error, generation.failed) == ("", error, False)
    assert len(server.chats) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"choices": []}, ""),
        ({"choices": [{"text": "a port"}]}, ""),
        ({"choices": [None]}, ""),
        ([], ""),
        ({"error": {"message": "no server is free", "code": 502}}, ": no server is free"),
    ],
)
def test_replies_without_a_message_are_asked_for_again(
    server: ChatServer, chat: ChatApi, value: object, words: str
) -> None:
    server.script += [chat_server.reply(value)] * 5
    assert complete(chat).text == "a port"
    server.script += [chat_server.reply(value)] * 6
    with pytest.raises(RequestFailed, match=f"^its reply has no message in it{words}$"):
        complete(chat)
    assert len(server.chats) == 12
