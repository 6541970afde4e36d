"""A run that draws its next batch before the backward pass of this one cannot be told from one that does not."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from recorder import FakeRecorder
from small_run import RENDERED, RUN, TWO_STUDENTS
from torch import Tensor, nn

from sdx import config as configuration
from sdx import recipes, students
from sdx.config import OptimizerConfig
from sdx.training import ahead, graphs, run, tracking
from sdx.training.ahead import Ahead
from sdx.training.frozen import Frozen
from sdx.training.graphs import Halves
from sdx.training.interruption import Interrupted
from sdx.training.learner import Learner, TrainingError
from sdx.training.losses import EmbeddingLoss
from sdx.training.trainer import Trainer
from sdx.types import Batch, Proposal
from sdx.weights import artefact

HERE = "tests.sdx.training.test_ahead" if __name__.startswith("tests.") else __name__
KEYS = RUN | RENDERED | TWO_STUDENTS | {"ema": "64", "optimizer.clip": "1.0"}
SAMPLERS: dict[str, dict[str, str]] = {
    "fresh": {"sampler": "fresh"},
    "resample": {"sampler": "resample"},
    "pool": {"sampler": "pool", "sampler.capacity": "64", "sampler.reliability": "0.5", "sampler.steer": "hardest"},
}


class Forgetful(nn.Module):
    """A user's student, never recorded, whose dropout draws from torch's generator, and whose input is kept."""

    def __init__(self, embedding: int, size: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2)
        self.last = nn.Linear(8 * 16, embedding)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.adaptive_avg_pool2d(self.first(x).relu(), 4).flatten(1)
        embedding: Tensor = self.last(nn.functional.dropout(y, 0.3, self.training))
        return embedding


def _train(folder: Path, **keys: str) -> dict[str, Tensor]:
    run.train(configuration.override(recipes.get("demo"), KEYS | keys), folder)
    return {
        f"{file.parent.name}.{name}": value
        for file in sorted(folder.glob("students/*/model.safetensors"))
        for name, value in artefact.load(file).network.state_dict().items()
    }


def _traces(folder: Path) -> tuple[list[Any], bytes]:
    """Return what a run has logged, but for its speed, and the lineage of its images."""
    rows = [row for row in tracking.read(folder / "metrics.jsonl") if row["event"] in ("train", "validate")]
    return [row | {"images_per_second": None} for row in rows], (folder / "lineage.bin").read_bytes()


def _alike(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(params=[False, True], ids=["plain", "recorded"])
def recorders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[FakeRecorder]:
    """Have runs recorded, and return what records."""
    made: list[FakeRecorder] = []

    def recorder(enabled: bool, device: torch.device) -> FakeRecorder:
        made.append(FakeRecorder())
        return made[-1]

    if request.param:
        monkeypatch.setattr(graphs, "recorder", recorder)
    return made


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_run_drawn_ahead_is_the_run(tmp_path: Path, sampler: str, recorders: list[FakeRecorder]) -> None:
    plain = _train(tmp_path / "plain", **SAMPLERS[sampler])
    recorders.clear()
    overlapped = _train(tmp_path / "ahead", **SAMPLERS[sampler], overlap="true")
    assert _alike(plain, overlapped)
    assert _traces(tmp_path / "plain") == _traces(tmp_path / "ahead")
    if recorders:  # two halves of each student's six passes, in a memory of its own; source and teacher
        assert sorted((r.recorded, r.replayed) for r in recorders) == [(0, 0), (1, 6), (1, 12), (1, 12)]


def test_a_batch_outlives_the_drawing_of_the_next(tmp_path: Path, recorders: list[FakeRecorder]) -> None:
    """Faces and targets are outputs of a recorded graph, and a plain backward pass reads them."""
    keys = {"source": "stylegan2", "students": f"{HERE}:Forgetful", "augment.degrade": "0", "loss": "mse+cosine"}
    plain = _own(tmp_path / "plain", keys)
    assert _alike(plain, _own(tmp_path / "ahead", keys | {"overlap": "true"}))
    assert _traces(tmp_path / "plain") == _traces(tmp_path / "ahead")


def _own(folder: Path, keys: dict[str, str]) -> dict[str, Tensor]:
    own = {name: value for name, value in KEYS.items() if not name.startswith(("students.", "source."))}
    run.train(configuration.override(recipes.get("demo"), own | keys), folder)
    (file,) = folder.glob("students/*/model.safetensors")
    return artefact.load(file).network.state_dict()


def test_the_next_batch_is_drawn_between_the_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def telling(kind: type, name: str) -> None:
        plain = getattr(kind, name)

        def told(*args: Any, **kwargs: Any) -> Any:
            events.append(name.strip("_"))
            return plain(*args, **kwargs)

        monkeypatch.setattr(kind, name, told)

    for kind, name in ((Frozen, "__call__"), (Learner, "forward"), (Learner, "backward")):
        telling(kind, name)
    _train(tmp_path, overlap="true", images="48")
    step = ["forward", "forward", "call", "backward", "backward"]
    assert events == ["call", *step, *step, *(event for event in step if event != "call")]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("recorders", [False], indirect=True)
def test_a_run_that_is_stopped_and_resumed_is_the_run(
    tmp_path: Path, sampler: str, recorders: list[FakeRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to stop when the next batch is drawn already, it takes that step too; so nothing is lost or drawn twice."""
    whole = _train(tmp_path / "whole", **SAMPLERS[sampler])
    step = Trainer.step

    def signalled(trainer: Trainer, seen: int) -> dict[str, Any]:
        row = step(trainer, seen)
        if seen == 32:
            assert trainer._ahead is not None
            assert trainer._ahead.has_drawn
            os.kill(os.getpid(), signal.SIGINT)
        return row

    monkeypatch.setattr(Trainer, "step", signalled)
    with pytest.raises(Interrupted):
        _train(tmp_path / "stopped", **SAMPLERS[sampler], overlap="true")
    monkeypatch.setattr(Trainer, "step", step)
    assert [path.stem for path in (tmp_path / "stopped" / "checkpoints").glob("*.json")] == ["000000000064"]
    resumed = _train(tmp_path / "stopped", **SAMPLERS[sampler], overlap="true")
    assert _alike(whole, resumed)
    assert _traces(tmp_path / "whole") == _traces(tmp_path / "stopped")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_kept_on_the_way_is_the_same_and_serves_either_order(tmp_path: Path, sampler: str) -> None:
    keys = SAMPLERS[sampler] | {"checkpoint_every": "48", "images": "48"}
    for name, overlap in (("plain", "false"), ("ahead", "true")):
        _train(tmp_path / name, **keys, overlap=overlap)
    files = [tmp_path / name / "checkpoints" / "000000000048.safetensors" for name in ("plain", "ahead")]
    assert files[0].read_bytes() == files[1].read_bytes()
    there = _train(tmp_path / "plain", **keys | {"images": "144"}, overlap="true")
    assert _alike(there, _train(tmp_path / "ahead", **keys | {"images": "144"}, overlap="false"))
    files = [path.with_stem("000000000096") for path in files]
    assert files[0].read_bytes() == files[1].read_bytes()


