"""A local web server that serves one file in ranges, with the latency and the faults that a test asks for.

It runs in a separate process, because GDAL sometimes holds Python's lock while it waits for a response.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

HANG, RESET = "hang", "reset"
"""Faults beside HTTP statuses: a response that never comes, and a connection that breaks."""


@dataclass(frozen=True)
class Fault:
    """A fault of requests whose range overlaps some bytes."""

    kind: int | str
    """An HTTP status, HANG or RESET."""
    first: int = 0
    """First byte."""
    last: int = 2**62
    """Last byte."""
    times: int = 2**62
    """How many such requests fail."""
    after: int = 0
    """How many such requests succeed before."""


@dataclass
class RequestLog:
    """The requests that a server received."""

    ranges: list[tuple[int, int]] = field(default_factory=list)
    """First and last byte of each requested range."""
    others: list[str] = field(default_factory=list)
    """Paths of all other requests."""
    max_concurrent: int = 0
    """The largest number of requests for ranges at the same time."""

    @property
    def bytes(self) -> int:
        """Total length of all ranges."""
        return sum(last - first + 1 for first, last in self.ranges)


class RangeServer:
    """A context in which the file `path` is served as `url`; each response takes `delay` seconds."""

    def __init__(self, path: Path | str, delay: float = 0.0, faults: tuple[Fault, ...] = ()) -> None:
        self._settings = json.dumps([str(path), delay, [asdict(fault) for fault in faults]])
        self._name = Path(path).name

    def __enter__(self) -> RangeServer:
        self._process = subprocess.Popen([sys.executable, __file__, self._settings], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._root = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.url = f"{self._root}/{self._name}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def log(self) -> RequestLog:
        """The requests so far."""
        with urllib.request.urlopen(f"{self._root}/log") as response:
            return RequestLog(**json.load(response))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    path_served: Path
    delay: float
    faults: list[Fault]
    hits: list[int]
    """For each fault, requests that overlap its bytes."""
    log = RequestLog()
    lock = Lock()
    concurrent = 0

    def do_HEAD(self) -> None:
        """Whether the file exists."""
        with self.lock:
            self.log.others.append(self.path)
        time.sleep(self.delay)
        exists = self.path == f"/{self.path_served.name}"
        self._respond(200 if exists else 404, length=self.path_served.stat().st_size if exists else 0)

    def do_GET(self) -> None:
        """A range of the file."""
        if self.path == "/log":
            return self._respond(200, json.dumps(asdict(self.log)).encode())
        if self.path != f"/{self.path_served.name}":
            return self.do_HEAD()
        size = self.path_served.stat().st_size
        requested = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        assert requested is not None
        first, last = int(requested[1]), min(int(requested[2] or size), size - 1)
        fault = self._wait(first, last)
        if isinstance(fault, int):
            return self._respond(fault)
        if fault is not None:
            if fault == HANG:
                time.sleep(3600)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        with self.path_served.open("rb") as file:
            file.seek(first)
            self._respond(206, file.read(last - first + 1), content_range=f"bytes {first}-{last}/{size}")
        return None

    def _wait(self, first: int, last: int) -> int | str | None:
        """Wait for the latency of the server; returns the fault of this request, if any."""
        handler = type(self)
        with self.lock:
            self.log.ranges.append((first, last))
            handler.concurrent += 1
            self.log.max_concurrent = max(self.log.max_concurrent, handler.concurrent)
        time.sleep(self.delay)
        with self.lock:
            handler.concurrent -= 1
            for index, fault in enumerate(self.faults):
                if first <= fault.last and last >= fault.first:
                    self.hits[index] += 1
                    if fault.after < self.hits[index] <= fault.after + fault.times:
                        return fault.kind
        return None

    def _respond(self, status: int, data: bytes = b"", length: int | None = None, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.send_header("Accept-Ranges", "bytes")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def _serve(settings: str) -> None:
    path, delay, faults = json.loads(settings)
    _Handler.path_served, _Handler.delay = Path(path), delay
    _Handler.faults, _Handler.hits = [Fault(**fault) for fault in faults], [0] * len(faults)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve(sys.argv[1])
