"""prototype_loss on its Triton kernels: cuts of the bank, traffic and cost, formats, registration."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from prototypes import against, divergence, four, unit
from torch import Tensor

import tolerances
from sdx_kernels import KernelError, launch, prototype_loss
from sdx_kernels.cost import cost
from sdx_kernels.prototype_loss import autograd
from sdx_kernels.prototype_loss.plan import plan
from sdx_kernels.testing import record

Impl = pytest.mark.parametrize("impl", ["reference", "triton"])


def test_splits_and_tiles_change_nothing_but_the_rounding() -> None:
    sides = four(70, 300, 40, 24)
    loss, per_row = against(sides, impl="triton")
    (gradient,) = torch.autograd.grad(loss, sides[0])
    blocks = {"BLOCK_M": 16, "BLOCK_N": 16, "BLOCK_K": 16}
    rows = (
        launch.Row("prototype_loss_kernel", blocks),
        launch.Row("prototype_loss_backward_kernel", {**blocks, "COLUMNS": 16}),
    )
    with mock.patch.object(launch, "TABLE", (*rows, *launch.TABLE)):
        for programs in (1, 30):
            with mock.patch("sdx_kernels.prototype_loss.plan._PROGRAMS", programs), record() as recording:
                other, other_rows = against(sides, impl="triton")
                (other_gradient,) = torch.autograd.grad(other, sides[0])
            splits = 1 if programs == 1 else 5
            assert recording.of("prototype_loss_kernel").grid == (5, splits)
            assert recording.of("prototype_loss_backward_kernel").grid == (5, splits, 3)
            torch.testing.assert_close(other_rows, per_row, rtol=2e-6, atol=2e-6)
            torch.testing.assert_close(other_gradient, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("kernel", ["prototype_loss_kernel", "prototype_loss_backward_kernel"])
def test_the_plan_covers_the_bank_and_bounds_the_parts(kernel: str, arch: int) -> None:
    for n in (1, 63, 128, 4096, 100_000):
        for count in (1, 129, 65_536, 1_000_000):
            cut = plan(kernel, n, 512, count, bits=16, arch=arch)
            block = cut.row.blocks["BLOCK_N"]
            assert cut.rows * cut.row.blocks["BLOCK_M"] >= n
            assert (cut.splits - 1) * cut.tiles * block < count <= cut.splits * cut.tiles * block
            assert cut.splits <= 64
            assert cut.splits == 1 or cut.splits * cut.rows <= 256
    assert plan(kernel, 128, 512, 65_536, bits=16, arch=arch).splits == 64  # a small batch fills a large GPU


def test_no_row_of_similarities_is_stored() -> None:
    sides = four(8, 4000, 16, 16)
    with record() as recording:
        loss, _ = against(sides, impl="triton")
        torch.autograd.grad(loss, sides[0])
    stored = sum(traffic.distinct for one in recording.each for traffic in one.stores.values())
    assert stored < 4 * 8 * 4000


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(("n", "k", "d", "e"), [(1, 1, 1, None), (129, 300, 63, 100), (70, 129, 512, None)])
def test_the_cost_is_what_the_kernels_and_the_mean_move(
    n: int, k: int, d: int, e: int | None, dtype: torch.dtype
) -> None:
    sides = four(n, k, d, e or 1, dtype)
    with record() as recording:
        if e is None:
            prototype_loss(*sides[:2], labels=torch.zeros(n, dtype=torch.int64), impl="triton")
        else:
            against(sides, impl="triton")
    expected = cost("prototype_loss", (n, d), dtype, prototypes=k, teacher=e)
    assert expected.bytes_kernel == sum(one.bytes() for one in recording.each) + 4 * n + 4
    assert expected.launches == len(recording.each) + 1
    assert expected.bytes_min <= expected.bytes_kernel
    assert expected.flops == 2 * n * k * (d + (e or 0))


@pytest.mark.parametrize(("n", "k", "d", "e"), [(1, 1, 1, None), (70, 300, 63, 100), (70, 129, 600, None)])
def test_the_cost_is_what_the_backward_kernels_move(n: int, k: int, d: int, e: int | None) -> None:
    sides = four(n, k, d, e or 1)
    if e is None:
        loss = prototype_loss(*sides[:2], labels=torch.zeros(n, dtype=torch.int64), impl="triton")[0]
    else:
        loss = against(sides, impl="triton")[0]
    with record() as recording:
        torch.autograd.grad(loss, sides[0])
    expected = cost("prototype_loss", (n, d), torch.float32, prototypes=k, teacher=e, gradient=True)
    assert expected.bytes_kernel == sum(one.bytes() for one in recording.each)
    assert expected.launches == len(recording.each)
    assert expected.bytes_min <= expected.bytes_kernel
    parts = recording.of("prototype_loss_backward_kernel").grid[2]
    assert expected.flops == 2 * n * k * (parts * (d + (e or 0)) + d)


def test_formats_may_differ() -> None:
    student, bank = unit(5, 20, torch.float16, grad=True), unit(33, 20)
    teacher, teacher_bank = unit(5, 12), unit(33, 12, torch.float16)
    loss, per_row = against((student, bank, teacher, teacher_bank), impl="triton")
    tolerances.check("prototype_loss", per_row, divergence((student, bank, teacher, teacher_bank), 64.0)[1])
    (got,) = torch.autograd.grad(loss, student)
    assert got.dtype == torch.float16
    exact = student.detach().double().requires_grad_()
    expected = against((exact, *(x.double() for x in (bank, teacher, teacher_bank))))[0]
    tolerances.check("prototype_loss_gradient", got, torch.autograd.grad(expected, exact)[0])


def test_a_bank_that_learns_runs_the_reference() -> None:
    student, bank = unit(3, 4, grad=True), unit(5, 4, grad=True)
    labels = torch.tensor([4, 0, 2])
    with pytest.raises(KernelError, match="prototype_loss: expected student_bank without a gradient"):
        prototype_loss(student, bank, labels=labels, impl="triton")
    with torch.no_grad(), record() as recording:
        prototype_loss(student, bank, labels=labels, impl="triton")
    assert recording.launches["prototype_loss_kernel"] == 1
    prototype_loss(student, bank, labels=labels)[0].backward()
    assert bank.grad is not None
    assert bool(bank.grad.any())


def test_a_second_derivative_is_refused() -> None:
    sides = four(3, 5, 4, 6)
    (first,) = torch.autograd.grad(against(sides, impl="triton")[0], sides[0], create_graph=True)
    with pytest.raises(KernelError, match="prototype_loss: expected first derivatives alone"):
        torch.autograd.grad(first.square().sum(), sides[0])


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck looks at it
def test_the_ops_are_registered_as_torch_wants_them() -> None:
    sides = four(5, 9, 4, 6)
    labels = torch.arange(5)
    frozen = sides[0].detach()
    for arguments in ((*sides[1:], None), (sides[1], None, None, labels)):
        torch.library.opcheck(autograd.forward, (sides[0], *arguments, 16.0))
        normalisers = autograd.forward(frozen, *arguments, 16.0)[2]
        torch.library.opcheck(autograd.grad, (torch.tensor(1.0), frozen, *arguments, normalisers, 16.0))


@Impl
def test_compiles_whole(impl: str) -> None:
    sides = four(5, 9, 4, 6)
    labels = torch.arange(5)

    def call(student: Tensor) -> Tensor:
        divergence, _ = against((student, *sides[1:]), scale=8.0, impl=impl)
        return divergence + prototype_loss(student, sides[1], labels=labels, impl=impl)[0]

    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    (got,) = torch.autograd.grad(compiled(sides[0]), sides[0])
    assert torch.equal(got, torch.autograd.grad(call(sides[0]), sides[0])[0])
