"""ArcFace's head against arccos in float64, and the schedules at points that can be worked out by hand."""

import math

import numpy as np
import pytest
import torch

from sdx.config import LossConfig, OptimizerConfig
from sdx.errors import ConfigError
from sdx.training import losses, schedule
from sdx.training.heads import ArcFaceHead


@pytest.mark.parametrize("margin", [0.0, 0.35, 1.0])
def test_logits_against_arccos(margin: float) -> None:
    head = ArcFaceHead(6, 5, 32.0)
    embedding, label = torch.randn(40, 6), torch.arange(40) % 5
    logits, own = head(embedding, label, margin)
    e, w = embedding.double().numpy(), head.weight.detach().double().numpy()
    cosine = np.einsum("bd,cd->bc", e, w) / np.outer(np.linalg.norm(e, axis=1), np.linalg.norm(w, axis=1))
    expected, rows = cosine.copy(), np.arange(40)
    theta = np.arccos(cosine[rows, label.numpy()])
    past = theta + margin > math.pi
    expected[rows, label.numpy()] = np.where(past, np.cos(theta) - margin * math.sin(margin), np.cos(theta + margin))
    np.testing.assert_allclose(logits.detach().numpy(), 32 * expected, atol=2e-3)
    np.testing.assert_allclose(own.detach().numpy(), np.cos(theta), atol=1e-5)


def test_logit_past_pi_keeps_falling() -> None:
    head = ArcFaceHead(2, 2, 1.0)
    head.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    theta = torch.linspace(math.pi - 0.49, math.pi, 50)
    logits, _ = head(torch.stack([theta.cos(), theta.sin()], 1), torch.zeros(50, dtype=torch.int64), 0.5)
    assert float(logits.detach()[:, 0].diff().max()) < 0


def test_learning_rates() -> None:
    step = OptimizerConfig(lr=1.0, schedule="step", step_every=10, gamma=0.5)
    assert [schedule.learning_rate(step, n, 100) for n in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]
    cosine = OptimizerConfig(lr=2.0, schedule="cosine")
    assert [schedule.learning_rate(cosine, n, 100) for n in (0, 50, 100)] == pytest.approx([2.0, 1.0, 0.0])
    warm = OptimizerConfig(lr=1.0, warmup=3)
    assert [schedule.learning_rate(warm, n, 100) for n in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert [schedule.due(10, a, b) for a, b in ((0, 9), (0, 10), (10, 19), (9, 11), (0, 35))] == [0, 1, 0, 1, 1]
    assert not schedule.due(None, 0, 10**9)
    ramp = LossConfig(margin=1.0, ramp=(0.25, 0.75))
    assert [schedule.margin(ramp, p) for p in (0.0, 0.25, 0.5, 0.75, 1.0)] == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_losses_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="got 32 of the teacher and 16 of student a") as caught:
        losses.build(LossConfig(), embedding=16, teacher_embedding=32, classes=0, student="a")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="expects a labelled source"):
        losses.build(LossConfig(kind="margin"), embedding=16, teacher_embedding=None, classes=0, student="a")
    with pytest.raises(ConfigError, match=r"did you mean cosine\?"):
        losses.build(LossConfig(kind="cosin"), embedding=16, teacher_embedding=16, classes=0, student="a")
