"""embedding_loss and embedding_loss_gradient on their Triton kernels: rules of the norms, registration, cost."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest
import torch
from torch import Tensor

import tolerances
from sdx_kernels import KernelError, embedding_loss, embedding_loss_gradient, launch
from sdx_kernels.cost import cost
from sdx_kernels.embedding_loss import autograd
from sdx_kernels.testing import record

Impl = pytest.mark.parametrize("impl", ["reference", "triton"])


def _pair(n: int, d: int, dtype: torch.dtype = torch.float32, grad: bool = True) -> tuple[Tensor, Tensor]:
    return (torch.randn(n, d) / d**0.5).to(dtype).requires_grad_(grad), (torch.randn(n, d) / d**0.5).to(dtype)


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e-9, 1e-7])
def test_short_rows_follow_the_smallest_norm(scale: float) -> None:
    short, other = scale * torch.ones(3, 4), torch.randn(3, 4)
    for s, t in ((short, other), (other, short), (short, short)):
        given = [x.clone().requires_grad_() for x in (s, t)]
        exact = [x.double().requires_grad_() for x in (s, t)]
        loss, similarity = embedding_loss(*given, mse=0.0, cosine=1.0, impl="triton")
        expected_loss, expected_similarity = embedding_loss(*exact, mse=0.0, cosine=1.0)
        tolerances.check("embedding_loss", loss, expected_loss)
        tolerances.check("embedding_loss", similarity, expected_similarity)
        got, expected = torch.autograd.grad(loss, given), torch.autograd.grad(expected_loss, exact)
        for x, mine, theirs in zip(given, got, expected, strict=True):
            # The gradient is a difference of terms of the size of 1 / |x|.
            largest = 1 / x.detach().norm(dim=1).clamp_min(1e-8).min().item()
            torch.testing.assert_close(mine.double(), theirs, rtol=1e-5, atol=1e-6 * largest)


@Impl
@pytest.mark.parametrize("wide", [False, True])
def test_the_gradient_in_one_pass_is_that_of_the_loss(impl: str, wide: bool) -> None:
    dtype = torch.float64 if wide and impl == "reference" else torch.float32
    student, teacher = _pair(6, 33, dtype)
    with torch.no_grad():
        student[0] = 0
        teacher[1] = 0
    for mse, cosine in ((1.0, 0.0), (0.0, 1.0), (0.7, 2.5), (0.0, 0.0)):
        exact = student.detach().double().requires_grad_()
        expected_loss, expected_similarity = embedding_loss(exact, teacher.double(), mse=mse, cosine=cosine)
        expected = torch.zeros_like(exact)
        if mse or cosine:
            (expected,) = torch.autograd.grad(3.0 * expected_loss, exact)
        for scale in (3.0, torch.tensor(3.0, dtype=dtype)):
            got = embedding_loss_gradient(student, teacher, mse=mse, cosine=cosine, scale=scale, impl=impl)
            assert not any(result.requires_grad for result in got)
            tolerances.check("embedding_loss", got[0], expected_loss.detach())
            tolerances.check("embedding_loss", got[1], expected_similarity)
            assert got[2].dtype == dtype
            torch.testing.assert_close(got[2].double(), expected, rtol=2e-6, atol=1e-7)


@Impl
def test_a_large_scale_keeps_small_half_gradients(impl: str) -> None:
    student, teacher = _pair(64, 512, torch.float16, grad=False)
    plain = embedding_loss_gradient(student, teacher, impl=impl)[2]
    scaled = embedding_loss_gradient(student, teacher, scale=4096.0, impl=impl)[2]
    expected = 4096 * 2 * (student.double() - teacher.double()) / student.numel()
    assert not bool(torch.isfinite(expected / plain.double()).all())  # half of what is not scaled has vanished
    tolerances.check("embedding_loss_gradient", scaled, expected)


@Impl
@pytest.mark.parametrize("shape", [(0, 8), (3, 0), (0, 0)])
def test_nothing_to_compare(shape: tuple[int, int], impl: str) -> None:
    student = torch.zeros(shape, requires_grad=True)
    loss, similarity = embedding_loss(student, torch.zeros(shape), mse=2.0, cosine=3.0, impl=impl)
    assert loss.item() == (3.0 if shape[0] else 0.0)  # without values a cosine is 0
    assert similarity.tolist() == [0.0] * shape[0]
    loss.backward()
    assert student.grad is not None
    assert student.grad.shape == shape
    given, _, gradient = embedding_loss_gradient(student, torch.zeros(shape), mse=2.0, cosine=3.0, impl=impl)
    assert given.item() == loss.item()
    assert gradient.shape == shape


def test_an_empty_batch_launches_nothing() -> None:
    student = torch.zeros(0, 8, requires_grad=True)
    with record() as recording:
        embedding_loss(student, torch.zeros(0, 8), impl="triton")[0].backward()
        embedding_loss_gradient(student, torch.zeros(0, 8), impl="triton")
    assert not recording.each


def test_nan_stays_within_its_row() -> None:
    student, teacher = _pair(5, 12)
    with torch.no_grad():
        student[3, 2] = float("nan")
    loss, similarity = embedding_loss(student, teacher, cosine=1.0, impl="triton")
    assert bool(loss.isnan())
    assert similarity.isnan().tolist() == [False, False, False, True, False]
    (gradient,) = torch.autograd.grad(loss, student)
    for found in (gradient, embedding_loss_gradient(student, teacher, cosine=1.0, impl="triton")[2]):
        assert found.isnan().all(1).tolist() == found.isnan().any(1).tolist() == similarity.isnan().tolist()


def test_similarity_is_detached_and_the_frozen_teacher_gets_no_gradient() -> None:
    student, teacher = _pair(3, 4)
    loss, similarity = embedding_loss(student, teacher, cosine=1.0, impl="triton")
    assert loss.requires_grad
    assert not similarity.requires_grad
    with record() as recording:
        loss.backward()
    assert teacher.grad is None
    assert set(recording.of("embedding_loss_backward_kernel").stores) == {"student_gradient"}


def test_the_cosines_may_be_changed_before_the_derivative_is_taken() -> None:
    student, teacher = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
    plain, _ = embedding_loss(student, teacher, cosine=1.0, impl="triton")
    loss, similarity = embedding_loss(student, teacher, cosine=1.0, impl="triton")
    similarity.zero_()
    assert torch.equal(*(torch.autograd.grad(each, student)[0] for each in (loss, plain)))


def test_only_the_teacher_asks() -> None:
    teacher, student = _pair(3, 4)
    with record() as recording:
        embedding_loss(student, teacher, cosine=1.0, impl="triton")[0].backward()
    exact = teacher.detach().double().requires_grad_()
    embedding_loss(student.double(), exact, cosine=1.0)[0].backward()
    assert teacher.grad is not None
    assert exact.grad is not None
    torch.testing.assert_close(teacher.grad.double(), exact.grad, rtol=1e-6, atol=1e-7)
    assert set(recording.of("embedding_loss_backward_kernel").stores) == {"teacher_gradient"}


def test_a_second_derivative_is_refused() -> None:
    student, teacher = _pair(3, 4)
    loss, _ = embedding_loss(student, teacher, cosine=1.0, impl="triton")
    (first,) = torch.autograd.grad(loss, student, create_graph=True)
    with pytest.raises(KernelError, match="embedding_loss: expected first derivatives alone"):
        torch.autograd.grad(first.square().sum(), student)


def test_the_order_of_the_sum_does_not_depend_on_chance() -> None:
    student, teacher = _pair(100, 40)
    one, other = (embedding_loss(student, teacher, cosine=1.0, impl="triton")[0] for _ in range(2))
    assert torch.equal(one, other)


def test_rows_that_fit_are_read_once_and_the_table_decides() -> None:
    student, teacher = _pair(9, 512)
    plain = embedding_loss_gradient(student, teacher, mse=0.7, cosine=2.5, impl="triton")
    rows = tuple(
        launch.Row(f"embedding_loss{middle}kernel", {"BLOCK_N": 2, "BLOCK_D": 128}) for middle in ("_", "_backward_")
    )
    with mock.patch.object(launch, "TABLE", (*rows, *launch.TABLE)), record() as recording:
        chunks = embedding_loss_gradient(student, teacher, mse=0.7, cosine=2.5, impl="triton")
    assert recording.of("embedding_loss_kernel").grid == (5,)
    assert set(recording.of("embedding_loss_kernel").loads["student"].times) == {2}
    for mine, theirs in zip(chunks, plain, strict=True):
        torch.testing.assert_close(mine, theirs)
    with record() as recording:
        embedding_loss_gradient(student, teacher, mse=0.7, cosine=2.5, impl="triton")
    for name in ("student", "teacher"):
        assert set(recording.of("embedding_loss_kernel").loads[name].times) == {1}


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("shape", [(1, 1), (63, 512), (129, 100)])
def test_the_cost_is_what_the_kernel_and_the_sum_move(
    shape: tuple[int, int], dtype: torch.dtype, gradient: bool
) -> None:
    student, teacher = _pair(*shape, dtype)
    with record() as recording:
        (embedding_loss_gradient if gradient else embedding_loss)(student, teacher, cosine=1.0, impl="triton")
    of_sum = 4 * shape[0] + 4
    expected = cost("embedding_loss_gradient" if gradient else "embedding_loss", shape, dtype)
    assert expected.bytes_kernel == recording.of("embedding_loss_kernel").bytes() + of_sum
    assert expected.launches == 2
    assert expected.bytes_min <= expected.bytes_kernel
    if shape == (63, 512):
        assert expected.bytes_kernel < 1.02 * shape[0] * shape[1] * dtype.itemsize * (3 if gradient else 2)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck looks at it
@pytest.mark.parametrize("teacher_asks", [False, True])
def test_the_ops_are_registered_as_torch_wants_them(teacher_asks: bool) -> None:
    student, teacher = _pair(5, 7)
    teacher.requires_grad_(teacher_asks)
    torch.library.opcheck(autograd.forward, (student, teacher, 0.7, 2.5))
    detached = student.detach(), teacher.detach()
    torch.library.opcheck(autograd.gradient, (*detached, 0.7, 2.5, 1.0, torch.tensor(2.0)))
    _, _, norms = autograd.forward(*detached, 0.7, 2.5)
    torch.library.opcheck(autograd.grad, (torch.tensor(1.0), *detached, norms, 0.7, 2.5, True, False))


@pytest.mark.parametrize(
    "call",
    [
        lambda s, t: embedding_loss(s, t, mse=0.7, cosine=2.5, impl="triton")[0] * 3,
        lambda s, t: (s * embedding_loss_gradient(s, t, cosine=1.0, scale=s.new_ones(()), impl="triton")[2]).sum(),
    ],
)
def test_compiles_whole(call: Callable[[Tensor, Tensor], Tensor]) -> None:
    student, teacher = _pair(5, 7)
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    (plain,) = torch.autograd.grad(call(student, teacher), student)
    (got,) = torch.autograd.grad(compiled(student, teacher), student)
    assert torch.equal(got, plain)


def test_rows_far_apart_are_addressed_in_64_bits() -> None:
    import numpy as np

    far = 2**31 + 64  # elements, of which only the pages of two rows are ever there
    memory = torch.from_numpy(np.zeros(far + 8, np.float16))
    student = memory.as_strided((2, 8), (far, 1))
    student[0], student[1] = 1.5, torch.arange(8.0)
    teacher = torch.ones(2, 8)
    got = embedding_loss_gradient(student, teacher, cosine=1.0, impl="triton")
    for mine, theirs in zip(got, embedding_loss_gradient(student.clone(), teacher, cosine=1.0), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"student": torch.zeros(4), "teacher": torch.zeros(4)}, "[4]"),
        ({"student": torch.zeros(2, 4), "teacher": torch.zeros(1, 4)}, "[1, 4]"),
        ({"student": torch.zeros(2, 4), "teacher": torch.zeros(2, 4).int()}, "torch.int32"),
        ({"scale": torch.ones(1)}, "torch.float32 [1]"),
        ({"scale": torch.tensor(2)}, "torch.int64 []"),
        ({"scale": torch.ones((), device="meta")}, "expected scale on cpu as student, got meta"),
        ({"student": torch.zeros(2, 4).double(), "impl": "triton"}, "student in float16, bfloat16 or float32"),
        ({"impl": "cuda"}, "got 'cuda'"),
    ],
)
def test_what_the_gradient_cannot_take(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(KernelError, match="embedding_loss_gradient: expected") as error:
        embedding_loss_gradient(**{"student": torch.zeros(2, 4), "teacher": torch.zeros(2, 4), **arguments})
    assert named in str(error.value)
