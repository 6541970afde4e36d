"""Verification in the middle of a run reports, and leaves the run as it was."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdx import config as configuration
from sdx import recipes, students
from sdx.training import run, tracking
from sdx.weights import artefact

PAIRS = 20


def _png(random: np.random.Generator) -> bytes:
    file = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    random = np.random.default_rng(0)
    faces = tmp_path / "lfw_faces"
    faces.mkdir()
    for number in range(24):
        (faces / f"{number}.png").write_bytes(_png(random))
    items = [_png(random) for _ in range(PAIRS)]
    bins = [item for n in range(PAIRS) for item in (items[n], items[n] if n % 2 else items[(n + 1) % PAIRS])]
    (tmp_path / "set.bin").write_bytes(pickle.dumps((bins, [n % 2 == 1 for n in range(PAIRS)])))
    torch.manual_seed(1)
    made = students.build("teacher", "small", 32, size=32).to_artefact(licence="MIT")
    artefact.save(tmp_path / "teacher.safetensors", made)
    return {
        "source": f"{faces}/",
        "source.size": "32",
        "teacher": str(tmp_path / "teacher.safetensors"),
        "students": "small",
        "students.small.size": "32",
        "images": "96",
        "batch": "16",
        "held_out": "2",
        "validate_every": "none",
        "checkpoint_every": "none",
        "baselines": "false",
        "eval": str(tmp_path / "set.bin"),
    }


def test_verification_at_intervals_changes_nothing(keys: dict[str, str], tmp_path: Path) -> None:
    weights = []
    for every in ("32", "none"):
        folder = tmp_path / f"run-{every}"
        config = configuration.override(recipes.get("folder"), {**keys, "eval_every": every})
        outcome = run.train(config, folder).outcome
        rows = [row for row in tracking.read(folder / "metrics.jsonl") if row["event"] == "evaluate"]
        assert [row["images_seen"] for row in rows] == ([32, 64, 96] if every == "32" else [])
        if rows:  # the last of them is the student that was kept
            (accuracy,) = rows[-1]["students"]["small"].values()
            assert accuracy == outcome.rows[-1].accuracy["set"]
        weights.append(artefact.load(folder / "students" / "small" / "model.safetensors").network.state_dict())
    assert [name for name, value in weights[0].items() if not torch.equal(value, weights[1][name])] == []


def test_a_student_of_lfws_images_says_so(keys: dict[str, str], tmp_path: Path) -> None:
    outcome = run.train(configuration.override(recipes.get("folder"), keys), tmp_path / "run").outcome
    assert [row.model for row in outcome.rows] == ["teacher", "small"]
    assert len(outcome.remarks) == 1
    assert "small has seen LFW's images" in outcome.remarks[0]
    assert "without labels" in outcome.remarks[0]
