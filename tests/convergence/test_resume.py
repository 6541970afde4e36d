"""A run that was killed or asked to stop, and started again by the same command, is the run that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sdx import students
from sdx.weights import artefact

IMAGES = 1280
BATCH = 16


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("teacher") / "model.safetensors"
    artefact.save(path, students.build("teacher", "small", 32, size=32).to_artefact(licence="MIT"))
    return path


SOURCES = ("source=simface source.size=32 students.small.size=32", "source=stylegan2")


def _start(teacher: Path, folder: Path, source: str) -> "subprocess.Popen[bytes]":
    # Three batches: the first checkpoint lies between roots and their neighbours.
    keys = f"{source} images={IMAGES} batch={BATCH} checkpoint_every={3 * BATCH}"
    off = (
        f"sampler=resample eval=none baselines=false held_out=0 validate_every=none log_every={BATCH} teacher={teacher}"
    )
    command = [sys.executable, "-m", "sdx", "train", "demo", *keys.split(), *off.split(), "--run-dir", str(folder)]
    log = (folder.parent / f"{folder.name}.log").open("ab")
    with log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


def _finish(teacher: Path, folder: Path, source: str) -> None:
    code = _start(teacher, folder, source).wait(120)
    assert code == 0, (folder.parent / f"{folder.name}.log").read_text()


def _stop_after_checkpoint(teacher: Path, folder: Path, source: str, number: signal.Signals) -> int:
    process = _start(teacher, folder, source)
    end = time.monotonic() + 120
    while not list(folder.glob("checkpoints/*.json")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    assert process.poll() is None, "the run ended before it could be stopped"
    process.send_signal(number)
    return process.wait(60)


@pytest.fixture(scope="module", params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def uninterrupted(teacher: Path, source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    _finish(teacher, folder, source)
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 75)])
def test_resumed_run_equals_uninterrupted_run(
    teacher: Path, source: str, uninterrupted: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    folder = tmp_path / "run"
    assert _stop_after_checkpoint(teacher, folder, source, number) == code
    assert not (folder / "summary.json").exists()
    _finish(teacher, folder, source)

    rows = _rows(folder)
    starts = [row["images_seen"] for row in rows if row["event"] == "start"]
    assert starts[0] == 0
    assert len(starts) == 2
    assert 0 < starts[1] < IMAGES
    seen = [row["images_seen"] for row in rows if row["event"] == "train"]
    assert seen == list(range(BATCH, IMAGES + 1, BATCH))

    expected, got = _student(uninterrupted), _student(folder)
    assert expected.keys() == got.keys()
    assert [name for name in expected if not torch.equal(expected[name], got[name])] == []
    assert (folder / "lineage.bin").read_bytes() == (uninterrupted / "lineage.bin").read_bytes()
    losses = [[row["loss"] for row in _rows(run) if row["event"] == "train"] for run in (uninterrupted, folder)]
    assert losses[0] == losses[1]


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _student(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "students" / "small" / "model.safetensors")
