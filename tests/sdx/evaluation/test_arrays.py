"""Arrays of unknown origin: whatever is wrong with them is one DataError."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdx.errors import DataError
from sdx.evaluation import arrays


def _npy(length: int = 500) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(0).integers(0, 4, length))
    return buffer.getvalue()


def _archive(path: Path, entry: bytes, packed: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr("a.npy", entry)
    return path


def _read(path: Path) -> np.ndarray:
    with arrays.opened(path, 1 << 20) as file:
        return file["a"]


def _encrypt(raw: bytearray) -> None:
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + flags] |= 1


def _spoil_packed(raw: bytearray) -> None:
    raw[60:90] = bytes(range(200, 230))


@pytest.mark.parametrize(("spoil", "packed"), [(_encrypt, zipfile.ZIP_STORED), (_spoil_packed, zipfile.ZIP_DEFLATED)])
def test_an_entry_that_cannot_be_unpacked(tmp_path: Path, spoil: Callable[[bytearray], None], packed: int) -> None:
    path = _archive(tmp_path / "x.npz", _npy(), packed)
    assert len(_read(path)) == 500
    raw = bytearray(path.read_bytes())
    spoil(raw)
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match=r"expected an \.npz file of plain arrays, got "):
        _read(path)


@pytest.mark.parametrize("header", [b"{'descr': (", b"{'descr': 9 9}", b"{'shape': (9" + b"9" * 40, b"\xff" * 9])
def test_a_header_that_does_not_parse(tmp_path: Path, header: bytes) -> None:
    entry = _npy()
    path = _archive(tmp_path / "x.npz", entry[:10] + header + entry[10 + len(header) :])
    with pytest.raises(DataError, match="plain arrays"):
        _read(path)


def test_an_entry_that_is_no_array(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="plain arrays, got an entry a that is none"):
        _read(_archive(tmp_path / "x.npz", b"not an array"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=9), st.booleans())
def test_damage_of_any_kind(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], packed: bool
) -> None:
    path = tmp_path_factory.mktemp("a") / "x.npz"
    raw = bytearray(_archive(path, _npy(40), zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED).read_bytes())
    for at, value in changes:
        raw[at % len(raw)] = value
    path.write_bytes(bytes(raw))
    try:
        found = _read(path)
    except (DataError, KeyError):  # KeyError: the name itself was hit
        return
    assert isinstance(found, np.ndarray)


def test_what_the_caller_raises_is_not_the_files_fault(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), arrays.opened(_archive(tmp_path / "x.npz", _npy()), 1 << 20):
        raise ValueError("mine")
