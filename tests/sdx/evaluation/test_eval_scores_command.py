"""`sdx eval-scores`: what it says about a file, and about what is none."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from sdx.cli import cli
from sdx.errors import DataError
from sdx.evaluation import score_file


def _scores(pairs: int = 4000, spread: float = 0.15) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    mated = random.permutation(pairs) % 2 == 0
    return np.clip(random.normal(np.where(mated, 0.6, 0.0), spread), -1, 1), mated


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["eval-scores", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_both_answers_stand_side_by_side(tmp_path: Path) -> None:
    score, mated = _scores()
    path = tmp_path / "scores.npz"
    np.savez(path, scores=score.astype(np.float32), label=mated.astype(int))
    found = json.loads(_run(str(path), "--json"))
    assert (found["mated"], found["nonmated"]) == (2000, 2000)
    exact, field = found["rates"]["1e-3"]
    assert (exact["policy"], field["policy"]) == ("at most", "nearest")
    assert exact["attained"] <= 1e-3
    assert exact["false_matches"] == 2
    assert exact["fnmr_interval"][0] <= exact["fnmr"] <= exact["fnmr_interval"][1]
    assert [found["rates"][name][0]["support"] for name in ("1e-1", "1e-2", "1e-3", "1e-4")] == [
        "good", "low", "none", "none",
    ]  # fmt: skip
    assert 0.95 < found["accuracy"]["exact"] <= 1
    assert abs(found["accuracy"]["exact"] - found["accuracy"]["insightface"]) < 0.02
    table = _run(str(path))
    assert "2,000 mated, 2,000 non-mated pairs" in table
    assert "not supported" in table
    assert "EER" in table


def test_distances_are_turned_round(tmp_path: Path) -> None:
    score, mated = _scores()
    np.savez(tmp_path / "a.npz", score=score, mated=mated)
    np.savez(tmp_path / "b.npz", d=2 - 2 * score, same=mated)
    one = json.loads(_run(str(tmp_path / "a.npz"), "--json"))
    other = json.loads(_run(str(tmp_path / "b.npz"), "--score", "d", "--label", "same", "--distance", "--json"))
    assert one["eer"] == pytest.approx(other["eer"])
    assert one["accuracy"] == pytest.approx(other["accuracy"], abs=1e-3)
    assert one["auc"] == pytest.approx(other["auc"])


def test_scores_of_another_range_have_no_accuracy() -> None:
    score, mated = _scores()
    assert score_file.judge(score * 100, mated).accuracy is None


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"a": np.zeros(3)}, "one of score, scores"),
        ({"score": np.zeros(3), "scores": np.zeros(3), "label": np.zeros(3)}, "one of score, scores"),
        ({"score": np.zeros((3, 1)), "label": np.zeros(3)}, "numbers [P], got float64 [3, 1]"),
        ({"score": np.array(["a"]), "label": np.zeros(1)}, "numbers [P]"),
        ({"score": np.zeros(3), "label": np.zeros(2)}, "a label for each of 3"),
        ({"score": np.zeros(3), "label": np.array([0, 1, 2])}, "labels 0 and 1"),
        ({"score": np.zeros(3), "label": np.zeros(3)}, "0 mated and 3 non-mated"),
        ({"score": np.array([np.nan, 0.0]), "label": np.array([0, 1])}, "NaN at position 0"),
        ({"score": np.array([object()]), "label": np.zeros(1)}, "plain arrays"),
    ],
)
def test_files_it_cannot_judge(tmp_path: Path, arrays: dict[str, Any], named: str) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError) as error:
        score_file.judge(*score_file.load(path))
    assert named in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04N.", b"\x93NUMPY" + bytes(200)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"expected an \.npz file of plain arrays"):
        score_file.load(path)


def test_an_archive_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("score.npy", bytes(1 << 20))
    monkeypatch.setattr(score_file, "_MOST_BYTES", 1000)
    with pytest.raises(DataError, match="at most 1,000 bytes"):
        score_file.load(path)
