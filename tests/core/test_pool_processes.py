"""Processes that share out the images keep one and the same pool, that of a single process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pool_process
import pytest


def digests(folder: Path, processes: int, *arguments: str) -> list[list[str]]:
    folder.mkdir()
    launcher = []
    if processes > 1:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", str(port)]
    command = [sys.executable, *launcher, pool_process.__file__, str(folder), *arguments]
    subprocess.run(command, check=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return [(folder / str(rank)).read_text().splitlines() for rank in range(processes)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    (found,) = digests(tmp_path_factory.mktemp("pools") / "alone", 1)
    assert len(set(found)) == pool_process.BATCHES  # every batch changes the pool
    return found


def test_each_of_two_processes_holds_the_pool_of_one_after_every_batch(alone: list[str], tmp_path: Path) -> None:
    assert digests(tmp_path / "two", 2) == [alone, alone]


def test_what_is_not_gathered_tears_the_pools_apart(alone: list[str], tmp_path: Path) -> None:
    first, second = digests(tmp_path / "two", 2, "local")
    assert not {*first} & {*second}
    assert not {*first} & {*alone}
