from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsmoe_cli.errors import OutputError
from rsmoe_cli.prepare.convert import prepare_dataset, unique_names
from rsmoe_core.data.base import read_image
from rsmoe_core.data.colourise import is_grey
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.errors import DataError, UsageError
from tests.tiny import write_karpathy


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_karpathy(tmp_path / "source")


def test_a_prepared_folder_has_the_annotations_of_its_source(source: Path, tmp_path: Path) -> None:
    before = prepare_dataset("karpathy", source, tmp_path / "out")
    after = read_dataset(tmp_path / "out")
    assert after.problems == ()
    assert before.samples == read_dataset(source).samples
    for old, new in zip(before.samples, after.samples, strict=True):
        assert new.image.parent == tmp_path / "out" / "images"
        assert new.image.read_bytes() == old.image.read_bytes()
        assert (new.captions, new.split, new.scene_class, new.group) == (
            old.captions,
            old.split,
            old.scene_class,
            old.group,
        )


@pytest.mark.parametrize("linked", [True, False])
def test_images_are_linked_where_possible_and_copied_elsewhere(
    source: Path, tmp_path: Path, linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("another device")

    if not linked:
        monkeypatch.setattr(os, "link", refuse)
    first = read_dataset(source).samples[0].image
    first.rename(tmp_path / "elsewhere.jpg")
    first.symlink_to(os.path.relpath(tmp_path / "elsewhere.jpg", first.parent))
    prepare_dataset("karpathy", source, tmp_path / "out")
    for old, new in zip(read_dataset(source).samples, read_dataset(tmp_path / "out").samples, strict=True):
        assert new.image.samefile(old.image) == linked
        assert not new.image.is_symlink()


def test_names_are_unique_on_every_file_system() -> None:
    paths = [Path(name) for name in ("x/a.jpg", "y/a.jpg", "y/A.jpg", "a_2.jpg", "a.png", "b")]
    names = list(unique_names(paths))
    assert names == ["a.jpg", "a_2.jpg", "A_3.jpg", "a_2_2.jpg", "a.png", "b"]


def test_what_cannot_be_read_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected objects\.json \(boxes\)"):
        prepare_dataset("boxes", source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_output_that_holds_something_is_left_alone(source: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        prepare_dataset("karpathy", source, source)


def _make_grey(image: Path) -> Path:
    Image.open(image).convert("L").save(image)
    return image


def test_grey_images_take_the_colours_of_others_and_all_else_stays(source: Path, tmp_path: Path) -> None:
    references = write_karpathy(tmp_path / "references")
    before = read_dataset(source).samples
    grey = {_make_grey(sample.image).name for sample in before[:5]}
    for target in ("out", "again"):
        prepare_dataset("karpathy", source, tmp_path / target, colours=references)
    after, again = (read_dataset(tmp_path / target).samples for target in ("out", "again"))
    assert len(after) == len(before)
    for old, new, same in zip(before, after, again, strict=True):
        assert new.image.read_bytes() == same.image.read_bytes()
        assert (new.captions, new.split, new.scene_class, new.group) == (
            old.captions,
            old.split,
            old.scene_class,
            old.group,
        )
        assert new.image.samefile(old.image) == (old.image.name not in grey)
        assert not is_grey(read_image(new.image))
    prepare_dataset("karpathy", source, tmp_path / "other", colours=references, seed=1)
    assert any(
        one.image.read_bytes() != other.image.read_bytes()
        for one, other in zip(after, read_dataset(tmp_path / "other").samples, strict=True)
    )


@pytest.mark.parametrize("name", ["grey", "grey.dat", "grey.TIF", "grey.png", "grey.jp2"])
def test_a_grey_image_may_have_any_name(source: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(folder / name, format="PNG")
    (folder / "annotations.jsonl").write_text(f'{{"image": "{name}", "split": "train", "scene_class": "pond"}}\n')
    prepare_dataset("plain", folder, tmp_path / "out", colours=source)
    (sample,) = read_dataset(tmp_path / "out").samples
    assert sample.image.name == name
    assert not is_grey(read_image(sample.image))


def test_without_a_grey_image_colours_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"source has no grey image .* leave out --colours"):
        prepare_dataset("karpathy", source, tmp_path / "out", colours=source)
    broken = read_dataset(source).samples[0].image
    broken.write_bytes(b"")
    with pytest.raises(DataError, match=f"{broken.name}: cannot be read as an image"):
        prepare_dataset("karpathy", source, tmp_path / "out", colours=source)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
