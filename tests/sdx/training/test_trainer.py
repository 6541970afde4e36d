"""The loop with several students, and with a user's own classes in every place."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from small_run import RENDERED, RUN
from torch import Tensor, nn

from sdx import cli, recipes, students
from sdx import config as configuration
from sdx.errors import ArtefactError, ConfigError, SdxError
from sdx.networks import own
from sdx.training import run
from sdx.training.losses import LossOutput
from sdx.types import Batch, InputSpec, Proposal
from sdx.weights import artefact, registry
from sdx.weights.metadata import ArtefactMeta
from sdx.weights.model import LoadedModel

KEYS = RUN | RENDERED


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


class OwnStudent(nn.Module):
    """Colours of a coarse picture, and one linear layer."""

    def __init__(self, embedding: int, size: int) -> None:
        super().__init__()
        self.fc = nn.Linear(3 * 16, embedding)

    def forward(self, x: Tensor) -> Tensor:
        embedding: Tensor = self.fc(nn.functional.adaptive_avg_pool2d(x, 4).flatten(1))
        return embedding


class OwnLoss(nn.Module):
    """Mean absolute error."""

    def __init__(self, settings: Any, embedding: int, classes: int) -> None:
        super().__init__()

    def forward(self, embedding: Tensor, target: Tensor, batch: Batch, progress: float) -> LossOutput:
        cosine = nn.functional.cosine_similarity(embedding.detach(), target)
        return LossOutput((embedding - target).abs().mean(), cosine)


class OwnSampler:
    """Every second image of the source, and a memory of what it was told."""

    told: ClassVar[list[int]] = []

    def __init__(self, settings: Any, source: Any, students: list[str], random: Any) -> None:
        self._source = source

    def propose(self, n: int, images_seen: int) -> Proposal:
        index = 2 * torch.arange(images_seen, images_seen + n)
        return Proposal(index, self._source.root(index), torch.full_like(index, -1), torch.zeros(n))

    def observe(self, proposal: Proposal, similarity: Tensor) -> None:
        self.told.append(len(proposal.index))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class TooWide(nn.Module):
    """Returns one number more than it is asked for."""

    def __init__(self, embedding: int, size: int) -> None:
        super().__init__()
        self.fc = nn.Linear(3, embedding + 1)

    def forward(self, x: Tensor) -> Tensor:
        embedding: Tensor = self.fc(x.mean((2, 3)))
        return embedding


HERE = "tests.sdx.training.test_trainer" if __name__.startswith("tests.") else __name__


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
    made = _train(
        tmp_path / "own",
        source=f"{HERE}:OwnSource",
        teacher=f"{HERE}:OwnTeacher",
        sampler="fresh",
        images="960",
        **{"students.small.size": "32"},
    )
    assert set(made) == {"small"}
    kept = artefact.load(tmp_path / "own" / "students" / "small" / "model.safetensors").meta
    assert [(origin.role, origin.name) for origin in kept.provenance] == [("data", "own"), ("teacher", "own teacher")]
    assert not kept.commercial_use  # the teacher's licence is unknown


def test_a_users_own_loss_and_sampler(tmp_path: Path) -> None:
    OwnSampler.told.clear()
    made = _train(
        tmp_path / "own",
        teacher=str(_teacher(tmp_path)),
        loss=f"{HERE}:OwnLoss",
        sampler=f"{HERE}:OwnSampler",
        **{"students.small.size": "32"},
    )
    assert set(made) == {"small"}
    assert OwnSampler.told == [16] * 6


def test_a_users_own_student_and_no_file_that_asks_for_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    student = f"{HERE}:OwnStudent"
    made = _train(
        tmp_path / "own",
        teacher=str(_teacher(tmp_path)),
        students=student,
        **{f"students.{student.replace(':', '-')}.size": "32"} if "." not in HERE else {},
    )
    assert list(made) == [student.replace(":", "-")]
    monkeypatch.setattr(own, "_allowed", {})  # as in the next process
    with pytest.raises(ArtefactError, match=r"which no file may ask for: if you trust it, name it yourself with --own"):
        registry.resolve(str(tmp_path / "own"))
    monkeypatch.setattr("sys.argv", ["sdx", "eval", str(tmp_path / "own"), "--data", "absent.bin", "--own", student])
    with pytest.raises(SystemExit):
        cli.main()
    assert "absent.bin" in capsys.readouterr().err  # the model was loaded, the set was not
    assert [model.name for model in registry.resolve(str(tmp_path / "own"))] == list(made)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("TooWide", r"expected embeddings \[2, 32\] of two faces, got \[2, 33\]"),
        ("OwnSource", "cannot be made"),
        ("Nothing", "found none"),
    ],
)
def test_a_students_class_that_does_not_fit(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _train(tmp_path / "own", teacher=str(_teacher(tmp_path)), students=f"{HERE}:{name}")


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
