"""`sdx generate` writes the same faces for the same seed, and refuses in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from sdx.cli import main


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sdx", "generate", *arguments])
    try:
        main()
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_grid_and_strip_of_the_built_in_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, again, other, strip = (tmp_path / f"{name}.png" for name in ("first", "again", "other", "strip"))
    for path, keys in ((first, ()), (again, ()), (other, ("--seed", "1"))):
        assert _run(monkeypatch, "--out", str(path), "--count", "10", *keys) == 0
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    assert _size(first) == (8 * 64, 2 * 64)
    keys = ("--count", "2", "--interpolate", "--scale", "2", "--source", "simface")
    assert _run(monkeypatch, "--out", str(strip), *keys) == 0
    assert _size(strip) == (8 * 128, 2 * 128)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--psi", "5"), "psi"),
        (("--psi", "nan"), "psi"),
        (("--psi", "0.5", "--source", "simface"), "--psi: expected --source stylegan2"),
        (("--source", ""), "--source: expected a source"),
        (("--source", "stylegan2:nobody"), "nobody"),
        (("--source", "stylegan3"), "stylegan2"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run(monkeypatch, "--out", str(tmp_path / "x.png"), *arguments) == 1
    assert not list(tmp_path.iterdir())
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert named in text
    assert text.count("\n") == 1


def test_a_folder_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "--out", str(tmp_path / "no" / "x.png"), "--count", "1") == 1
    assert "cannot be written" in capsys.readouterr().err


def test_images_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (faces := tmp_path / "faces").mkdir()
    for n in range(3):
        Image.new("RGB", (16, 16), (n, n, n)).save(faces / f"{n}.png")
    (faces / "broken.png").write_bytes(b"no image")
    assert _run(monkeypatch, "--out", str(tmp_path / "x.png"), "--source", str(faces)) == 0
    assert capsys.readouterr().err == "1 unreadable images were skipped: broken.png\n"
