"""prototype_loss on its Triton kernels: cuts of the bank, traffic and cost, formats, registration."""

from __future__ import annotations

import math
from unittest import mock

import pytest
import torch
from prototypes import against, divergence, four, unit
from torch import Tensor

import tolerances
from sdx_kernels import KernelError, launch, prototype_loss
from sdx_kernels.cost import Cost, cost
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


def test_splits_and_tiles_of_the_batch_change_nothing_but_the_rounding() -> None:
    sides = tuple(side.detach() for side in four(40, 20, 20, 9))
    sides[1].requires_grad_()
    exact = tuple(side.detach().double().requires_grad_() for side in sides)
    (expected,) = torch.autograd.grad(against(exact, scale=8.0)[0], exact[1])
    loss, _ = against(sides, scale=8.0, impl="triton")
    blocks = {"BLOCK_M": 16, "BLOCK_N": 16, "BLOCK_K": 16, "COLUMNS": 16}
    row = launch.Row("prototype_loss_bank_kernel", blocks)
    with mock.patch.object(launch, "TABLE", (row, *launch.TABLE)):
        for programs, splits in ((1, 1), (4, 2), (30, 3)):  # tiles of a split: 4, one of them beyond the batch; 2; 1
            with mock.patch("sdx_kernels.prototype_loss.plan._PROGRAMS", programs), record() as recording:
                (got,) = torch.autograd.grad(loss, sides[1], retain_graph=True)
            assert recording.of("prototype_loss_bank_kernel").grid == (2, splits, 2)
            assert recording.launches["prototype_loss_merge_gradient_kernel"] == (splits > 1)
            tolerances.check("prototype_loss_gradient", got, expected)


@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize(
    "kernel", ["prototype_loss_kernel", "prototype_loss_backward_kernel", "prototype_loss_bank_kernel"]
)
def test_the_plan_covers_what_streams_by_and_bounds_the_parts(kernel: str, arch: int) -> None:
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
    sides = four(8, 2000, 2, 2)
    sides[1].requires_grad_()
    with record() as recording:
        loss, _ = against(sides, impl="triton")
        torch.autograd.grad(loss, sides[:2])
    stored = sum(traffic.distinct for one in recording.each for traffic in one.stores.values())
    assert stored < 4 * 8 * 2000


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


@pytest.mark.parametrize(
    ("n", "k", "d", "e"), [(1, 1, 1, None), (30, 70, 63, 100), (70, 30, 63, 100), (40, 20, 600, None)]
)
def test_the_cost_is_what_the_kernels_of_the_banks_gradient_move(n: int, k: int, d: int, e: int | None) -> None:
    sides = tuple(side.detach() for side in four(n, k, d, e or 1))
    sides[1].requires_grad_()
    if e is None:
        loss = prototype_loss(*sides[:2], labels=torch.zeros(n, dtype=torch.int64), impl="triton")[0]
    else:
        loss = against(sides, impl="triton")[0]
    with record() as recording:
        torch.autograd.grad(loss, sides[1])
    expected = cost("prototype_loss", (n, d), torch.float32, prototypes=k, teacher=e, bank_gradient=True)
    assert expected.bytes_kernel == sum(one.bytes() for one in recording.each)
    assert expected.launches == len(recording.each) == (1 if n <= 32 else 2)
    assert expected.bytes_min <= expected.bytes_kernel
    parts = recording.of("prototype_loss_bank_kernel").grid[2]
    assert expected.flops == 2 * n * k * (parts * (d + (e or 0)) + d)


def test_a_gradient_of_an_empty_batch_costs_nothing() -> None:
    for which in ({"gradient": True}, {"bank_gradient": True}):
        assert cost("prototype_loss", (0, 4), torch.float32, prototypes=3, **which) == Cost(0, 0, 0, 0)


