"""Where a server is, and the key by which it knows the user.

The key comes from the environment alone, and an address is without user name and password wherever it is shown.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from rsmoe_core.errors import UsageError

KEY_VARIABLES = ("RSMOE_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key; the first one that is set counts."""


@dataclass(frozen=True)
class Address:
    """Where a server is."""

    url: str
    """Without user name, password and trailing slash; safe to print."""
    host: str
    """Host and port, as in the URL."""
    is_local: bool
    """Whether it is this machine."""
    auth: tuple[str, str] | None = field(default=None, repr=False)
    """User name and password, where the URL has them."""


@dataclass(frozen=True)
class ApiKey:
    """What the server knows the user by."""

    value: str = field(repr=False)
    source: str
    """Name of the environment variable that holds it."""


def parse_address(url: str) -> Address:
    """The address of an endpoint, such as `http://127.0.0.1:8000/v1`; paths below it are cut off.

    Raises:
        UsageError: it is not the URL of an endpoint.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UsageError("--endpoint: this is not a URL; give one such as http://127.0.0.1:8000/v1") from None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError("--endpoint: give a whole URL with http:// or https://, such as http://127.0.0.1:8000/v1")
    if parts.query or parts.fragment:
        raise UsageError("--endpoint: give the URL without what follows '?' or '#'; a key goes into RSMOE_API_KEY")
    netloc = parts.netloc.rpartition("@")[2]
    path = re.sub(r"/(?:chat/completions|models)$", "", parts.path.rstrip("/")).rstrip("/")
    return Address(f"{parts.scheme}://{netloc}{path}", netloc, _is_local(host), _user_info(parts))


def _user_info(parts: SplitResult) -> tuple[str, str] | None:
    return (unquote(parts.username or ""), unquote(parts.password or "")) if "@" in parts.netloc else None


def _is_local(host: str) -> bool:
    try:
        return (address := ip_address(host)).is_loopback or address.is_unspecified
    except ValueError:
        return host == "localhost"


def find_key(address: Address) -> ApiKey | None:
    """The key for a server, from the environment.

    OPENAI_API_KEY, which other programs use as well, is not sent to another machine without encryption.

    Raises:
        UsageError: the variable holds characters that no key has.
    """
    for source in KEY_VARIABLES:
        value = os.environ.get(source, "").strip()
        if not value or (source == "OPENAI_API_KEY" and not address.is_local and address.url.startswith("http:")):
            continue
        if not re.fullmatch(r"[!-~]+", value):
            raise UsageError(f"{source} is no key: it has blanks or letters beyond ASCII; set it again")
        return ApiKey(value, source)
    return None
