"""What a sampler may ask about its faces: groups, and how reliable the teacher is on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from sdx import config as configuration
from sdx import recipes, sources, students
from sdx.config import AugmentConfig, SamplerConfig, SourceConfig
from sdx.devices import CPU
from sdx.errors import ConfigError
from sdx.random import Philox
from sdx.sources import LatentSource
from sdx.teachers import Teacher
from sdx.training import run, sampling
from sdx.training.evidence import Evidence
from sdx.training.frozen import Frozen
from sdx.training.pool import Pool
from sdx.types import Batch, Proposal, Stream
from sdx.weights import artefact
from sdx.weights.model import LoadedModel

RANDOM = Philox(5)


@pytest.fixture
def source() -> LatentSource:
    made = sources.build(SourceConfig(size=32), RANDOM)
    assert isinstance(made, LatentSource)
    return made


@pytest.fixture
def teacher() -> Teacher:
    torch.manual_seed(1)
    return Teacher(LoadedModel.of(students.build("teacher", "small", 32, size=32).to_artefact(licence="MIT")))


def _frozen(source: LatentSource, teacher: Teacher | None) -> Frozen:
    return Frozen(source, teacher, AugmentConfig(flip=True), RANDOM, CPU, None)


def _pool(source: LatentSource, share: float) -> Pool:
    made = sampling.build(SamplerConfig(kind="pool", reliability=share, capacity=64), source, ["a", "b"], RANDOM)
    assert isinstance(made, Pool)
    return made


def _similarity(n: int) -> Tensor:
    return torch.from_numpy(RANDOM.uniforms(Stream.SHUFFLE, np.arange(n), 2).T.copy())


def _told(source: LatentSource, teacher: Teacher, share: float, n: int = 12) -> tuple[Any, Evidence, Tensor]:
    """Return the pool's entries after one batch, what it could ask, and the similarities, [2, n]."""
    pool, frozen, similarity = _pool(source, share), _frozen(source, teacher), _similarity(n)
    proposal = pool.propose(n, 0)
    evidence = Evidence(frozen(proposal), frozen)
    sampling.observe(pool, proposal, similarity, evidence)
    return pool._pool.entries(pool._pool.ids()), evidence, similarity


def test_reliability_is_the_teachers_cosine_of_face_and_mirror_image(source: LatentSource, teacher: Teacher) -> None:
    frozen = _frozen(source, teacher)
    index = torch.arange(6)
    batch = frozen(Proposal(index, source.root(index), torch.full((6,), -1), torch.zeros(6)))
    rows = torch.tensor([4, 1])
    got = Evidence(batch, frozen).reliability(rows)
    face = batch.face[rows]
    a, b = (
        teacher.embed(seen, source.frame).double().numpy() for seen in (face, face[:, :, :, torch.arange(31, -1, -1)])
    )
    expected = (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)
    assert got.dtype == torch.float32
    assert expected.max() < 0.9999  # these faces are not symmetric: the test can fail


def test_the_hardest_are_measured_and_the_others_take_their_mean(source: LatentSource, teacher: Teacher) -> None:
    entries, evidence, similarity = _told(source, teacher, 0.25)
    order = similarity.mean(0).argsort()
    measured = evidence.reliability(order[:3]).numpy()
    np.testing.assert_allclose(entries.reliability[order[:3]], measured, atol=1e-6)
    np.testing.assert_allclose(entries.reliability[order[3:]], np.full(9, measured.mean()), atol=1e-6)
    gap = 1 - similarity.mean(0).numpy()
    np.testing.assert_allclose(entries.priority, gap * entries.reliability, atol=1e-6)


def test_all_or_none_are_measured(source: LatentSource, teacher: Teacher) -> None:
    entries, evidence, _ = _told(source, teacher, 1.0)
    np.testing.assert_allclose(entries.reliability, evidence.reliability(torch.arange(12)).numpy(), atol=1e-5)
    entries, _, _ = _told(source, teacher, 0.0)
    assert (entries.reliability == 1).all()


