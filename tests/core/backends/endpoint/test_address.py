from __future__ import annotations

import pytest

from rsmoe_core.backends.endpoint.address import ApiKey, find_key, parse_address
from rsmoe_core.errors import UsageError

KEY = "sk-very-secret-7"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        (" https://api.test/v1/ ", "https://api.test/v1"),
        ("http://a.test/v1/chat/completions", "http://a.test/v1"),
        ("http://a.test/v1/models/", "http://a.test/v1"),
        ("http://me:secret@[::1]:80", "http://[::1]:80"),
    ],
)
def test_addresses(given: str, url: str) -> None:
    assert parse_address(given).url == url


@pytest.mark.parametrize(
    "given", ["", "localhost:8000/v1", "ftp://a.test", "http://", "http://a.test:many/v1", "http://a.test/v1?key=x"]
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(UsageError, match=r"^--endpoint: ") as caught:
        parse_address(given)
    assert "key=x" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "variables", "source"),
    [
        ("http://127.0.0.1/v1", {}, None),
        ("http://127.0.0.1/v1", {"OPENAI_API_KEY": KEY}, "OPENAI_API_KEY"),
        ("https://api.test/v1", {"OPENAI_API_KEY": KEY}, "OPENAI_API_KEY"),
        ("http://0.0.0.0:8000/v1", {"OPENAI_API_KEY": KEY}, "OPENAI_API_KEY"),
        ("http://other.test/v1", {"OPENAI_API_KEY": KEY}, None),
        ("http://other.test/v1", {"OPENAI_API_KEY": "other", "RSMOE_API_KEY": f" {KEY}\n"}, "RSMOE_API_KEY"),
    ],
)
def test_keys_of_the_environment(
    url: str, variables: dict[str, str], source: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RSMOE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_key(parse_address(url)) == (None if source is None else ApiKey(KEY, source))


def test_what_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSMOE_API_KEY", "sk-geheim ü")
    with pytest.raises(UsageError, match=r"^RSMOE_API_KEY is no key") as caught:
        find_key(parse_address("http://127.0.0.1/v1"))
    assert "geheim" not in str(caught.value)
