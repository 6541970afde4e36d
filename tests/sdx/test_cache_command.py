"""`sdx cache` goes on where it was stopped, to the same bytes, and refuses in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

from sdx import files, students
from sdx.cli import cli
from sdx.errors import SdxError
from sdx.sources import cache_file
from sdx.training import cache
from sdx.weights import artefact

KEYS = ["source=simface", "source.size=32", "images=96", "batch=16", "precision=fp32", "device=cpu"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("teacher") / "model.safetensors"
    artefact.save(path, students.build("teacher", "small", 32, size=32).to_artefact(licence="MIT"))
    return f"teacher={path}"


@pytest.fixture(scope="module")
def whole(teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that was written in one go: shards of 40, 40 and 16 faces."""
    folder = tmp_path_factory.mktemp("whole") / "faces"
    result = _run(folder, teacher)
    assert result.exit_code == 0, result.output
    assert "96/96 images" in result.stderr
    assert result.stdout == f"96 faces of simface-G-wild, embedded by teacher (32 numbers each) in {folder}\n"
    return folder


def _run(folder: Path, *keys: str) -> Result:
    return CliRunner().invoke(cli, ["cache", "--out", str(folder), "--shard", "40", *KEYS, *keys])


def _refused(folder: Path, *keys: str) -> str:
    """Return the one line with which a command ends."""
    error = _run(folder, *keys).exception
    assert isinstance(error, SdxError), error
    assert "\n" not in str(error)
    return str(error)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _ending(batches: int, end: Callable[[], None]) -> Callable[[Tensor], Tensor]:
    """Return a `to_bytes` that ends the command at a batch."""
    left = [batches]
    real = cache.to_bytes

    def to_bytes(face: Tensor) -> Tensor:
        left[0] -= 1
        if left[0] == 0:
            end()
        return real(face)

    return to_bytes


def test_a_stopped_one_goes_on_to_the_same_bytes(
    whole: Path, teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "faces"
    # A face to try, then three batches a shard: stopped in the first shard, at its end, and in the second one.
    for batches, there in ((3, 0), (4, 1), (2, 1)):
        with monkeypatch.context() as patch:
            patch.setattr(cache, "to_bytes", _ending(batches, lambda: os.kill(os.getpid(), signal.SIGINT)))
            result = _run(folder, teacher)
        assert result.exit_code == 75
        assert "goes on from here" in result.stderr
        assert len(cache_file.read(folder).shards) == there
        assert len(list(folder.iterdir())) == there + 1
    assert _run(folder, teacher).exit_code == 0
    assert _bytes(folder) == _bytes(whole)


def test_a_killed_one_goes_on_to_the_same_bytes(
    whole: Path, teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "faces"
    real = cache_file.write

    def die(path: Path, description: cache_file.Description) -> None:
        if len(description.shards) == 2:
            raise RuntimeError("killed")  # the second shard is in place, and not described
        real(path, description)

    with monkeypatch.context() as patch:
        patch.setattr(cache_file, "write", die)
        assert isinstance(_run(folder, teacher).exception, RuntimeError)
    assert len(cache_file.read(folder).shards) == 1
    assert cache_file.shard_path(folder, 1).exists()
    result = CliRunner().invoke(cli, ["train", "source=cache", f"source.path={folder}", "teacher=none", "eval=none"])
    assert "expected 96 faces, got 40 so far; give the same sdx cache command again" in str(result.exception)
    assert _run(folder, teacher).exit_code == 0
    assert _bytes(folder) == _bytes(whole)


def test_a_whole_one_is_left_as_it_is(
    whole: Path, teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "faces"))
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert _run(folder, teacher).exit_code == 0
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["seed=3"], "seed: 0 in the cache, 3 now"),
        (["batch=8"], "batch: 16 in the cache, 8 now"),
        (["source.split=T"], "source.split: G in the cache, T now"),
        (["teacher=simface-teacher"], "teacher: teacher ("),
    ],
)
def test_another_cache_is_not_gone_on_with(whole: Path, teacher: str, keys: list[str], words: str) -> None:
    before = _bytes(whole)
    assert words in _refused(whole, teacher, *keys)
    assert before == _bytes(whole)


def test_damage_is_found_before_going_on(whole: Path, teacher: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "faces"))
    path = cache_file.shard_path(folder, 0)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "expected sha256" in _refused(folder, teacher)


def test_nothing_is_written_over_other_files(teacher: str, tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "a.png").write_bytes(b"x")
    assert "expected no folder, an empty one or a cache" in _refused(tmp_path / "faces", teacher)
    assert "cannot be written" in _refused(tmp_path / "faces" / "a.png" / "b", teacher)
    assert _bytes(tmp_path / "faces") == {"a.png": b"x"}


def test_a_second_writer_in_a_folder_is_refused(teacher: str, tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    with files.alone(tmp_path / "faces", AssertionError("taken")):
        assert "got one where sdx cache goes on; wait for it or give another --out" in _refused(
            tmp_path / "faces", teacher
        )
    assert not list((tmp_path / "faces").iterdir())


def test_a_full_disk_is_one_line(teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_file, "write_atomically", full)
    assert "No space left on device" in _refused(tmp_path / "faces", teacher)


def test_the_default_shard_is_whole_batches_of_64_mib(teacher: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["cache", "--out", str(tmp_path / "faces"), *KEYS, teacher])
    assert result.exit_code == 0, result.output
    shard = json.loads((tmp_path / "faces" / "cache.json").read_text())["settings"]["shard"]
    assert shard % 16 == 0
    assert 0 <= (64 << 20) - shard * (3 * 32 * 32 + 4 * 32) < 16 * (3 * 32 * 32 + 4 * 32)


def test_a_teacher_that_cannot_be_used_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lost_teacher.py").write_text(
        "import torch\n"
        "class Lost:\n"
        "    name, embedding, sha256 = 'lost', 3, ''\n"
        "    def embed(self, face, frame):\n"
        "        return torch.full((len(face), 3), float('nan'))\n"
        "class Wide(Lost):\n"
        "    def embed(self, face, frame):\n"
        "        return torch.zeros(len(face), 4)\n"
    )
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "faces"
    assert "lost: expected finite embeddings" in _refused(folder, "teacher=lost_teacher:Lost")
    assert "expected embeddings [1, 3] of a batch, got [1, 4]" in _refused(folder, "teacher=lost_teacher:Wide")
    assert "expected a model that embeds the faces" in _refused(folder, "teacher=none", "loss=margin")
    assert not folder.exists()
