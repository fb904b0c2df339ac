"""A server that speaks OpenAI's chat completions on this machine, and fails in whatever way a test asks for.

with ChatServer() as server:
    server.script += [status(500), disconnect]     # what the next requests get; later ones get an answer
    ...
    assert len(server.chats) == 3
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Received:
    """A request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: Body

    @property
    def text(self) -> str:
        """What the model is told."""
        return str(self.body["messages"][0]["content"][1]["text"])


def completion(content: object, **message: object) -> Body:
    """The reply to a chat whose message has some content."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 5}}


class ChatServer(ThreadingHTTPServer):
    """Answers chats with `answer`, once what is in `script` is used up."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Callable[[Received], object] = lambda received: "a port") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.script: deque[Behaviour] = deque()
        self.models: Behaviour | list[Body] = [{"id": "my-vlm", "object": "model"}]
        self.received: list[Received] = []
        self.at_once = self.most_at_once = 0
        self.lock, self.over = threading.Lock(), threading.Event()
        self.sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def chats(self) -> list[Received]:
        """The chats so far, without those that are about the grey image of the check."""
        return [one for one in self.received if one.body and one.text != "What is in this image?"]

    def __enter__(self) -> ChatServer:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port and all connections, as a process does that ends."""
        self.over.set()
        self.shutdown()
        self.server_close()
        for connection in self.sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.sockets.append(request)
        super().process_request(request, client_address)

    def handle_error(self, *_: object) -> None:
        """A client that went away is none."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ChatServer

    def do_GET(self) -> None:
        self.server.received.append(Received(self.path, dict(self.headers), {}))
        models = self.server.models
        if callable(models):
            models(self, {})
        else:
            self.send({"object": "list", "data": models})

    def do_POST(self) -> None:
        server = self.server
        with server.lock:
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received = Received(self.path, dict(self.headers), body)
            with server.lock:
                server.received.append(received)
                behave = server.script.popleft() if server.script else answer
            with suppress(BrokenPipeError, ConnectionResetError):
                behave(self, body)
        finally:
            with server.lock:
                server.at_once -= 1

    def send(self, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Reply with JSON, or with bytes as they are."""
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


Behaviour = Callable[[Handler, Body], None]
"""What happens to one request."""


def answer(handler: Handler, body: Body) -> None:
    received = Received(handler.path, dict(handler.headers), body)
    content = handler.server.answer(received)
    handler.send(content if isinstance(content, dict) else completion(content))


def reply(value: object) -> Behaviour:
    return lambda handler, body: handler.send(value)


def status(code: int, words: str = "no", **headers: str) -> Behaviour:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, body: handler.send({"error": {"message": words}}, code, named)


def refuse(field: str, code: int = 400, words: str | None = None) -> Behaviour:
    """Refuse requests with a field, by a message that names it unless other words are given."""

    def behave(handler: Handler, body: Body) -> None:
        if field in body:
            status(code, f"unsupported parameter: '{field}'" if words is None else words)(handler, body)
        else:
            answer(handler, body)

    return behave


def hang(handler: Handler, body: Body) -> None:
    handler.server.over.wait(30)
    handler.close_connection = True


def half_a_body(handler: Handler, body: Body) -> None:
    handler.send(b'{"choices": [', headers={"Content-Length": "1000"})
    handler.close_connection = True


def slow_body(handler: Handler, body: Body) -> None:
    """A byte now and then, for ever."""
    handler.send(b"", headers={"Content-Length": "100000"})
    while not handler.server.over.wait(0.02):
        handler.wfile.write(b" ")


def disconnect(handler: Handler, body: Body) -> None:
    handler.close_connection = True


def redirect(to: str) -> Behaviour:
    return lambda handler, body: handler.send(b"", 307, {"Location": to})
