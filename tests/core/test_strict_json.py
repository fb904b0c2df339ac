from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_core.strict_json import read_json, read_json_file


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}', "[-Infinity]", "[" * 100_000, "", '{"a": 1'])
def test_json_is_read_strictly(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser has its own words
        read_json(text)


def test_the_size_of_a_file_of_settings_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_json_file(path) == {"a": 1}
    with pytest.raises(ValueError, match="far too long"):
        read_json_file(path, max_size=4)
    with pytest.raises(ValueError, match="No such file"):
        read_json_file(tmp_path / "b.json")
