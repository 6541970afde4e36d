"""Recorded work: its buffers, its shapes and its outputs, on a stand-in; and a run that cannot be told apart by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from recorder import FakeRecorder
from small_run import RUN, TWO_STUDENTS
from torch import Tensor, nn

from sdx import config as configuration
from sdx import recipes, sources, students, teachers
from sdx.config import AugmentConfig, OptimizerConfig, SourceConfig
from sdx.random import Philox
from sdx.teachers import Embedder
from sdx.training import graphs, run, tracking
from sdx.training.frozen import Frozen
from sdx.training.graphs import MOST, Graphed
from sdx.training.learner import Learner, TrainingError
from sdx.training.losses import EmbeddingLoss
from sdx.types import Batch, Proposal
from sdx.weights import artefact

CPU = torch.device("cpu")


def _sums(a: Tensor, b: Tensor | None) -> tuple[Tensor, tuple[Tensor | None, Tensor]]:
    return a * 2, (None if b is None else a + b, a.sum())


def test_without_a_recorder_it_is_the_function() -> None:
    x = torch.arange(3.0)
    assert torch.equal(Graphed(_sums, None)(x, None)[0], 2 * x)
    kept = x.view(3)
    assert Graphed(lambda tensor: tensor, None)(kept) is kept


def test_inputs_are_copied_in_and_outputs_are_the_same_memory() -> None:
    recorder = FakeRecorder()
    graphed = Graphed(_sums, recorder)
    first = torch.arange(3.0), torch.ones(3)
    double, (total, all_) = graphed(*first)
    assert torch.equal(double, 2 * first[0])
    assert total is not None
    assert torch.equal(total, first[0] + 1)
    assert float(all_) == 3.0
    again, (total_again, _) = graphed(torch.full((3,), 5.0), torch.full((3,), 2.0))
    assert again is double
    assert total_again is total
    assert double.tolist() == [10.0] * 3  # overwritten, as is said
    assert total.tolist() == [7.0] * 3
    assert first[0].tolist() == [0.0, 1.0, 2.0]  # what came in is no buffer
    assert (recorder.recorded, recorder.replayed) == (1, 2)


def test_each_tuple_of_shapes_dtypes_and_absences_is_recorded_once() -> None:
    recorder = FakeRecorder()
    graphed = Graphed(_sums, recorder)
    three, four = torch.ones(3), torch.ones(4)
    calls: list[tuple[Tensor, Tensor | None]] = [(three, three), (four, four), (three, None), (three.double(), three)]
    found = [graphed(*call)[0] for call in calls]
    assert recorder.recorded == 4
    for call in calls:
        graphed(call[0] * 2, call[1])
    assert recorder.recorded == 4
    assert [float(each.sum()) for each in found] == [12.0, 16.0, 12.0, 12.0]
    assert [len(each) for each in found] == [3, 4, 3, 3]


def test_more_shapes_than_are_kept_are_called_plainly() -> None:
    recorder = FakeRecorder()
    graphed = Graphed(_sums, recorder)
    for length in range(1, MOST + 3):
        assert torch.equal(graphed(torch.ones(length), None)[0], torch.full((length,), 2.0))
    assert recorder.recorded == recorder.replayed == MOST
    graphed(torch.ones(1), None)
    assert recorder.replayed == MOST + 1


def test_inference_tensors_do_not_get_into_the_buffers() -> None:
    graphed = Graphed(_sums, FakeRecorder())
    with torch.inference_mode():
        graphed(torch.ones(3), None)
    assert torch.equal(graphed(torch.full((3,), 3.0), None)[0], torch.full((3,), 6.0))


def test_warming_up_changes_nothing() -> None:
    count = torch.zeros(())

    def counting(x: Tensor) -> Tensor:
        return x + count.add_(1)

    recorder = FakeRecorder()
    graphed = Graphed(counting, recorder, lambda: [count])
    assert graphed(torch.zeros(2)).tolist() == [1.0, 1.0]
    assert graphed(torch.zeros(2)).tolist() == [2.0, 2.0]
    assert float(count) == 2.0


@pytest.mark.parametrize(("enabled", "check"), [(True, "1"), (False, "0")])
def test_no_recorder_where_it_cannot_or_may_not(enabled: bool, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDX_KERNELS_CHECK", check)
    assert graphs.recorder(enabled, torch.device("cuda", 0)) is None
    monkeypatch.delenv("SDX_KERNELS_CHECK")
    assert graphs.recorder(True, CPU) is None


def _learner(recorder: FakeRecorder | None, loss: nn.Module | None = None, architecture: str = "small") -> Learner:
    torch.manual_seed(2)
    student = students.build("a", architecture, 8, size=32)
    config = OptimizerConfig(lr=0.01, clip=1.0)
    return Learner(student, loss or EmbeddingLoss(1.0, 0.5), config, 8, recorder)  # type: ignore[arg-type]  # a Module


def _steps(learner: Learner, sizes: tuple[int, ...], value: float = 0.0) -> list[float]:
    found = []
    for seed, size in enumerate(sizes):
        generator = torch.Generator().manual_seed(seed)
        face = torch.rand(size, 3, 32, 32, generator=generator) * 2 - 1
        target = torch.randn(size, 8, generator=generator) + value
        batch = Batch(torch.arange(size), face)
        loss, similarity = learner.step(face, "aligned", target, batch, rate=0.01, progress=0.0)
        found += [loss, *similarity.tolist()]
    return found


def test_a_recorded_students_steps_are_its_steps() -> None:
    """Two batch sizes in turn: each graph has gradients of its own."""
    recorder = FakeRecorder()
    plain, recorded = _learner(None), _learner(recorder)
    sizes = (4, 3, 4, 4, 3)
    assert _steps(plain, sizes) == _steps(recorded, sizes)
    assert (recorder.recorded, recorder.replayed) == (2, 5)
    for network in ("student", "averaged"):
        ours, wanted = recorded.state_dict()[network], plain.state_dict()[network]
        assert [name for name in wanted if not torch.equal(wanted[name], ours[name])] == []


def test_gradients_are_those_of_the_graph_that_was_replayed() -> None:
    """A replay writes where its own recording did, whatever has been recorded since."""
    learner = _learner(FakeRecorder())
    weight = next(learner.student.parameters())
    found = []
    for size in (4, 3, 4, 3):
        _steps(learner, (size,))
        found.append(weight.grad)
    assert found[0] is found[2]
    assert found[1] is found[3]
    assert found[0] is not found[1]


def test_a_recorded_loss_that_is_no_number_changes_no_weight() -> None:
    learner = _learner(FakeRecorder())
    _steps(learner, (4,))
    before = {name: value.clone() for name, value in learner.student.named_parameters()}
    with pytest.raises(TrainingError, match="expected a finite loss"):
        _steps(learner, (4,), float("nan"))
    assert all(torch.equal(before[name], value) for name, value in learner.student.named_parameters())


class _Ramp(EmbeddingLoss):
    """Looks at more than a graph may hold."""

    capturable = False


def test_a_loss_that_does_not_allow_it_is_not_recorded() -> None:
    recorder = FakeRecorder()
    _steps(_learner(recorder, _Ramp(1.0, 0.5)), (4, 4))
    assert recorder.recorded == 0


class _Colours:
    """A user's teacher."""

    name = "colours"
    embedding = 12
    sha256 = "0" * 64

    def embed(self, face: Tensor, frame: str) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(face, 2).flatten(1)


