"""Why a server's reply cannot be used, in one line that may be shown."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_QUOTED = 200
"""Characters of a server's own words that a message quotes."""


class RequestFailed(Exception):
    """A request was given up; the message is one line that says why."""

    def __init__(
        self,
        reason: str,
        status: int | None = None,
        words: str = "",
        *,
        transient: bool = False,
        gone: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        """Of the server's reply; None where there was none."""
        self.words = words
        """What the server says about it."""
        self.transient = transient
        """Whether it may succeed a little later."""
        self.gone = gone
        """Whether all other requests would fail, too."""
        self.retry_after = retry_after
        """Seconds that the server asked to wait."""


def seconds_to_wait(header: str | None) -> float | None:
    """Seconds to wait, from a number or a date."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def words_of(content: bytes) -> str:
    """What a server says about an error, in one line."""
    try:
        return error_words(json.loads(content))
    except (ValueError, RecursionError):
        return "" if kind(content) == "a web page" else one_line(content[: 4 * _QUOTED].decode(errors="replace"))


def error_words(value: Any) -> str:
    """What a reply in JSON says about an error, in one line."""
    while isinstance(value, dict):
        value = next((value[name] for name in ("error", "message", "detail") if value.get(name)), "")
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def plain(text: str) -> str:
    """A server's text without control characters and halves of characters, which no file takes."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "", text)


def one_line(text: str) -> str:
    """A text without line breaks, and without its end if it is long."""
    line = " ".join(plain(text).split())
    return f"{line[:_QUOTED]}..." if len(line) > _QUOTED else line


def kind(content: bytes) -> str:
    """What a reply is that is no JSON, for a message."""
    head = content[:500].lstrip().lower()
    if not head:
        return "nothing"
    return "a web page" if head.startswith((b"<!doctype", b"<html", b"<?xml")) else "something"
