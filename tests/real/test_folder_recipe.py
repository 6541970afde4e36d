"""The `folder` recipe on real photographs and a real teacher runs to its end."""

import json
from pathlib import Path

import pytest

from sdx import config, recipes
from sdx.training import run

REAL = Path(__file__).parents[3] / "shared" / "real"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.is_dir(), reason="real faces and teacher are not at ../shared/real"),
]


def test_folder_recipe(tmp_path: Path) -> None:
    keys = {
        "source": str(REAL / "lfw_faces128.zip"),
        "source.frame": "ffhq",
        "teacher": f"edgeface:{REAL / 'edgeface_xs.pt'}",
        "students": "small",
        "images": "128",
        "held_out": "32",
        "eval": "none",
    }
    summary = run.train(config.override(recipes.folder(), keys), tmp_path / "run")
    assert summary.images_seen == 128
    assert list(summary.skipped) == []
    assert (tmp_path / "run" / "students" / "small" / "model.safetensors").is_file()
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["images_seen"] == 128