def _learner(recorder: FakeRecorder | None) -> Learner:
    torch.manual_seed(2)
    return Learner(
        students.build("a", "small", 8, size=32),
        EmbeddingLoss(1.0, 0.5),
        OptimizerConfig(lr=0.01, clip=1.0),
        8,
        recorder,
    )


def _steps(learner: Learner, halves: bool, sizes: tuple[int, ...] = (4, 3, 4, 4, 3), value: float = 0.0) -> list[Any]:
    found: list[Any] = []
    for seed, size in enumerate(sizes):
        generator = torch.Generator().manual_seed(seed)
        face = torch.rand(size, 3, 32, 32, generator=generator) * 2 - 1
        target = torch.randn(size, 8, generator=generator) + value
        take = learner.forward if halves else learner.step
        loss, similarity = take(
            face, "aligned", target, Batch(torch.arange(size), face), rate=0.01 / (1 + seed), progress=0.0
        )
        found += [loss, *similarity.tolist()]
        if halves:
            learner.backward()
    return found


@pytest.mark.parametrize("recorder", [None, FakeRecorder()], ids=["plain", "recorded"])
def test_both_halves_are_the_step(recorder: FakeRecorder | None) -> None:
    whole, halved = _learner(None), _learner(recorder)
    assert _steps(whole, False) == _steps(halved, True)
    for network in ("student", "averaged"):
        assert _alike(whole.state_dict()[network], halved.state_dict()[network])
    if recorder is not None:
        assert (recorder.recorded, recorder.replayed) == (2, 10)


def test_a_loss_that_is_no_number_stops_before_the_backward_pass() -> None:
    learner = _learner(FakeRecorder())
    _steps(learner, True, (4,))
    before = {name: value.clone() for name, value in learner.student.named_parameters()}
    with pytest.raises(TrainingError, match="expected a finite loss"):
        _steps(learner, True, (4,), float("nan"))
    assert _alike(before, dict(learner.student.named_parameters()))
    with pytest.raises(AssertionError, match="a forward pass comes before"):
        learner.backward()


@pytest.mark.parametrize("recorder", [None, FakeRecorder()], ids=["plain", "recorded"])
def test_the_second_half_follows_the_shapes_of_the_first(recorder: FakeRecorder | None) -> None:
    left: list[Tensor] = []

    def first(x: Tensor) -> Tensor:
        left[:] = [x * 3]
        return x * 2

    halves = Halves(first, lambda: left[0] + 1, recorder)
    for length in (2, 3, 2):
        x = torch.arange(float(length)) + length
        assert torch.equal(halves(x), 2 * x)
        assert torch.equal(halves.second(), 3 * x + 1)


class _Stream:
    """A CUDA stream that tells what it is asked."""

    def __init__(self, name: str, events: list[str]) -> None:
        self._name, self._events = name, events

    def wait_stream(self, other: _Stream) -> None:
        self._events.append(f"{self._name} waits for {other._name}")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        self._events.append(f"on {self._name}")
        yield
        self._events.append(f"off {self._name}")


def test_streams_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    own, callers = _Stream("its own", events), _Stream("the caller's", events)
    monkeypatch.setattr(ahead.torch.cuda, "Stream", lambda device: own)
    monkeypatch.setattr(ahead.torch.cuda, "current_stream", lambda device: callers)
    monkeypatch.setattr(ahead.torch.cuda, "stream", lambda stream: stream.entered())

    def draw(seen: int) -> tuple[Proposal, Batch]:
        events.append(f"draws {seen}")
        index = torch.arange(seen, seen + 2)
        return Proposal(index, None, index, index.float()), Batch(index, torch.zeros(2, 3, 4, 4))

    made = Ahead(draw, torch.device("cuda", 0))
    assert made.take(0)[1].index.tolist() == [0, 1]
    assert events == ["draws 0"]
    made.draw(2)
    assert made.has_drawn
    made.join()
    assert made.take(2)[1].index.tolist() == [2, 3]
    assert not made.has_drawn
    assert events[1:] == [
        "its own waits for the caller's",
        "on its own",
        "draws 2",
        "off its own",
        "the caller's waits for its own",
    ]
