"""A checkpoint gives back the very state, and damage costs one checkpoint, not the run."""

import errno
import logging
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from sdx.errors import CheckpointError
from sdx.training import checkpoint


def _trained(seed: int, steps: int) -> tuple[nn.Linear, torch.optim.Adam]:
    torch.manual_seed(seed)
    network = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
    return network, optimizer


def _write(folder: Path, *counts: int) -> None:
    for count in counts:
        network, optimizer = _trained(count, 2)
        checkpoint.save(folder, count, {"network": network, "optimizer": optimizer})


def _restore(folder: Path) -> tuple[int, nn.Linear, torch.optim.Adam]:
    network, optimizer = _trained(999, 0)
    return checkpoint.load(folder, {"network": network, "optimizer": optimizer}), network, optimizer


def test_round_trip_of_an_optimiser(tmp_path: Path) -> None:
    _write(tmp_path, 64)
    seen, network, optimizer = _restore(tmp_path)
    wanted, wanted_optimizer = _trained(64, 2)
    assert seen == 64
    assert torch.equal(network.weight, wanted.weight)
    state, expected = optimizer.state_dict()["state"], wanted_optimizer.state_dict()["state"]
    assert list(state) == list(expected) == [0, 1]  # integers, which JSON has not
    for number in state:
        assert all(torch.equal(state[number][key], value) for key, value in expected[number].items())


def test_only_the_newest_are_kept_and_nothing_else_is_left(tmp_path: Path) -> None:
    _write(tmp_path, 64, 128, 192)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"{n:012d}.{suffix}" for n in (128, 192) for suffix in ("json", "safetensors")]


def test_no_checkpoint_is_a_fresh_start(tmp_path: Path) -> None:
    assert _restore(tmp_path)[0] == 0


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "gone", "note"])
def test_damaged_newest_falls_back(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    _write(tmp_path, 64, 128)
    path = tmp_path / f"{128:012d}.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    match damage:
        case "flipped":
            path.write_bytes(data)
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "note":
            path.with_suffix(".json").write_text("{")
    with caplog.at_level(logging.WARNING):
        seen, network, _ = _restore(tmp_path)
    assert seen == 64
    assert torch.equal(network.weight, _trained(64, 2)[0].weight)
    assert "damaged checkpoint" in caplog.text
    assert path.name in caplog.text


def test_all_damaged_is_an_error(tmp_path: Path) -> None:
    _write(tmp_path, 64, 128)
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(b"not this")
    with pytest.raises(CheckpointError, match="got 2 damaged"):
        _restore(tmp_path)


def test_other_objects_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, 64)
    with pytest.raises(CheckpointError, match="expected the state of"):
        checkpoint.load(tmp_path, {"other": nn.Linear(3, 2)})


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="use --run-dir"):
        checkpoint.writable(tmp_path / "file" / "run")
    with pytest.raises(CheckpointError, match="cannot be written"):
        _write(tmp_path / "file" / "run", 64)
    checkpoint.writable(tmp_path / "new" / "run")
    assert list((tmp_path / "new" / "run").iterdir()) == []


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_disk_that_fills_up_midway_costs_nothing_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    _write(tmp_path, 1, 2)
    calls = 0
    real = os.fsync

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)  # the state, its folder, the note with the checksum
    with pytest.raises(CheckpointError, match=r"cannot be written \(No space left on device\); free space"):
        _write(tmp_path, 3)
    monkeypatch.undo()
    assert not list(tmp_path.glob(".*"))
    seen, network, _ = _restore(tmp_path)
    assert seen == 2
    assert torch.equal(network.weight, _trained(2, 2)[0].weight)
    _write(tmp_path, 3)
    assert _restore(tmp_path)[0] == 3
