"""A client of one HTTP server that may be busy, slow or gone: JSON in, JSON out, a few requests at a time.

    body ──slot──▶ attempt ──▶ reply
             ▲        │
             ╰─ wait ─╯ 429, 5xx, no answer or half of one: longer each time, or as long as the server says

The key goes nowhere but to that server: not into messages, and not along a redirect.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from rsmoe_core.backends.endpoint.address import KEY_VARIABLES, Address, ApiKey, parse_address
from rsmoe_core.backends.endpoint.errors import RequestFailed, kind, one_line, seconds_to_wait, words_of
from rsmoe_core.errors import UsageError

log = logging.getLogger(__name__)

_TRANSIENT = frozenset((408, 429, 500, 502, 503, 504, 529))
"""Statuses after which the same request may succeed a little later."""
_MAX_REPLY = 8 << 20
"""Bytes of a reply that are read; texts of a few hundred tokens have a few thousand."""
_SECRET_FROM = 8
"""Characters of a key that is one; shorter ones (`EMPTY`) are there for programs that insist on a key."""
_NOTED_FROM = 3
"""Failed attempts of a request from which the user is told of it."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for, in seconds."""

    connect: float = 10.0
    """For a connection."""
    read: float = 300.0
    """For the next bytes: nothing comes until a text is complete, and a busy server lets requests wait in line."""
    total: float = 600.0
    """For one request, with all its retries and the waits between them."""
    attempts: int = 6
    """How often a request is sent."""
    first_wait: float = 1.0
    """Before the second attempt; each further wait is twice as long."""
    longest_wait: float = 30.0