def test_formats_may_differ() -> None:
    student, bank = unit(5, 20, torch.float16, grad=True), unit(33, 20, grad=True)
    teacher, teacher_bank = unit(5, 12), unit(33, 12, torch.float16)
    loss, per_row = against((student, bank, teacher, teacher_bank), scale=8.0, impl="triton")
    tolerances.check("prototype_loss", per_row, divergence((student, bank, teacher, teacher_bank), 8.0)[1])
    gradients = torch.autograd.grad(loss, (student, bank))
    assert [gradient.dtype for gradient in gradients] == [torch.float16, torch.float32]
    exact = tuple(x.detach().double().requires_grad_() for x in (student, bank))
    expected = against((*exact, teacher.double(), teacher_bank.double()), scale=8.0)[0]
    for got, wanted in zip(gradients, torch.autograd.grad(expected, exact), strict=True):
        tolerances.check("prototype_loss_gradient", got, wanted)


def test_unlikely_prototypes_keep_their_digits_in_float16() -> None:
    student, bank = torch.tensor([[1.0, 0.0]] * 3).half(), torch.tensor([[1.0, 0.0]] + [[0.125, 0.5]] * 39).half()
    loss, _ = prototype_loss(student, bank.requires_grad_(), labels=torch.zeros(3).long(), scale=16.0, impl="triton")
    (gradient,) = torch.autograd.grad(2.0**16 * loss, bank)  # as a trainer scales it
    p = math.exp(-14.0) / (1 + 39 * math.exp(-14.0))
    assert p < 2**-20
    torch.testing.assert_close(gradient[1:].double(), torch.tensor([[2**20 * p, 0.0]] * 39).double(), rtol=2e-3, atol=0)


@pytest.mark.parametrize("learning", [(True, False), (False, True), (True, True), (False, False)])
def test_what_needs_no_gradient_gets_none(learning: tuple[bool, bool]) -> None:
    sides = unit(3, 4, grad=learning[0]), unit(5, 4, grad=learning[1])
    loss, _ = prototype_loss(*sides, labels=torch.tensor([4, 0, 2]), impl="triton")
    with record() as recording:
        if loss.requires_grad:
            loss.backward()
    kernels = "prototype_loss_backward_kernel", "prototype_loss_bank_kernel"
    for side, kernel, learns in zip(sides, kernels, learning, strict=True):
        assert (side.grad is not None) == recording.launches[kernel] == learns


@pytest.mark.parametrize("by", [0, 1])
def test_a_second_derivative_is_refused(by: int) -> None:
    sides = four(3, 5, 4, 6)
    sides[1].requires_grad_()
    (first,) = torch.autograd.grad(against(sides, impl="triton")[0], sides[by], create_graph=True)
    for other in sides[:2]:
        with pytest.raises(KernelError, match="prototype_loss: expected first derivatives alone"):
            torch.autograd.grad(first.square().sum(), other, retain_graph=True)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck looks at it
def test_the_ops_are_registered_as_torch_wants_them() -> None:
    sides = four(5, 9, 4, 6)
    labels = torch.arange(5)
    frozen, learning = sides[0].detach(), sides[1].clone().requires_grad_()
    for rest in ((*sides[2:], None), (None, None, labels)):
        torch.library.opcheck(autograd.forward, (sides[0], learning, *rest, 16.0))
        normalisers = autograd.forward(frozen, sides[1], *rest, 16.0)[2]
        for gradient in (autograd.grad, autograd.bank_grad):
            torch.library.opcheck(gradient, (torch.tensor(1.0), frozen, sides[1], *rest, normalisers, 16.0))


@Impl
def test_compiles_whole(impl: str) -> None:
    sides = four(5, 9, 4, 6)
    sides[1].requires_grad_()
    labels = torch.arange(5)

    def call(student: Tensor, bank: Tensor) -> Tensor:
        divergence, _ = against((student, bank, *sides[2:]), scale=8.0, impl=impl)
        return divergence + prototype_loss(student, bank, labels=labels, impl=impl)[0]

    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    for learning in ((True, True), (True, False), (False, True)):
        given = [side.detach().requires_grad_(learns) for side, learns in zip(sides[:2], learning, strict=True)]
        wanted = [side for side in given if side.requires_grad]
        got, plain = (torch.autograd.grad(of(*given), wanted) for of in (compiled, call))
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(got, plain, strict=True))