def test_a_face_that_the_teacher_does_not_know_in_the_mirror_is_left_alone(
    source: LatentSource, teacher: Teacher
) -> None:
    class Doubtful(Evidence):
        def reliability(self, rows: Tensor) -> Tensor:
            return torch.where(rows % 2 == 0, 0.01, 1.0)

    pool, frozen, n = _pool(source, 1.0), _frozen(source, teacher), 64
    proposal = pool.propose(n, 0)
    sampling.observe(pool, proposal, torch.full((2, n), 0.5), Doubtful(frozen(proposal), frozen))
    parent = pool.propose(20, n).parent
    assert len(parent[parent >= 0]) == 10
    assert (parent[parent >= 0] % 2 == 1).sum() >= 8  # one in ten is drawn whatever its priority


def test_groups_reach_the_pool(source: LatentSource, teacher: Teacher) -> None:
    entries, evidence, _ = _told(source, teacher, 0.0)
    expected = source.draw(torch.arange(12), source.root(torch.arange(12))).group
    assert expected is not None
    assert entries.group.tolist() == expected.tolist() == evidence.group().tolist()
    assert len(set(entries.group.tolist())) > 1
    face = torch.zeros(3, 3, 32, 32)
    assert Evidence(Batch(torch.arange(3), face), _frozen(source, teacher)).group().tolist() == [-1] * 3


def test_reliability_needs_a_teacher(source: LatentSource) -> None:
    frozen = _frozen(source, None)
    index = torch.arange(2)
    batch = frozen(Proposal(index, source.root(index), torch.full((2,), -1), torch.zeros(2)))
    with pytest.raises(ConfigError, match="give teacher=MODEL"):
        Evidence(batch, frozen).reliability(index)
    keys = {"teacher": "none", "loss": "margin", "sampler.reliability": "0.5", "sampler": "pool"}
    with pytest.raises(ConfigError, match=r"sampler\.reliability: is the teacher's"):
        configuration.override(recipes.get("demo"), keys)
    with pytest.raises(ConfigError, match=r"sampler\.reliability: .*less than or equal to 1, got '2'"):
        configuration.override(recipes.get("demo"), {"sampler.reliability": "2"})


class Asking:
    """A user's sampler that asks for groups and for the reliability of its first two faces."""

    told: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, settings: Any, source: Any, students: list[str], random: Any) -> None:
        self._source = source

    def propose(self, n: int, images_seen: int) -> Proposal:
        index = torch.arange(images_seen, images_seen + n)
        return Proposal(index, self._source.root(index), torch.full_like(index, -1), torch.zeros(n))

    def observe(self, proposal: Proposal, similarity: Tensor) -> None:
        raise AssertionError("it is told by examine")

    def examine(self, proposal: Proposal, similarity: Tensor, evidence: Evidence) -> None:
        assert similarity.shape == (1, len(proposal))
        self.told.append((len(evidence.group()), len(evidence.reliability(torch.tensor([0, 1])))))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class Counted:
    """A teacher that counts the faces it saw."""

    name, embedding, sha256 = "counted", 12, "0" * 64
    faces: ClassVar[list[int]] = []

    def embed(self, face: Tensor, frame: str) -> Tensor:
        self.faces.append(len(face))
        return torch.nn.functional.adaptive_avg_pool2d(face, 2).flatten(1)


HERE = "tests.sdx.training.test_examining_samplers" if __name__.startswith("tests.") else __name__


@pytest.mark.parametrize(
    ("keys", "seen"),
    [
        ({"sampler": "fresh"}, [8] * 4),
        ({"sampler": "resample"}, [8] * 4),
        ({"sampler": "pool"}, [8] * 4),
        ({"sampler": "pool", "sampler.reliability": "0.25"}, [8, 2] * 4),
        ({"sampler": f"{HERE}:Asking"}, [8, 2] * 4),
    ],
)
def test_a_second_look_of_the_teacher_is_had_by_who_asks_alone(
    tmp_path: Path, keys: dict[str, str], seen: list[int]
) -> None:
    Counted.faces.clear()
    Asking.told.clear()
    fixed = {
        "source": "simface",
        "source.size": "32",
        "students.small.size": "32",
        "teacher": f"{HERE}:Counted",
        "images": "32",
        "batch": "8",
        "held_out": "0",
        "eval": "none",
        "baselines": "false",
        "validate_every": "none",
        "checkpoint_every": "none",
    }
    run.train(configuration.override(recipes.get("demo"), fixed | keys), tmp_path / "run")
    assert Counted.faces == seen
    assert Asking.told == ([(8, 2)] * 4 if "Asking" in keys["sampler"] else [])
    assert artefact.load(tmp_path / "run" / "students" / "small" / "model.safetensors").meta.embedding == 12