def _teacher(kind: str) -> Embedder | None:
    return None if kind == "none" else _Colours() if kind == "own" else teachers.build("simface-teacher")


@pytest.mark.parametrize(
    ("source", "teacher", "recorded"),
    [
        ("stylegan2", "ours", 1),
        ("stylegan2", "none", 1),
        ("stylegan2", "own", 1),
        ("simface", "ours", 1),
        ("simface", "own", 0),
        ("simface-labelled", "none", 0),
    ],
)
@pytest.mark.parametrize("flip", [False, True])
def test_what_can_be_recorded_is_and_all_is_the_same(source: str, teacher: str, recorded: int, flip: bool) -> None:
    built = sources.build(SourceConfig(kind=source, identities=4, views=4), Philox(0))
    recorder = FakeRecorder()
    augment, embedder = AugmentConfig(flip=flip), _teacher(teacher)
    plain = Frozen(built, embedder, augment, Philox(0), CPU, None)
    ours = Frozen(built, embedder, augment, Philox(0), CPU, recorder)
    unmirrored = Frozen(built, embedder, AugmentConfig(), Philox(0), CPU, None)
    for start in (0, 3):
        index = torch.arange(start, start + 6)
        latent = built.root(index) if isinstance(built, sources.LatentSource) else None
        proposal = Proposal(index, latent, torch.full_like(index, -1), torch.zeros(6))
        wanted, got = plain(proposal), ours(proposal)
        assert torch.equal(got.index, index)
        for name in ("face", "latent", "target", "label"):
            a, b = getattr(wanted, name), getattr(got, name)
            assert (a is None) == (b is None)
            assert a is None or torch.equal(a, b)
        assert torch.equal(wanted.face, unmirrored(proposal).face) != flip
        assert (wanted.target is None) == (embedder is None)
        if embedder is not None:
            torch.testing.assert_close(got.target, embedder.embed(wanted.face, built.frame))
    assert recorder.recorded == recorded
    assert recorder.replayed == 2 * recorded


