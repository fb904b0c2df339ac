from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from rsmoe_core.backends.endpoint.address import ApiKey, parse_address
from rsmoe_core.backends.endpoint.client import Clock, EndpointClient, Patience
from rsmoe_core.backends.endpoint.errors import RequestFailed
from rsmoe_core.errors import UsageError
from tests import chat_server
from tests.chat_server import ChatServer, status

KEY = "sk-very-secret-7"


class FakeClock:
    """Time that passes by waiting only, and no chance."""

    def __init__(self, chance: float = 1.0) -> None:
        self.time, self.chance, self.waits = 0.0, chance, list[float]()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.sleep, lambda: self.chance)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


def client(
    server: ChatServer, fake: FakeClock | None = None, concurrency: int = 8, key: ApiKey | None = None, **patience: Any
) -> EndpointClient:
    clock = (fake or FakeClock()).clock
    return EndpointClient(parse_address(server.url), key, concurrency, Patience(**patience), clock)


def post(client: EndpointClient, number: int = 0) -> Any:
    content = [{"type": "image_url"}, {"type": "text", "text": str(number)}]
    body = {"messages": [{"content": content}]}
    try:
        return client.run(client.post("/chat/completions", body, lambda reply: reply))
    finally:
        client.close()


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_what_may_work_later_is_sent_again_after_ever_longer_waits(server: ChatServer, code: int) -> None:
    server.script += [status(code)] * 3
    fake = FakeClock()
    assert post(client(server, fake))["choices"]
    assert len(server.chats) == 4
    assert fake.waits == [1, 2, 4]


@pytest.mark.parametrize(
    "behaviour", [chat_server.disconnect, chat_server.half_a_body, chat_server.reply(b"<!doctype html> nginx")]
)
def test_what_breaks_off_is_sent_again(server: ChatServer, behaviour: chat_server.Behaviour) -> None:
    server.script.append(behaviour)
    assert post(client(server))["choices"]
    assert len(server.chats) == 2


def test_waits_are_spread_by_chance_and_bounded(server: ChatServer) -> None:
    server.script += [status(503)] * 8
    fake = FakeClock(chance=0.0)
    with pytest.raises(RequestFailed, match=r"^503 Service Unavailable: no$"):
        post(client(server, fake, attempts=8, longest_wait=10))
    assert fake.waits == [0.5, 1, 2, 4, 5, 5, 5]
    assert len(server.chats) == 8


def test_users_are_told_once_of_a_server_that_does_not_work(
    server: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    one = client(server)
    server.script += [status(503), status(503), chat_server.answer]
    one.run(one.post("/", {"messages": [{"content": [{}, {"text": ""}]}]}, lambda reply: reply))
    assert caplog.text == ""
    server.script += [status(503)] * 5
    post(one)
    assert [record.getMessage() for record in caplog.records] == [
        f"{server.url}: 503 Service Unavailable: no; trying again"
    ]


def test_a_server_says_how_long_to_wait(server: ChatServer) -> None:
    server.script.append(status(429, Retry_After="7"))
    fake = FakeClock()
    post(client(server, fake))
    assert fake.waits == [7]


def test_a_server_says_until_when_to_wait(server: ChatServer) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    server.script.append(status(503, Retry_After=date))
    fake = FakeClock()
    post(client(server, fake))
    assert fake.waits == [pytest.approx(89, abs=3)]


@pytest.mark.parametrize("header", ["soon", "-5", "nan", ""])
def test_odd_times_to_wait_are_not_followed(server: ChatServer, header: str) -> None:
    server.script.append(status(503, Retry_After=header))
    fake = FakeClock()
    post(client(server, fake))
    assert fake.waits == [1]


def test_other_requests_wait_too_when_the_server_asks_for_it(server: ChatServer) -> None:
    server.script.append(status(429, Retry_After="20"))
    fake = FakeClock(chance=0.0)
    one = client(server, fake, concurrency=1)

    async def two() -> None:
        body = {"messages": [{"content": [{}, {"text": "a"}]}]}
        first = asyncio.create_task(one._with_retries("/chat/completions", b"{}", lambda reply: reply, 6))
        while not fake.waits:
            await asyncio.sleep(0.001)
        fake.time = 5.0
        await one.post("/chat/completions", body, lambda reply: reply)
        await first

    server.answer = lambda received: "a port"
    one.run(two())
    one.close()
    assert fake.waits == [20, 15]


def test_a_server_that_asks_for_more_patience_than_there_is_is_given_up(server: ChatServer) -> None:
    server.script.append(status(429, "quota used up", Retry_After="7200"))
    fake = FakeClock()
    with pytest.raises(RequestFailed, match="quota used up; it asks to wait for 120 minutes") as caught:
        post(client(server, fake))
    assert caught.value.gone
    assert fake.waits == []


@pytest.mark.parametrize("code", [400, 404, 413, 422, 501])
def test_what_will_not_work_later_is_not_sent_again(server: ChatServer, code: int) -> None:
    server.script.append(status(code, "too   many\npixels"))
    with pytest.raises(RequestFailed, match=rf"^{code} .*: too many pixels$") as caught:
        post(client(server))
    assert not caught.value.gone
    assert len(server.chats) == 1


def test_a_server_that_hangs_is_given_up_in_time(server: ChatServer) -> None:
    server.script += [chat_server.hang] * 2
    with pytest.raises(RequestFailed, match=r"^no reply within 0.05 s$"):
        post(client(server, read=0.05, attempts=2))
    assert len(server.chats) == 2


def test_a_reply_that_trickles_is_given_up_in_time(server: ChatServer) -> None:
    server.script.append(chat_server.slow_body)
    with pytest.raises(RequestFailed, match=r"^no reply within 0.3 s$"):
        post(client(server, total=0.3))
    assert len(server.chats) == 1


def test_a_reply_without_end_is_given_up(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsmoe_core.backends.endpoint.client._MAX_REPLY", 1000)
    server.script.append(chat_server.reply(b"[" * 2000))
    with pytest.raises(RequestFailed, match=r"^its reply has no end$"):
        post(client(server))


def test_a_server_that_is_gone_is_called_that(server: ChatServer) -> None:
    server.stop()
    fake = FakeClock()
    with pytest.raises(RequestFailed, match=r"^connection refused$") as caught:
        post(client(server, fake, attempts=3))
    assert caught.value.gone
    assert fake.waits == [1, 2]


def test_a_host_that_is_none_is_called_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(RequestFailed, match=r"^there is no such host$"):
        post(EndpointClient(parse_address("http://nowhere.test/v1"), patience=Patience(attempts=1)))


def test_a_redirect_is_not_followed(server: ChatServer) -> None:
    with ChatServer() as other:
        server.script.append(chat_server.redirect(f"{other.url}/chat/completions?token=abc"))
        with pytest.raises(RequestFailed, match=f"^it redirects to {other.url}; give that address$"):
            post(client(server, key=ApiKey(KEY, "RSMOE_API_KEY")))
        assert other.received == []


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "it needs a key (401); set the environment variable RSMOE_API_KEY"),
        (ApiKey(KEY, "OPENAI_API_KEY"), "it refuses the key in OPENAI_API_KEY (401); set another one"),
    ],
)
def test_a_missing_or_wrong_key(server: ChatServer, key: ApiKey | None, message: str) -> None:
    server.script.append(status(401, f"Incorrect API key provided: {KEY}"))
    with pytest.raises(RequestFailed) as caught:
        post(client(server, key=key))
    assert str(caught.value) == message
    assert caught.value.gone


