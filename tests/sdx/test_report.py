"""Pictures of a run hold what they are given."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sdx.errors import CheckpointError
from sdx.report import curve, grid
from sdx.training import tracking


def test_grid_places_every_face(tmp_path: Path) -> None:
    shade = torch.linspace(-1, 1, 5)
    faces = shade[:, None, None, None].expand(5, 3, 4, 4)
    grid.write(faces, tmp_path / "grid.png", columns=3, scale=2)
    picture = np.asarray(Image.open(tmp_path / "grid.png"))
    assert picture.shape == (2 * 4 * 2, 3 * 4 * 2, 3)
    centres = picture[4::8, 4::8, 0].reshape(-1)
    np.testing.assert_allclose(centres[:5] / 127.5 - 1, shade, atol=0.01)
    assert centres[5] == 0  # the place that no face fills


def test_curve_shows_every_student_and_both_kinds_of_rows(tmp_path: Path) -> None:
    rows = [
        {"event": "start", "images_seen": 0},
        {"event": "train", "images_seen": 10, "students": {"a": {"cosine": 0.1}, "b": {"cosine": 0.2}}},
        {"event": "train", "images_seen": 20, "students": {"a": {"cosine": 0.3}, "b": {"cosine": 0.4}}},
        {"event": "validate", "images_seen": 20, "students": {"a": {"cosine": 0.2}, "b": {"cosine": 0.3}}},
    ]
    curve.write(rows, tmp_path / "curve.png")
    colours = {tuple(c) for c in np.asarray(Image.open(tmp_path / "curve.png").convert("RGB")).reshape(-1, 3)}
    assert (31, 119, 180) in colours  # matplotlib's first colour: student a
    assert (255, 127, 14) in colours  # its second: student b


def test_a_run_without_rows_has_an_empty_curve(tmp_path: Path) -> None:
    curve.write([], tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size[0] > 100


def test_metrics_drop_what_lies_behind_the_checkpoint_and_a_line_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    first = tracking.Metrics(path, 0)
    for seen in (10, 20, 30):
        first.write("train", seen, loss=1.0)
    first.close()
    with path.open("a") as file:
        file.write('{"event": "train", "images_se')
    assert [row["images_seen"] for row in tracking.read(path)] == [10, 20, 30]
    second = tracking.Metrics(path, 20)
    second.write("start", 20)
    second.close()
    assert [(row["event"], row["images_seen"]) for row in tracking.read(path)] == [
        ("train", 10),
        ("train", 20),
        ("start", 20),
    ]


@pytest.mark.parametrize(
    "damage",
    [b"\xff\xfe\n", b"3\n", b"[1]\n", b"null\n", b'{"images_seen": [1]}\n', b'{"images_seen": 5}\n', b"[" * 100_000],
)
def test_a_resumed_run_drops_damaged_lines_of_metrics(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    first = tracking.Metrics(path, 0)
    first.write("train", 10, students={"a": {"cosine": 0.1}})
    first.close()
    path.write_bytes(path.read_bytes() + damage)
    tracking.Metrics(path, 20).close()
    assert [row["images_seen"] for row in tracking.read(path)] == [10]


def test_a_curve_leaves_out_rows_without_figures(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"images_seen": 10},
        {"event": "train", "images_seen": 10},
        {"event": "train", "images_seen": 10, "students": {"a": {}}},
    ]
    curve.write(rows, tmp_path / "damaged.png")
    curve.write([], tmp_path / "empty.png")
    assert (tmp_path / "damaged.png").read_bytes() == (tmp_path / "empty.png").read_bytes()


def test_metrics_that_cannot_be_written_are_one_line(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: cannot be written \(Is a directory\)"):
        tracking.Metrics(tmp_path / "metrics.jsonl", 0)
    metrics = tracking.Metrics(tmp_path / "other.jsonl", 0)
    with full_disk(200):
        metrics.write("train", 10)
        with pytest.raises(CheckpointError, match=r"other\.jsonl: cannot be written \(File too large\)"):
            metrics.write("train", 20, notices="x" * 200)
        metrics.close()
