"""embedding_loss against loops in Python floats, with the rule for short rows, and against hostile input."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

import tolerances
from sdx_kernels import KernelError, embedding_loss

WEIGHTS = [(1.0, 0.0), (0.0, 1.0), (0.7, 2.5), (0.0, 0.0)]


def _oracle(student: Tensor, teacher: Tensor, mse: float, cosine: float) -> tuple[Tensor, Tensor]:
    squares, similarity = [], []
    for s, t in zip(student.double().tolist(), teacher.double().tolist(), strict=True):
        squares += [(a - b) ** 2 for a, b in zip(s, t, strict=True)]
        length_s = max(math.sqrt(math.fsum(a * a for a in s)), 1e-8)
        length_t = max(math.sqrt(math.fsum(b * b for b in t)), 1e-8)
        similarity.append(math.fsum(a * b for a, b in zip(s, t, strict=True)) / (length_s * length_t))
    distance = math.fsum(1 - c for c in similarity) / len(similarity)
    loss = mse * math.fsum(squares) / len(squares) + cosine * distance
    return torch.tensor(loss, dtype=torch.float64), torch.tensor(similarity, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("mse", "cosine"), WEIGHTS)
@pytest.mark.parametrize(("n", "d"), [(1, 1), (5, 3), (16, 512)])
def test_agrees_with_loops(n: int, d: int, mse: float, cosine: float, dtype: torch.dtype, device: torch.device) -> None:
    teacher = torch.nn.functional.normalize(torch.randn(n, d)).to(dtype)
    student = (teacher.float() + torch.randn(n, d) / math.sqrt(d)).to(dtype)
    loss, similarity = embedding_loss(student.to(device), teacher.to(device), mse=mse, cosine=cosine)
    expected_loss, expected_similarity = _oracle(student, teacher, mse, cosine)
    assert loss.dtype == similarity.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    tolerances.check("embedding_loss", loss.cpu(), expected_loss)
    tolerances.check("embedding_loss", similarity.cpu(), expected_similarity)


def test_near_rows_keep_the_absolute_error() -> None:
    teacher = torch.nn.functional.normalize(torch.randn(16, 512))
    student = teacher + 1e-3 * torch.randn(16, 512)  # 1 - cos near 3e-4: float32 has lost its last digits there
    loss, _ = embedding_loss(student, teacher, mse=0.0, cosine=1.0)
    expected, _ = _oracle(student, teacher, 0.0, 1.0)
    assert 1e-4 < expected.item() < 1e-3
    assert abs(loss.item() - expected.item()) <= 1e-6


def test_half_student_of_a_float_teacher() -> None:
    student, teacher = torch.randn(4, 8).half(), torch.randn(4, 8) / 4
    loss, similarity = embedding_loss(student, teacher, mse=1.0, cosine=1.0)
    expected_loss, expected_similarity = _oracle(student, teacher, 1.0, 1.0)
    torch.testing.assert_close(loss.double(), expected_loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(similarity.double(), expected_similarity, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e-9, 1e-7])
def test_short_rows_follow_the_smallest_norm(scale: float) -> None:
    student = scale * torch.ones(3, 4, dtype=torch.float64)
    teacher = torch.randn(3, 4, dtype=torch.float64)
    for s, t in ((student, teacher), (teacher, student), (student, student)):
        loss, similarity = embedding_loss(s, t, mse=0.0, cosine=1.0)
        expected_loss, expected_similarity = _oracle(s, t, 0.0, 1.0)
        tolerances.check("embedding_loss", loss, expected_loss)
        tolerances.check("embedding_loss", similarity, expected_similarity)
        torch.testing.assert_close(similarity, cosine_similarity(s, t, dim=1, eps=1e-8))


@pytest.mark.parametrize("zero", ["student", "teacher", "both"])
def test_gradients_of_zero_rows_are_finite(zero: str) -> None:
    student = torch.randn(2, 4)
    teacher = torch.randn(2, 4)
    if zero != "teacher":
        student[0] = 0
    if zero != "student":
        teacher[0] = 0
    student.requires_grad_()
    teacher.requires_grad_()
    loss, _ = embedding_loss(student, teacher, mse=1.0, cosine=1.0)
    loss.backward()
    for embedding in (student, teacher):
        assert embedding.grad is not None
        assert bool(torch.isfinite(embedding.grad).all())


def test_alike_opposed_and_orthogonal_rows() -> None:
    student = torch.tensor([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0]])
    teacher = torch.tensor([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0]])
    loss, similarity = embedding_loss(student, teacher, mse=0.0, cosine=1.0)
    assert similarity.tolist() == [1.0, -1.0, 0.0]
    assert loss.item() == 1.0
    loss, _ = embedding_loss(student, teacher)  # the default is the squared error alone
    assert loss.item() == pytest.approx((4 + 64 + 9 + 25) / 6)


@pytest.mark.parametrize(("mse", "cosine"), [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_an_empty_batch_costs_nothing(mse: float, cosine: float) -> None:
    student = torch.zeros(0, 8, requires_grad=True)
    loss, similarity = embedding_loss(student, torch.zeros(0, 8), mse=mse, cosine=cosine)
    assert loss.item() == 0.0
    assert similarity.shape == (0,)
    loss.backward()
    assert student.grad is not None
    assert student.grad.shape == (0, 8)


def test_any_strides() -> None:
    student, teacher = torch.randn(6, 4).T, torch.randn(4, 12)[:, ::2]
    loss, similarity = embedding_loss(student, teacher, cosine=1.0)
    expected_loss, expected_similarity = _oracle(student, teacher, 1.0, 1.0)
    torch.testing.assert_close(loss.double(), expected_loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(similarity.double(), expected_similarity, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("mse", "cosine"), [(1.0, 0.0), (0.0, 1.0), (0.7, 2.5)])
def test_derivatives(mse: float, cosine: float) -> None:
    student = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def loss(s: Tensor, t: Tensor) -> Tensor:
        return embedding_loss(s, t, mse=mse, cosine=cosine)[0]

    assert torch.autograd.gradcheck(loss, (student, teacher))
    assert torch.autograd.gradgradcheck(loss, (student, teacher))


def test_similarity_is_detached_and_the_frozen_teacher_gets_no_gradient() -> None:
    student, teacher = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
    loss, similarity = embedding_loss(student, teacher, cosine=1.0)
    assert not similarity.requires_grad
    assert similarity.grad_fn is None
    loss.backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_nan_is_not_hidden() -> None:
    student = torch.randn(3, 4)
    student[1, 2] = float("nan")
    loss, similarity = embedding_loss(student, torch.randn(3, 4), cosine=1.0)
    assert bool(loss.isnan())
    assert similarity.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("weight", [None, "1", torch.ones(()), float("nan"), float("inf"), 1e39, True])
@pytest.mark.parametrize("name", ["mse", "cosine"])
def test_weights_it_cannot_take(name: str, weight: Any) -> None:
    with pytest.raises(KernelError, match=f"embedding_loss: expected {name} as a"):
        embedding_loss(torch.ones(2, 4), torch.ones(2, 4), **{name: weight})


@pytest.mark.parametrize("teacher", [None, [1.0], "t"])
def test_what_is_no_tensor(teacher: Any) -> None:
    with pytest.raises(KernelError, match="embedding_loss: expected teacher as a tensor"):
        embedding_loss(torch.ones(2, 4), teacher)


@pytest.mark.parametrize(
    ("student", "teacher", "named"),
    [
        (torch.zeros(4), torch.zeros(4), "[4]"),
        (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4), "[1, 2, 4]"),
        (torch.zeros(2, 4), torch.zeros(1, 4), "[1, 4]"),  # would broadcast
        (torch.zeros(2, 4), torch.zeros(2, 5), "[2, 5]"),
        (torch.zeros(2, 4, dtype=torch.int64), torch.zeros(2, 4), "torch.int64"),
        (torch.zeros(2, 4), torch.zeros(2, 4, dtype=torch.complex64), "torch.complex64"),
        (torch.zeros(2, 4).to(torch.float8_e5m2), torch.zeros(2, 4), "torch.float8_e5m2"),
    ],
)
def test_embeddings_it_cannot_take(student: Tensor, teacher: Tensor, named: str) -> None:
    with pytest.raises(KernelError) as error:
        embedding_loss(student, teacher)
    assert "embedding_loss: expected" in str(error.value)
    assert named in str(error.value)
