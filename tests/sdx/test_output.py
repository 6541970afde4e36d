"""A file that cannot be written is told in one line before the work whose result it is to hold."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sdx import files, sources
from sdx.cli import main
from sdx.evaluation import calibration, ijb, models
from sdx.evaluation import embed as embedding
from sdx.weights import registry


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all that takes long fail at once."""

    def work(*_: object, **__: object) -> None:
        raise RuntimeError("the work has begun")

    for place, name in (
        (calibration, "of_source"),
        (embedding, "embed"),
        (sources, "samples"),
        (sources, "strips"),
        (ijb, "read_images"),
        (models, "load"),
    ):
        monkeypatch.setattr(place, name, work)

    class Replay:
        ancestry = work

        def __init__(self, *_: object) -> None: ...

    monkeypatch.setattr(importlib.import_module("sdx.cli.replay"), "Replay", Replay)


COMMANDS = {
    "calibrate": ["simface-teacher", "--fmr", "0.1", "--source", "simface"],
    "embed": ["simface-teacher", "."],
    "generate": [],
    "replay": [".", "--image", "0"],
}


def _refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["sdx", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    return text


def _absent(folder: Path) -> Path:
    return folder / "absent"


def _file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file"


def _closed(folder: Path) -> Path:
    if os.geteuid() == 0:
        pytest.skip("root may write to every folder")
    (folder / "closed").mkdir(0o500)
    return folder / "closed"


@pytest.mark.parametrize("made", [_absent, _file, _closed])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_takes_no_file(
    command: str,
    made: Callable[[Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = made(tmp_path) / "out"
    told = _refused(monkeypatch, capsys, command, *COMMANDS[command], "--out", str(out))
    assert told.startswith(f"error: {out}: cannot be written (")
    assert told.endswith("); give another --out\n")


def test_a_model_in_a_closed_folder_is_not_calibrated_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(registry.builtin()["simface-teacher"].read_bytes())

    def closed(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "check_writable", closed)
    told = _refused(monkeypatch, capsys, "calibrate", str(path), *COMMANDS["calibrate"][1:])
    assert told == f"error: {path}: cannot be written (Permission denied); give another --out\n"


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    for name in ("there", "new"):
        files.check_writable(tmp_path / name)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"there": "x"}
    with pytest.raises(IsADirectoryError):
        files.check_writable(tmp_path)
