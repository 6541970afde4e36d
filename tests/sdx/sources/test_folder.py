"""A folder or zip of faces: hostile files are named and skipped, and every image is seen once an epoch."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdx.errors import DataError
from sdx.random import Philox
from sdx.sources.folder import LARGEST_FILE, FolderSource, decode
from sdx.types import HELD_OUT

COUNT = 40
TRAIN = COUNT - COUNT // 20


def _png(value: int, size: tuple[int, int] = (16, 16)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


def _faces(path: Path, extra: dict[str, bytes] | None = None) -> Path:
    """Write images whose grey level is their number, as a zip or a folder."""
    files = {f"{n:03d}.png": _png(n) for n in range(COUNT)} | (extra or {})
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def _source(path: Path, corrupt: str = "skip", seed: int = 0) -> FolderSource:
    assert corrupt in ("skip", "refuse")
    return FolderSource(str(path), "aligned", 16, "skip" if corrupt == "skip" else "refuse", Philox(seed))


def _levels(source: FolderSource, first: int, count: int) -> list[int]:
    face = source.draw(torch.arange(first, first + count)).face
    return [round(v) for v in ((face[:, 0, 0, 0].double() + 1) * 127.5).tolist()]


@pytest.mark.parametrize("name", ["faces", "faces.zip"])
def test_epochs_are_permutations_without_the_held_out(tmp_path: Path, name: str) -> None:
    source = _source(_faces(tmp_path / name))
    first, second = _levels(source, 0, TRAIN), _levels(source, TRAIN, TRAIN)
    held = _levels(source, HELD_OUT, COUNT - TRAIN)
    assert len(set(first)) == TRAIN
    assert sorted(first) == sorted(second)
    assert first != second
    assert set(held).isdisjoint(first)
    assert set(held) | set(first) == set(range(COUNT))
    assert source.skipped == []


def test_batches_do_not_matter(tmp_path: Path) -> None:
    source = _source(_faces(tmp_path / "faces"))
    whole = _levels(source, 30, 20)
    assert whole == [level for n in range(30, 50, 4) for level in _levels(source, n, 4)]
    assert whole == _levels(_source(tmp_path / "faces"), 30, 20)
    assert whole != _levels(_source(tmp_path / "faces", seed=1), 30, 20)


BAD = {"bad-empty.png": b"", "bad-cut.png": _png(9)[:50], "bad-text.jpg": b"no image", "bad-gif.png": b"GIF89a" * 9}


@pytest.mark.parametrize("name", ["faces", "faces.zip"])
def test_unreadable_images_are_skipped_by_name_or_refused(tmp_path: Path, name: str) -> None:
    path = _faces(tmp_path / name, BAD)
    total = COUNT + len(BAD)
    source = _source(path)
    source.draw(torch.arange(total))
    source.draw(torch.arange(HELD_OUT, HELD_OUT + total // 20))
    assert sorted(source.skipped) == sorted(BAD)  # each once
    with pytest.raises(DataError, match=r"bad-.*set source\.corrupt=skip"):
        _source(path, "refuse").draw(torch.arange(total))


def test_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    for name, data in BAD.items():
        (tmp_path / "bad" / name).write_bytes(data)
    with pytest.raises(DataError, match="expected a readable image"):
        _source(tmp_path / "bad").draw(torch.arange(2))


def test_centre_of_an_oblong_image() -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, 8:24] = 200
    for array in (pixels, pixels.transpose(1, 0, 2)):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "PNG")
        assert decode(buffer.getvalue(), 16).tolist() == np.full((16, 16, 3), 200).tolist()


def test_image_that_claims_to_be_enormous() -> None:
    with pytest.raises(DataError):
        decode(_png(0)[:16] + (60000).to_bytes(4, "big") * 2 + _png(0)[24:], 16)


def test_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = _faces(tmp_path / "faces.zip", {"bomb.png": bytes(LARGEST_FILE + 1)})
    source = _source(path)
    source.draw(torch.arange(COUNT + 1))
    source.draw(torch.arange(HELD_OUT, HELD_OUT + 2))
    assert source.skipped == ["bomb.png"]


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "not.zip").write_bytes(b"PK but no zip")
    for name in ("not.zip", "absent.zip"):
        with pytest.raises(DataError, match="expected a folder or a zip"):
            _source(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="at least two"):
        _source(tmp_path / "empty")


@pytest.mark.parametrize("kind", ["folder", "link to nothing", "pipe", "device"])
def test_a_name_that_leads_to_no_file_is_skipped(tmp_path: Path, kind: str) -> None:
    faces = _faces(tmp_path / "faces")
    odd = faces / "odd.png"
    if kind == "folder":
        odd.mkdir()
    elif kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to("/dev/zero" if kind == "device" else tmp_path / "nowhere")
    source = _source(faces)
    _levels(source, 0, 2 * COUNT)
    source.draw(torch.arange(HELD_OUT, HELD_OUT + COUNT))
    assert source.skipped == ["odd.png"]
    refusing = _source(faces, "refuse")
    everything = torch.cat([torch.arange(2 * COUNT), torch.arange(HELD_OUT, HELD_OUT + COUNT)])
    with pytest.raises(DataError, match=r"^faces/odd\.png: expected a (readable )?file, got .*; remove it or set"):
        refusing.draw(everything)


def test_the_current_folder_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (faces := _faces(tmp_path / "faces")).joinpath("inner").mkdir()
    for here, path in ((faces, "."), (faces, "./"), (faces / "inner", "..")):
        monkeypatch.chdir(here)
        assert FolderSource(path, "aligned", 16, "skip", Philox(0)).name == "faces"
