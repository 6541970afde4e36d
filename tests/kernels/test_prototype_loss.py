"""prototype_loss against NumPy in float64, its properties, its kernels' rules, and hostile input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from prototypes import against, divergence, four, log_p, unit
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

import tolerances
from sdx_kernels import KernelError, prototype_loss
from sdx_kernels.testing import record

Impl = pytest.mark.parametrize("impl", ["reference", "triton"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("n", "k", "d", "e"), [(1, 1, 1, 1), (5, 7, 3, 9), (4, 65, 32, 16)])
def test_agrees_with_loops(n: int, k: int, d: int, e: int, dtype: torch.dtype) -> None:
    sides = four(n, k, d, e, dtype)
    loss, per_row = against(sides, scale=20.0, temperature=2.0)
    assert loss.dtype == per_row.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    for got, expected in zip((loss.detach(), per_row), divergence(sides, 10.0), strict=True):
        tolerances.check("prototype_loss", got, expected)
    labels = torch.arange(n) * 3 % k
    loss, per_row = prototype_loss(*sides[:2], labels=labels, scale=20.0)
    expected = torch.from_numpy(-log_p(*sides[:2], 20.0)[np.arange(n), labels.numpy()])
    tolerances.check("prototype_loss", per_row, expected)
    tolerances.check("prototype_loss", loss.detach(), expected.mean())


@Impl
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_labels_are_those_of_torch(impl: str, dtype: torch.dtype) -> None:
    sides = unit(9, 20, grad=True), unit(33, 20, grad=True)
    labels = torch.randint(0, 33, (9,))
    loss, per_row = prototype_loss(*sides, labels=labels.to(dtype), scale=30.0, impl=impl)
    student, bank = exact = tuple(side.detach().double().requires_grad_() for side in sides)
    expected = cross_entropy(30.0 * student @ bank.T, labels, reduction="none")
    tolerances.check("prototype_loss", per_row, expected.detach())
    for got, wanted in zip(
        *(torch.autograd.grad(*of) for of in ((loss, sides), (expected.mean(), exact))), strict=True
    ):
        torch.testing.assert_close(got.double(), wanted, rtol=2e-5, atol=1e-6)


@Impl
def test_a_divergence_of_a_side_with_itself_is_nothing(impl: str) -> None:
    student, bank = unit(6, 24, grad=True), unit(90, 24, grad=True)
    loss, per_row = prototype_loss(student, bank, teacher=student, teacher_bank=bank, impl=impl)
    torch.testing.assert_close(per_row, torch.zeros(6), rtol=0, atol=2e-6)
    for gradient in torch.autograd.grad(loss, (student, bank)):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-5)


@Impl
def test_a_divergence_is_that_of_groups_and_of_what_they_hold(impl: str) -> None:
    # KL(p || q) = KL of the groups' masses + p(G) KL within G + p(not G) KL within the rest
    sides = tuple(x.double() if impl == "reference" else x for x in four(4, 40, 8, 12))
    student, bank, teacher, teacher_bank = sides
    _, whole = against(sides, scale=8.0, impl=impl)
    _, inside = against((student, bank[:11], teacher, teacher_bank[:11]), scale=8.0, impl=impl)
    _, outside = against((student, bank[11:], teacher, teacher_bank[11:]), scale=8.0, impl=impl)
    p, q = (torch.from_numpy(np.exp(log_p(*pair, 8.0)))[:, :11].sum(1) for pair in (sides[2:], sides[:2]))
    groups = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    torch.testing.assert_close(whole.double(), groups + p * inside + (1 - p) * outside, rtol=1e-5, atol=1e-6)
    assert bool((groups > 1e-4).all())


def test_derivatives_of_the_reference() -> None:
    student, bank = unit(3, 4, torch.float64, grad=True), unit(5, 4, torch.float64, grad=True)
    teacher, teacher_bank = unit(3, 6, torch.float64), unit(5, 6, torch.float64)
    labels = torch.tensor([4, 0, 2])
    for options in ({"teacher": teacher, "teacher_bank": teacher_bank}, {"labels": labels}):

        def loss(s: Tensor, b: Tensor, options: dict[str, Tensor] = options) -> Tensor:
            return prototype_loss(s, b, scale=5.0, **options)[0]  # type: ignore[arg-type]

        assert torch.autograd.gradcheck(loss, (student, bank))
        assert torch.autograd.gradgradcheck(loss, (student, bank))


@Impl
def test_the_teachers_side_is_frozen_and_rows_are_detached(impl: str) -> None:
    sides = four(3, 5, 4, 6)
    sides[2].requires_grad_()
    sides[3].requires_grad_()
    loss, per_row = against(sides, impl=impl)
    assert not per_row.requires_grad
    loss.backward()
    assert sides[0].grad is not None
    assert sides[2].grad is None
    assert sides[3].grad is None


@Impl
def test_large_logits_do_not_overflow(impl: str) -> None:
    sides = four(5, 300, 16, 16)
    sides[1].requires_grad_()
    for scale in (1e4, 1e30, -1e30):
        loss, per_row = against(sides, scale=scale, impl=impl)
        labelled, of_label = prototype_loss(*sides[:2], labels=torch.arange(5), scale=scale, impl=impl)
        exact, exact_rows = divergence(sides, scale)
        torch.testing.assert_close(per_row.double(), exact_rows, rtol=1e-5, atol=0)
        assert bool(torch.isfinite(of_label).all())
        for result in (loss, labelled):
            assert all(bool(torch.isfinite(x).all()) for x in torch.autograd.grad(result, sides[:2]))
        assert exact.item() > 1e2


def test_a_close_student_keeps_its_digits() -> None:
    sides = four(20, 500, 64, 64)
    with torch.no_grad():
        near = normalize(sides[2] + 1e-3 * torch.randn(20, 64))
    _, got = against((near, sides[3], sides[2], sides[3]), impl="triton")
    _, expected = divergence((near, sides[3], sides[2], sides[3]), 64.0)
    assert 1e-5 < expected.mean().item() < 1e-2
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=2e-6)


@Impl
@pytest.mark.parametrize("labelled", [False, True])
def test_nan_stays_in_its_row(impl: str, labelled: bool) -> None:
    sides = four(5, 200, 8, 8)
    with torch.no_grad():
        sides[0][3, 1] = float("nan")
    options = {"labels": torch.arange(5)} if labelled else {"teacher": sides[2], "teacher_bank": sides[3]}
    loss, per_row = prototype_loss(*sides[:2], impl=impl, **options)  # type: ignore[arg-type]
    assert bool(loss.isnan())
    assert per_row.isnan().tolist() == [False, False, False, True, False]
    (gradient,) = torch.autograd.grad(loss, sides[0])
    assert gradient.isnan().any(1).tolist() == per_row.isnan().tolist()


@Impl
@pytest.mark.parametrize("wrong", [-1, 7, -(2**40), 2**40])
def test_a_label_that_is_none_makes_its_row_nan(impl: str, wrong: int) -> None:
    student, bank = unit(3, 4, grad=True), unit(7, 4)
    loss, per_row = prototype_loss(student, bank, labels=torch.tensor([6, wrong, 0]), impl=impl)
    assert per_row.isnan().tolist() == [False, True, False]
    (gradient,) = torch.autograd.grad(loss, student)
    assert gradient.isnan().all(1).tolist() == [False, True, False]


@Impl
@pytest.mark.parametrize("where", ["student", "student_bank", "teacher", "teacher_bank", "label"])
def test_nan_of_one_row_is_in_all_of_the_banks_gradient(impl: str, where: str) -> None:
    options = dict(zip(("student", "student_bank", "teacher", "teacher_bank"), four(35, 40, 8, 8), strict=True))
    if where == "label":
        options = {"student": options["student"], "student_bank": options["student_bank"]}
        options["labels"] = torch.arange(35)
        options["labels"][33] = 40
    else:
        with torch.no_grad():
            options[where][33, 2] = float("nan")
    bank = options["student_bank"].requires_grad_()
    loss, _ = prototype_loss(**options, impl=impl)  # type: ignore[arg-type]
    assert bool(torch.autograd.grad(loss, bank)[0].isnan().all())


@Impl
@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul:RuntimeWarning")  # of rows beyond the batch
def test_a_prototype_that_is_impossible_learns_nothing(impl: str) -> None:
    student, bank = unit(5, 8, grad=True), unit(40, 8, grad=True)
    with torch.no_grad():
        student[:, 3] = student[:, 3].abs() + 0.1
        bank[7, 3] = -math.inf
    loss, _ = prototype_loss(student, bank, labels=torch.arange(5), impl=impl)
    (gradient,) = torch.autograd.grad(loss, bank)
    assert gradient[7].tolist() == [0.0] * 8
    assert bool(torch.isfinite(gradient).all())


@Impl
@pytest.mark.parametrize("labelled", [False, True])
def test_an_empty_batch_costs_nothing(impl: str, labelled: bool) -> None:
    student, bank = torch.zeros(0, 4, requires_grad=True), unit(7, 4, grad=True)
    labels = torch.zeros(0, dtype=torch.int64)
    options = {"labels": labels} if labelled else {"teacher": torch.zeros(0, 5), "teacher_bank": unit(7, 5)}
    with record() as recording:
        loss, per_row = prototype_loss(student, bank, impl=impl, **options)  # type: ignore[arg-type]
        loss.backward()
    assert not recording.each
    assert loss.item() == 0.0
    assert per_row.shape == (0,)
    assert student.grad is not None
    assert student.grad.shape == (0, 4)
    assert bank.grad is not None
    assert torch.equal(bank.grad, torch.zeros(7, 4))


@Impl
def test_one_prototype_and_no_dimension(impl: str) -> None:
    loss, per_row = prototype_loss(unit(3, 4), unit(1, 4), labels=torch.zeros(3).long(), impl=impl)
    assert loss.item() == 0.0
    assert per_row.tolist() == [0.0] * 3
    student, bank = torch.zeros(2, 0, requires_grad=True), torch.zeros(8, 0, requires_grad=True)
    loss, _ = prototype_loss(student, bank, labels=torch.zeros(2).long(), impl=impl)
    assert loss.item() == pytest.approx(math.log(8))
    assert [list(x.shape) for x in torch.autograd.grad(loss, (student, bank))] == [[2, 0], [8, 0]]


S, B, L = torch.zeros(2, 4), torch.zeros(3, 4), torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"student": torch.zeros(4)}, "student [B, D] and student_bank [K, D] with K > 0, got [4]"),
        ({"student_bank": torch.zeros(3, 5)}, "[3, 5]"),
        ({"student_bank": torch.zeros(0, 4)}, "[0, 4]"),
        ({"student": S.int()}, "torch.int32"),
        ({"student_bank": B.to(torch.float8_e5m2)}, "torch.float8_e5m2"),
        ({"labels": None}, "got none of them"),
        ({"teacher": S, "teacher_bank": B}, "got teacher and teacher_bank and labels"),
        ({"teacher_bank": B}, "got teacher_bank and labels"),
        ({"labels": None, "teacher": S}, "got teacher"),
        ({"labels": None, "teacher_bank": B}, "got teacher_bank"),
        ({"labels": None, "teacher": S, "teacher_bank": torch.zeros(3, 5)}, "teacher [B, D] and teacher_bank [K, D]"),
        ({"labels": None, "teacher": torch.zeros(1, 4), "teacher_bank": B}, "teacher [2, E]"),
        ({"labels": None, "teacher": S, "teacher_bank": torch.zeros(2, 4)}, "teacher_bank [3, E]"),
        ({"labels": None, "teacher": S.long(), "teacher_bank": B}, "torch.int64"),
        ({"labels": torch.zeros(3).long()}, "labels int64 or int32 [2], got torch.int64 [3]"),
        ({"labels": torch.zeros(2)}, "got torch.float32 [2]"),
        ({"scale": math.inf}, "scale as a finite number of float32, got inf"),
        ({"scale": torch.ones(())}, "scale as a number, got Tensor"),
        ({"scale": 1e30, "temperature": 1e-30}, "scale / temperature as a finite number"),
        ({"temperature": 0.0}, "temperature > 0, got 0.0"),
        ({"temperature": "1"}, "got str"),
        ({"student_bank": None}, "student_bank as a tensor, got NoneType"),
        ({"labels": [0, 1]}, "labels as a tensor, got list"),
        ({"temperature": math.nan}, "got nan"),
        ({"student": S.double(), "impl": "triton"}, "student in float16, bfloat16 or float32"),
        ({"labels": L.to("meta")}, "expected labels on cpu as student, got meta"),
    ],
)
def test_what_it_cannot_take(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(KernelError, match="prototype_loss: expected") as error:
        prototype_loss(**{"student": S, "student_bank": B, "labels": L, **arguments})
    assert named in str(error.value)