class _Stored:
    """A source that brings its targets."""

    frame, size, name, statement, licence, classes = "aligned", 32, "stored", "noise", "CC0-1.0", 0

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def draw(self, index: Tensor) -> Batch:
        return Batch(index, torch.rand(len(index), 3, 32, 32), target=torch.ones(len(index), 5))


def test_a_stored_target_needs_no_teacher() -> None:
    recorder = FakeRecorder()
    frozen = Frozen(_Stored(), _teacher("ours"), AugmentConfig(flip=True), Philox(0), CPU, recorder)  # type: ignore[arg-type]  # frame
    index = torch.arange(4)
    batch = frozen(Proposal(index, None, index - 5, torch.zeros(4)))
    assert batch.target is not None
    assert torch.equal(batch.target, torch.ones(4, 5))
    assert torch.equal(frozen.target(batch), batch.target)  # type: ignore[arg-type]  # it has one
    assert recorder.recorded == 0


KEYS = RUN | TWO_STUDENTS | {"images": "160"}


def _train(folder: Path, source: str) -> tuple[dict[str, Tensor], list[Any]]:
    config = configuration.override(recipes.get("demo"), {**KEYS, "source": source})
    run.train(config, folder)
    files = sorted(folder.glob("students/*/model.safetensors"))
    assert len(files) == 2
    weights = {f"{f.parent.name}.{k}": v for f in files for k, v in artefact.load(f).network.state_dict().items()}
    rows = [row for row in tracking.read(folder / "metrics.jsonl") if row["event"] in ("train", "validate")]
    return weights, [{key: value for key, value in row.items() if key != "images_per_second"} for row in rows]


@pytest.mark.parametrize("source", ["stylegan2", "simface"])
def test_a_run_of_recorded_work_is_the_run(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, rows = _train(tmp_path / "plain", source)
    recorders = []

    def recorder(enabled: bool, device: torch.device) -> FakeRecorder:
        recorders.append(FakeRecorder())
        return recorders[-1]

    monkeypatch.setattr(graphs, "recorder", recorder)
    recorded, rows_recorded = _train(tmp_path / "recorded", source)
    assert [name for name in plain if not torch.equal(plain[name], recorded[name])] == []
    assert rows == rows_recorded
    assert len(rows) == 10 + 5
    assert source == "simface" or any(0 < row.get("teacher_cosine_to_parent", 0) < 0.999 for row in rows)
    assert [(r.recorded, r.replayed) for r in recorders] == [(2, 20), (1, 10)]  # two students; source and teacher
