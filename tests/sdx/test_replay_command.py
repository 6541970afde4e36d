"""`sdx replay` writes an image behind its ancestors, and refuses in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdx import config, recipes, students
from sdx.cli import main
from sdx.report import strip
from sdx.training import run
from sdx.training.replay import Replay
from sdx.weights import artefact


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of 64 images."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(1)
    artefact.save(
        folder / "teacher.safetensors", students.build("teacher", "small", 32, size=32).to_artefact(licence="MIT")
    )
    keys = {"teacher": str(folder / "teacher.safetensors"), "sampler": "resample"}
    keys |= {"source": "simface", "source.size": "32"}
    sizes = {"images": "64", "batch": "16", "students.small.size": "32", "held_out": "0", "validate_every": "none"}
    off = {"eval": "none", "baselines": "false"}
    run.train(config.override(recipes.get("demo"), keys | sizes | off), folder / "run")
    return folder / "run"


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sdx", "replay", *arguments])
    try:
        main()
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def test_a_strip_of_two_images(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "strip.png"
    assert _run(monkeypatch, str(finished), "--image", "5", "--image", "8", "--out", str(path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("image 4, cosine ")
    assert " -> image 5, step " in lines[0]
    assert lines[1].startswith("image 8, cosine ")
    assert lines[2] == f"3 faces in {path}"
    with Image.open(path) as picture:
        seen = np.asarray(picture)
    assert seen.shape == (2 * (128 + 3 * 14 + 4), 256, 3)
    first, second = Replay(finished).ancestry(5)
    for place, portrait in enumerate((first, second)):
        face = portrait.face.mul(127.5).add(127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        assert (seen[2:128:4, 128 * place + 2 : 128 * (place + 1) : 4] == face).all()
    assert (seen[132:160, :256] < 128).any()  # words
    assert (seen[174:302, 128:] == 255).all()  # image 8 is a root


def test_the_run_folder_takes_the_picture(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, str(finished), "--image", "63") == 0
    assert f"faces in {finished / 'replay.png'}" in capsys.readouterr().out
    first = (finished / "replay.png").read_bytes()
    assert _run(monkeypatch, str(finished), "--image", "63") == 0
    assert (finished / "replay.png").read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("RUN", "--image", "64"), "image 64: expected one of the 64 that the run drew"),
        (("absent", "--image", "1"), "absent/config.toml: expected a TOML configuration"),
        (("RUN", "--image", "1", "--out", "absent/x.png"), "give another --out"),
    ],
)
def test_bad_input_is_one_line(
    finished: Path,
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(monkeypatch, *(str(finished) if word == "RUN" else word for word in arguments)) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert words in text
    assert text.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("--image", "-1"), ("--image", "x")])
def test_wrong_usage(finished: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(monkeypatch, str(finished), *arguments) == 2


def test_rows_of_unequal_length_and_large_faces(tmp_path: Path) -> None:
    white, black = torch.ones(3, 200, 200), -torch.ones(3, 200, 200)
    (tmp_path / "x.png").write_bytes(strip.png([[(white, ["a"])], [(black, []), (white, ["a", "b"])]]))
    with Image.open(tmp_path / "x.png") as picture:
        seen = np.asarray(picture)
    height = 200 + 2 * 14 + 4
    assert seen.shape == (2 * height, 400, 3)
    assert (seen[:200] == 255).all()
    assert (seen[height : height + 200, :200] == 0).all()
