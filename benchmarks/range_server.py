"""A web server on this machine that gives one file in ranges, as slowly and as badly as it is asked to.

It is a process of its own: GDAL at times holds Python's lock while it waits for an answer.
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
"""What can go wrong beside HTTP statuses: an answer that never comes, and a connection that breaks."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong for ranges that touch some bytes."""

    what: int | str
    """An HTTP status, HANG or RESET."""
    first: int = 0
    """First byte."""
    last: int = 2**62
    """Last byte."""
    times: int = 2**62
    """How often it goes wrong before all is well."""
    after: int = 0
    """How many ranges that touch the bytes are answered well before."""


@dataclass
class Asked:
    """What a server was asked for."""

    ranges: list[tuple[int, int]] = field(default_factory=list)
    """First and last byte of each range."""
    others: list[str] = field(default_factory=list)
    """Paths of the other requests."""
    most_at_once: int = 0
    """The most ranges that were waited for at the same time."""

    @property
    def bytes(self) -> int:
        """Length of all ranges together."""
        return sum(last - first + 1 for first, last in self.ranges)


class RangeServer:
    """Serves the file `path` as `url` while it is a context; each answer takes `delay` seconds."""

    def __init__(self, path: Path | str, delay: float = 0.0, faults: tuple[Fault, ...] = ()) -> None:
        self._what = json.dumps([str(path), delay, [asdict(fault) for fault in faults]])
        self._name = Path(path).name

    def __enter__(self) -> RangeServer:
        self._process = subprocess.Popen([sys.executable, __file__, self._what], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._root = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.url = f"{self._root}/{self._name}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def asked(self) -> Asked:
        """What was asked for until now."""
        with urllib.request.urlopen(f"{self._root}/asked") as answer:
            return Asked(**json.load(answer))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    path_served: Path
    delay: float
    faults: list[Fault]
    met: list[int]
    asked = Asked()
    lock = Lock()
    now = 0

    def do_HEAD(self) -> None:
        """Whether there is a file."""
        with self.lock:
            self.asked.others.append(self.path)
        time.sleep(self.delay)
        there = self.path == f"/{self.path_served.name}"
        self._respond(200 if there else 404, length=self.path_served.stat().st_size if there else 0)

    def do_GET(self) -> None:
        """A range of it."""
        if self.path == "/asked":
            return self._respond(200, json.dumps(asdict(self.asked)).encode())
        if self.path != f"/{self.path_served.name}":
            return self.do_HEAD()
        size = self.path_served.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        assert asked is not None
        first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
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
            self._respond(206, file.read(last - first + 1), place=f"bytes {first}-{last}/{size}")
        return None

    def _wait(self, first: int, last: int) -> int | str | None:
        """Waits as a far server would, and says what goes wrong."""
        handler = type(self)
        with self.lock:
            self.asked.ranges.append((first, last))
            handler.now += 1
            self.asked.most_at_once = max(self.asked.most_at_once, handler.now)
        time.sleep(self.delay)
        with self.lock:
            handler.now -= 1
            for index, fault in enumerate(self.faults):
                if first <= fault.last and last >= fault.first:
                    self.met[index] += 1
                    if fault.after < self.met[index] <= fault.after + fault.times:
                        return fault.what
        return None

    def _respond(self, status: int, data: bytes = b"", length: int | None = None, place: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.send_header("Accept-Ranges", "bytes")
        if place:
            self.send_header("Content-Range", place)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def _serve(what: str) -> None:
    path, delay, faults = json.loads(what)
    _Handler.path_served, _Handler.delay = Path(path), delay
    _Handler.faults, _Handler.met = [Fault(**fault) for fault in faults], [0] * len(faults)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve(sys.argv[1])
