"""A web server on this machine that gives one file in ranges, as slowly and as badly as it is asked to."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

HANG, RESET = "hang", "reset"
"""Faults beside HTTP status codes: an answer that never comes, and a connection that breaks."""
Fault = Callable[[int, int], int | str | None]
"""First byte and last byte that are asked for → what goes wrong, if anything."""


class RangeServer:
    """Serves `path` as `url` while it is a context."""

    def __init__(self, path: Path | str, delay: float = 0.0, fault: Fault = lambda first, last: None) -> None:
        self.delay, self.fault = delay, fault
        self.ranges: list[tuple[int, int]] = []
        """First and last byte of each range that was asked for."""
        self.most_at_once = 0
        """The most ranges that were waited for at the same time."""
        self._path, self._lock, self._now, self._over = Path(path), Lock(), 0, Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/{self._path.name}"

    @property
    def bytes(self) -> int:
        """Bytes that were asked for, all in all."""
        return sum(last - first + 1 for first, last in self.ranges)

    def __enter__(self) -> RangeServer:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, first: int, last: int) -> int | str | None:
        """Waits as a far server would, and says what goes wrong."""
        with self._lock:
            self.ranges.append((first, last))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            time.sleep(self.delay)
            fault = self.fault(first, last)
            if fault == HANG:
                self._over.wait()
            return fault
        finally:
            with self._lock:
                self._now -= 1

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._respond(b"", server._path.stat().st_size)

            def do_GET(self) -> None:
                if self.path != f"/{server._path.name}":
                    return self._fail(404)
                size = server._path.stat().st_size
                asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                first = int(asked[1]) if asked else 0
                last = min(int(asked[2]) if asked and asked[2] else size - 1, size - 1)
                fault = server._answer(first, last)
                if isinstance(fault, int):
                    return self._fail(fault)
                if fault:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return None
                with server._path.open("rb") as file:
                    file.seek(first)
                    data = file.read(last - first + 1)
                return self._respond(data, len(data), f"bytes {first}-{last}/{size}" if asked else "")

            def _respond(self, data: bytes, length: int, content_range: str = "") -> None:
                self.send_response(206 if content_range else 200)
                self.send_header("Content-Length", str(length))
                self.send_header("Accept-Ranges", "bytes")
                if content_range:
                    self.send_header("Content-Range", content_range)
                self.end_headers()
                self.wfile.write(data)

            def _fail(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
