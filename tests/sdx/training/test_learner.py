"""One optimiser step: averaged weights by their recursion, and no step on a loss that is not a number."""

import copy

import pytest
import torch

from sdx import students
from sdx.config import OptimizerConfig
from sdx.training.learner import Learner, TrainingError
from sdx.training.losses import EmbeddingLoss
from sdx.types import Batch


def _learner(ema: int | None, config: OptimizerConfig | None = None) -> Learner:
    torch.manual_seed(2)
    student = students.build("a", "small", 8, size=32)
    return Learner(student, EmbeddingLoss(1.0, 0.0), config or OptimizerConfig(lr=0.01), ema)


def _step(learner: Learner, seed: int, value: float = 0.0) -> None:
    generator = torch.Generator().manual_seed(seed)
    face = torch.rand(4, 3, 32, 32, generator=generator) * 2 - 1
    target = torch.randn(4, 8, generator=generator) + value
    learner.step(face, "aligned", target, Batch(torch.arange(4), face), rate=0.01, progress=0.0)


def test_averaged_weights() -> None:
    learner = _learner(8)
    names = [name for name, _ in learner.student.named_parameters()]
    expected = {name: learner.student.state_dict()[name].double().clone() for name in names}
    for seed in range(3):
        _step(learner, seed)
        for name in names:
            expected[name] += (1 - 2 ** (-4 / 8)) * (learner.student.state_dict()[name].double() - expected[name])
    for name in names:
        torch.testing.assert_close(learner.result.state_dict()[name].double(), expected[name], atol=1e-6, rtol=1e-5)
    assert _learner(None).result.training


def test_a_loss_that_is_no_number_changes_no_weight() -> None:
    learner = _learner(None)
    before = copy.deepcopy(dict(learner.student.named_parameters()))
    with pytest.raises(TrainingError, match="expected a finite loss"):
        _step(learner, 0, float("nan"))
    assert all(torch.equal(before[name], value) for name, value in learner.student.named_parameters())


def test_a_gradient_is_clipped_to_its_norm_and_a_short_one_is_left() -> None:
    """One step of plain SGD moves the weights by rate times the clipped gradient."""
    moved = {}
    for clip in (None, 0.5, 1e6):
        learner = _learner(None, OptimizerConfig(kind="sgd", lr=0.01, momentum=0.0, clip=clip))
        before = torch.cat([p.detach().clone().flatten() for p in learner.student.parameters()])
        _step(learner, 0, 5.0)
        after = torch.cat([p.detach().flatten() for p in learner.student.parameters()])
        moved[clip] = (after - before).double() / 0.01
    assert moved[None].norm() > 1
    torch.testing.assert_close(moved[1e6], moved[None])
    torch.testing.assert_close(moved[0.5], moved[None] * 0.5 / moved[None].norm(), atol=1e-4, rtol=1e-3)


def test_loaded_moments_lie_as_their_weights_do() -> None:
    """A fused step walks over both in the order of memory, and a file keeps no strides."""
    learner, other = _learner(None), _learner(None)
    _step(learner, 0)
    state = copy.deepcopy(learner.state_dict())
    for entries in state["optimizer"]["state"].values():
        for name, value in entries.items():
            entries[name] = value.contiguous()
    other.load_state_dict(state)
    checked = 0
    for parameter, entries in other.optimizer.state.items():
        moments = [value for value in entries.values() if value.shape == parameter.shape]
        assert all(moment.stride() == parameter.stride() for moment in moments)
        checked += sum(not moment.is_contiguous() for moment in moments)
    assert checked > 0
    _step(learner, 1)
    _step(other, 1)
    weights = zip(learner.student.parameters(), other.student.parameters(), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in weights)
