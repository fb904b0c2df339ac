from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rsmoe_cli.planning import speeds
from rsmoe_cli.planning.speeds import SpeedKey, find_speed, record_speed
from rsmoe_core.config import CaptionOptions

KEY = SpeedKey.of("abc", "cpu", "float32", CaptionOptions())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rsmoe" / "speeds.json"


def test_the_last_speed_is_found_again() -> None:
    assert find_speed(KEY) is None
    record_speed(KEY, 1.25, "bench")
    record_speed(KEY, 2.5, "models check")
    found = find_speed(KEY)
    assert found is not None
    assert (found.images_per_second, found.by) == (2.5, "models check")
    for change in ({"revision": "other"}, {"dtype": "bfloat16"}, {"mixture": "direct"}, {"device": "NVIDIA"}):
        assert find_speed(dataclasses.replace(KEY, **change)) is None


def test_the_oldest_speeds_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "_MOST", 2)
    keys = [dataclasses.replace(KEY, revision=str(number)) for number in range(3)]
    for key in keys:
        record_speed(key, 1.0, "bench")
    assert [find_speed(key) is not None for key in keys] == [False, True, True]


@pytest.mark.parametrize("content", ["", "[]", "{broken", '{"x": 1}'])
def test_a_damaged_cache_is_written_anew(cache: Path, content: str) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(content)
    assert find_speed(KEY) is None
    record_speed(KEY, 3.0, "bench")
    assert find_speed(KEY) is not None


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path) -> None:
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file where the folder would be")
    record_speed(KEY, 3.0, "bench")
    assert find_speed(KEY) is None
