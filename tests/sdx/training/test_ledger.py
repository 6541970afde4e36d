"""lineage.bin has one record an image, whatever stops a run and whatever became of the file."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdx.errors import CheckpointError, DataError
from sdx.training import ledger
from sdx.training.ledger import Ledger


def _write(folder: Path, start: int, count: int, *, value: float = 0.5) -> None:
    """Append ``count`` records whose parents are their places."""
    book = Ledger(folder, start)
    for first in range(start, start + count, 4):
        parent = torch.arange(first, min(first + 4, start + count))
        book.write(parent, torch.full((len(parent),), value), torch.full((len(parent),), -value))
    book.sync()
    book.close()


def test_what_is_written_is_read_and_has_the_size_it_says(tmp_path: Path) -> None:
    _write(tmp_path, 0, 10)
    first, records = ledger.read(tmp_path)
    assert first == 0
    assert records["parent"].tolist() == list(range(10))
    assert records["scale"].tolist() == [0.5] * 10
    assert records["cosine"].tolist() == [-0.5] * 10
    assert (tmp_path / ledger.NAME).stat().st_size == 16 + 160


def test_the_layout_is_little_endian_and_fixed(tmp_path: Path) -> None:
    book = Ledger(tmp_path, 0)
    book.write(torch.tensor([-1, 258]), torch.tensor([0.0, 1.0]), torch.tensor([0.5, -2.0]))
    book.close()
    expected = "7364782e6c696e310000000000000000ffffffffffffffff000000000000003f02010000000000000000803f000000c0"
    assert (tmp_path / ledger.NAME).read_bytes().hex() == expected


@pytest.mark.parametrize("rest", [b"", b"\0", b"\0" * 15])
def test_a_resumed_run_has_every_record_once(tmp_path: Path, rest: bytes, caplog: pytest.LogCaptureFixture) -> None:
    _write(tmp_path, 0, 20, value=0.25)
    with (tmp_path / ledger.NAME).open("ab") as file:
        file.write(rest)
    _write(tmp_path, 12, 12)
    first, records = ledger.read(tmp_path)
    assert first == 0
    assert records["parent"].tolist() == list(range(24))
    assert records["scale"].tolist() == [0.25] * 12 + [0.5] * 12
    assert not caplog.records


@pytest.mark.parametrize("count", [0, 4])
def test_records_behind_the_checkpoint_are_gone_at_once(tmp_path: Path, count: int) -> None:
    _write(tmp_path, 0, 20, value=0.25)
    _write(tmp_path, 12, count)
    assert ledger.read(tmp_path)[1]["scale"].tolist() == [0.25] * 12 + [0.5] * count


def test_a_run_from_the_start_forgets_an_older_file(tmp_path: Path) -> None:
    _write(tmp_path, 0, 20)
    _write(tmp_path, 0, 4)
    assert len(ledger.read(tmp_path)[1]) == 4


@pytest.mark.parametrize(
    ("damage", "got"),
    [
        ("gone", "no file"),
        ("cut", "got 8 from 0 on"),
        ("other", "begins with"),
        ("empty", "begins with"),
        ("later", "20 on"),
    ],
)
def test_what_is_lost_is_told_and_the_rest_is_kept(
    tmp_path: Path, damage: str, got: str, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path, 0, 20)
    path = tmp_path / ledger.NAME
    match damage:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[: 16 + 8 * 16 + 3])
        case "other":
            path.write_bytes(b"x" * 400)
        case "empty":
            path.write_bytes(b"")
        case "later":
            path.write_bytes(path.read_bytes()[:8] + (20).to_bytes(8, "little") + path.read_bytes()[16:])
    with caplog.at_level(logging.WARNING):
        _write(tmp_path, 12, 8)
    assert got in caplog.text
    assert "no image before this can be replayed" in caplog.text
    first, records = ledger.read(tmp_path)
    assert first == 12
    assert records["parent"].tolist() == list(range(12, 20))
    _write(tmp_path, 16, 8)  # resumed once more
    first, records = ledger.read(tmp_path)
    assert (first, records["parent"].tolist()) == (12, list(range(12, 24)))


def test_a_disk_that_is_full_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Ledger(tmp_path, 0)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"lineage\.bin: cannot be written \(No space left on device\)"):
        book.sync()
    monkeypatch.undo()
    book.close()
    with pytest.raises(CheckpointError, match="cannot be written"):
        Ledger(tmp_path / "absent", 0)


def test_a_disk_that_fills_up_between_batches_is_one_line(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    book = Ledger(tmp_path, 0)
    with full_disk(100):
        with pytest.raises(CheckpointError, match=r"lineage\.bin: cannot be written \(File too large\)"):
            book.write(torch.arange(8), torch.zeros(8), torch.zeros(8))
        book.close()


@given(data=st.binary(max_size=80))
def test_any_bytes_are_refused_in_one_line(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / ledger.NAME).write_bytes(data)
    with pytest.raises(DataError, match=r"\A[^\n]+\Z"):
        ledger.read(folder)


@given(data=st.integers(0, 4).flatmap(lambda n: st.binary(min_size=8 + 16 * n, max_size=8 + 16 * n)))
def test_any_records_are_read_as_they_are(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / ledger.NAME).write_bytes(ledger.MAGIC + data)
    if data[7] >= 128:
        with pytest.raises(DataError, match="begins with"):
            ledger.read(folder)
        return
    first, records = ledger.read(folder)
    assert first == int.from_bytes(data[:8], "little")
    assert records.tobytes() == data[8:]
    assert records.dtype == ledger.RECORD