def test_wrong_user_name_and_password(server: ChatServer) -> None:
    address = parse_address(server.url.replace("127", "me:wrong@127"))
    server.script.append(status(401))
    with pytest.raises(RequestFailed, match=r"^it refuses the user name and password of the URL \(401\); give others$"):
        post(EndpointClient(address, ApiKey(KEY, "RSMOE_API_KEY")))


def test_never_more_requests_at_a_time_than_allowed(server: ChatServer) -> None:
    barrier = asyncio.Event()

    def slow(received: chat_server.Received) -> str:
        server.over.wait(0.02)
        return "a port"

    server.answer = slow
    one = client(server, concurrency=3)
    body = {"messages": [{"content": [{}, {"text": "a"}]}]}

    async def many() -> None:
        barrier.set()
        await asyncio.gather(*(one.post("/chat/completions", body, lambda reply: reply) for _ in range(20)))

    one.run(many())
    one.close()
    assert server.most_at_once == 3
    assert len(server.chats) == 20


def test_the_key_is_sent_and_shown_nowhere(server: ChatServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = ApiKey(KEY, "RSMOE_API_KEY")
    server.script.append(status(400, f"{KEY} {'x' * 180} {KEY}"))
    one = client(server, key=key)
    with pytest.raises(RequestFailed) as caught:
        post(one)
    assert server.chats[0].headers["Authorization"] == f"Bearer {KEY}"
    assert str(caught.value).startswith("400 Bad Request: *** x")
    shown = [caplog.text, repr(key), repr(one), repr(vars(one)), repr(caught.value), repr(one._http.headers)]
    assert not any(KEY[:6] in text for text in shown)


def test_a_key_in_a_reply_is_left_out_and_a_placeholder_for_one_is_not(server: ChatServer) -> None:
    server.answer = lambda received: f"EMPTY port {KEY}"
    for key, text in ((KEY, "EMPTY port ***"), ("EMPTY", f"EMPTY port {KEY}")):
        reply = post(client(server, key=ApiKey(key, "RSMOE_API_KEY")))
        assert reply["choices"][0]["message"]["content"] == text


def test_user_name_and_password_of_the_address_are_sent_and_shown_nowhere(server: ChatServer) -> None:
    address = parse_address(server.url.replace("127", "me:pass%20word@127"))
    one = EndpointClient(address, ApiKey(KEY, "RSMOE_API_KEY"))
    post(one)
    assert server.chats[0].headers["Authorization"].startswith("Basic ")
    assert address.url == server.url
    assert "pass" not in repr(address) + repr(vars(one))


def test_a_proxy_is_not_asked_for_this_machine(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert post(client(server))["choices"]


def test_a_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy.test")
    with pytest.raises(UsageError, match=r"^cannot use the proxy that the environment names: "):
        EndpointClient(parse_address("http://server.test/v1"))
