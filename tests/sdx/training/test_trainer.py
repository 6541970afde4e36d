"""The loop with several students, and with a user's own classes in every place."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdx import config as configuration
from sdx import recipes, students
from sdx.errors import ConfigError, SdxError
from sdx.training import run
from sdx.types import Batch, InputSpec
from sdx.weights import artefact
from sdx.weights.metadata import ArtefactMeta
from sdx.weights.model import LoadedModel

KEYS = {
    "source": "simface",
    "source.size": "32",
    "images": "96",
    "batch": "16",
    "eval": "none",
    "baselines": "false",
    "held_out": "8",
    "validate_every": "32",
    "checkpoint_every": "none",
}


class OwnSource:
    """An index source of grey faces, as a user would write one."""

    frame = "aligned"
    size = 32
    name = "own"
    statement = "grey squares"
    licence = "CC0-1.0"
    classes = 0

    def __init__(self, settings: Any, random: Any) -> None:
        self.skipped: list[str] = []

    def draw(self, index: Tensor) -> Batch:
        shade = (index.float() * 0.7).sin()
        noise = torch.stack([torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(int(i))) for i in index])
        return Batch(index, (shade[:, None, None, None] + 0.2 * noise).clamp(-1, 1))


class OwnTeacher:
    """Embeds a face as its mean colour in four places."""

    name = "own teacher"
    embedding = 12
    sha256 = "0" * 64

    def embed(self, face: Tensor, frame: str) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(face, 2).flatten(1)


def _teacher(path: Path) -> Path:
    torch.manual_seed(1)
    made = students.build("teacher", "small", 32, size=32).to_artefact(licence="MIT")
    artefact.save(path / "teacher.safetensors", made)
    return path / "teacher.safetensors"


def _train(folder: Path, **keys: str) -> dict[str, dict[str, Tensor]]:
    run.train(configuration.override(recipes.get("demo"), {**KEYS, **keys}), folder)
    files = sorted(folder.glob("students/*/model.safetensors"))
    return {file.parent.name: artefact.load(file).network.state_dict() for file in files}


def test_students_side_by_side_are_the_students_alone(tmp_path: Path) -> None:
    teacher = str(_teacher(tmp_path))
    sizes = {"students.small.size": "32", "students.mobilefacenet.size": "32"}
    # steered by one student, so that both runs draw the same faces
    both = _train(
        tmp_path / "both", teacher=teacher, students="small,mobilefacenet", **sizes, **{"sampler.steer": "small"}
    )
    alone = _train(
        tmp_path / "alone", teacher=teacher, students="small", **{"students.small.size": "32", "sampler.steer": "small"}
    )
    assert set(both) == {"small", "mobilefacenet"}
    assert [name for name, value in alone["small"].items() if not torch.equal(value, both["small"][name])] == []


def test_a_users_own_source_and_teacher_train_a_student(tmp_path: Path) -> None:
    here = "tests.sdx.training.test_trainer" if __name__.startswith("tests.") else __name__
    made = _train(
        tmp_path / "own",
        source=f"{here}:OwnSource",
        teacher=f"{here}:OwnTeacher",
        sampler="fresh",
        images="960",
        **{"students.small.size": "32"},
    )
    assert set(made) == {"small"}
    kept = artefact.load(tmp_path / "own" / "students" / "small" / "model.safetensors").meta
    assert [(origin.role, origin.name) for origin in kept.provenance] == [("data", "own"), ("teacher", "own teacher")]
    assert not kept.commercial_use  # the teacher's licence is unknown


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("source", "no_such_module:Source"),
        ("source", "sdx.types:Nothing"),
        ("source", "simfce"),
        ("sampler", "resampel"),
        ("loss", "mean"),
    ],
)
def test_unknown_parts_are_refused_in_one_line(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(SdxError, match=value.split(":")[0]) as caught:
        _train(tmp_path / "run", teacher=str(_teacher(tmp_path)), **{key: value})
    assert "\n" not in str(caught.value)


def test_a_loaded_model_says_where_it_comes_from() -> None:
    meta = ArtefactMeta(name="x", architecture="small", embedding=32)
    student = students.build("x", "small", 32, size=32)
    assert LoadedModel.of(artefact.Artefact(student.network, InputSpec(32), meta)).licence == "unknown"


def test_margin_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="labelled source"):
        _train(tmp_path / "run", teacher=str(_teacher(tmp_path)), loss="margin")