@dataclass(frozen=True)
class Clock:
    """Time and chance, which tests replace."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


class EndpointClient:
    """Sends requests to one server, at most `concurrency` of them at a time. Any threads may use it side by side."""

    def __init__(
        self,
        address: Address,
        key: ApiKey | None = None,
        concurrency: int = 8,
        patience: Patience | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Nothing is sent yet.

        Raises:
            UsageError: the environment names a proxy that cannot be used.
        """
        self.address, self.key, self.concurrency = address, key, concurrency
        self.patience, self._clock = patience or Patience(), clock or Clock()
        self._slots = asyncio.Semaphore(concurrency)
        self._resume = 0.0
        """Time until which the server asked not to be sent anything."""
        self._is_waiting = False
        """Whether the user knows that the server does not work at present."""
        self._http = self._open()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="rsmoe-endpoint", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """The result of a coroutine that uses this client; it is cancelled where the caller is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """Close all connections; the client cannot be used any more."""
        self.run(self._http.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def get(self, path: str) -> Any:
        """The JSON at a path below the address, without any retry.

        Raises:
            RequestFailed: there is none.
        """
        return await self._attempt("GET", path, None)

    async def post(
        self, path: str, body: dict[str, Any], parse: Callable[[Any], Value], attempts: int | None = None
    ) -> Value:
        """What the server replies to a body, after so many attempts at most, or as many as patience has.

        `parse` reads the reply's JSON, and may raise `RequestFailed` as well.

        Raises:
            RequestFailed: it was given up, or the server will not have it.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(self.patience.total):
                    content = json.dumps(body).encode()
                    return await self._with_retries(path, content, parse, attempts or self.patience.attempts)
            except TimeoutError:
                raise RequestFailed(f"no reply within {self.patience.total:g} s") from None

    async def _with_retries(self, path: str, content: bytes, parse: Callable[[Any], Value], attempts: int) -> Value:
        attempt = 1
        while True:
            while (left := self._resume - self._clock.now()) > 0:
                await self._clock.sleep(left * (1 + self._clock.random() / 4))
            try:
                value = parse(await self._attempt("POST", path, content))
            except RequestFailed as failure:
                if not failure.transient or attempt == attempts:
                    raise
                await self._back_off(attempt, failure)
            else:
                self._is_waiting = False
                return value
            attempt += 1

    async def _back_off(self, attempt: int, failure: RequestFailed) -> None:
        """Wait before the next attempt; a server that says how long is left alone by all other requests, too.

        Raises:
            RequestFailed: the server asks for more patience than there is.
        """
        if attempt >= _NOTED_FROM and not self._is_waiting:
            self._is_waiting = True
            log.warning("%s: %s; trying again", self.address.url, failure)
        asked = failure.retry_after or 0.0
        if asked > self.patience.total:
            raise RequestFailed(f"{failure}; it asks to wait for {asked / 60:.0f} minutes", failure.status, gone=True)
        if asked:
            self._resume = max(self._resume, self._clock.now() + asked)
        longest = min(self.patience.longest_wait, self.patience.first_wait * 2 ** (attempt - 1))
        await self._clock.sleep(max(asked, longest * (1 + self._clock.random()) / 2))

    async def _attempt(self, method: str, path: str, content: bytes | None) -> Any:
        try:
            async with self._http.stream(method, self.address.url + path, content=content) as response:
                return self._value(response, self._redacted(await _read(response)))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            raise RequestFailed(self._why_unreachable(error), transient=True, gone=True) from None
        except httpx2.TimeoutException:
            raise RequestFailed(f"no reply within {self.patience.read:g} s", transient=True) from None
        except httpx2.HTTPError:
            raise RequestFailed("the connection broke off", transient=True) from None

    def _value(self, response: httpx2.Response, content: bytes) -> Any:
        """What a whole reply says.

        Raises:
            RequestFailed: it is an error, or no JSON.
        """
        status = response.status_code
        if response.is_success:
            try:
                return json.loads(content)
            except (ValueError, RecursionError):
                reason = f"it replied with {kind(content)} instead of JSON"
                raise RequestFailed(reason, status, transient=True) from None
        if 300 <= status < 400:
            raise RequestFailed(f"it redirects to {self._target(response)}; give that address", status, gone=True)
        words = words_of(content)
        if status in (401, 403):
            raise RequestFailed(self._why_unauthorised(status), status, words, gone=True)
        reason = ": ".join(filter(None, (f"{status} {response.reason_phrase}".strip(), words)))
        wait = seconds_to_wait(response.headers.get("retry-after"))
        raise RequestFailed(reason, status, words, transient=status in _TRANSIENT, retry_after=wait)

    def _why_unauthorised(self, status: int) -> str:
        if self.address.auth is not None:
            return f"it refuses the user name and password of the URL ({status}); give others"
        if self.key is not None:
            return f"it refuses the key in {self.key.source} ({status}); set another one"
        return f"it needs a key ({status}); set the environment variable {KEY_VARIABLES[0]}"

    def _why_unreachable(self, error: BaseException) -> str:
        root: BaseException | None = error
        while root is not None:
            if isinstance(root, ConnectionRefusedError):
                return "connection refused"
            if isinstance(root, socket.gaierror):
                return "there is no such host"
            if isinstance(root, ssl.SSLError):
                return f"no secure connection: {root.reason or root}"
            root = root.__cause__ or root.__context__
        if isinstance(error, httpx2.ConnectTimeout):
            return f"no connection within {self.patience.connect:g} s"
        return one_line(str(error)) or "no connection"

    def _target(self, response: httpx2.Response) -> str:
        """Where a redirect leads, without anything that may be secret."""
        try:
            return parse_address(str(response.url.join(response.headers.get("location", "")).copy_with(query=None))).url
        except (UsageError, httpx2.InvalidURL):
            return "another address"

    def _redacted(self, content: bytes) -> bytes:
        """A reply without the key or the password, should the server have repeated it."""
        secrets = (self.key.value if self.key is not None else "", self.address.auth[1] if self.address.auth else "")
        for secret in secrets:
            if len(secret) >= _SECRET_FROM:
                content = content.replace(secret.encode(), b"***")
        return content

    def _open(self) -> httpx2.AsyncClient:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "rsmoe"}
        if self.key is not None and self.address.auth is None:
            headers["Authorization"] = f"Bearer {self.key.value}"
        patience = self.patience
        try:
            return httpx2.AsyncClient(
                headers=headers,
                auth=self.address.auth,
                timeout=httpx2.Timeout(patience.read, connect=patience.connect),
                limits=httpx2.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency),
                follow_redirects=False,
                trust_env=not self.address.is_local,  # a proxy does not know what is on this machine
            )
        except (ImportError, ValueError, httpx2.InvalidURL) as error:
            raise UsageError(f"cannot use the proxy that the environment names: {one_line(str(error))}") from None


async def _read(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > _MAX_REPLY:
            raise RequestFailed("its reply has no end", response.status_code)
    return bytes(content)
