"""What proves the Triton kernels without a GPU: every case against the reference, and what its programs touch."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import tolerances
from sdx_kernels.testing import Fences, Launch, permuted, record

sys.path.insert(0, str(Path(__file__).parent))
from cases import Case, all_cases

CASES = all_cases()
BY_NAME = {case.name: case for case in CASES}
assert len(BY_NAME) == len(CASES)
NAMES = list(BY_NAME)


def _run(case: Case, tensors: tuple[Tensor, ...], impl: str) -> list[Tensor]:
    results = case.call(*tensors, impl=impl)
    return [results] if isinstance(results, Tensor) else list(results)


def _leaves(case: Case, dtype: torch.dtype) -> tuple[Tensor, ...]:
    return tuple(t.detach().clone().requires_grad_(t.requires_grad) for t in case.make(dtype))


def _gradients(results: list[Tensor], tensors: tuple[Tensor, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(11)
    total = torch.zeros(())
    for result in results:
        if result.requires_grad:
            upstream = torch.randn(result.shape, generator=generator).to(result.device)
            total = total.to(result.device) + (result.float() * upstream).sum()
    wanted = [t for t in tensors if t.requires_grad]
    return list(torch.autograd.grad(total, wanted)) if wanted else []


interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="Triton does not interpret beside a CUDA device")


@interpreted
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients(name: str) -> None:
    case = BY_NAME[name]
    for dtype in case.dtypes:
        tensors = _leaves(case, dtype)
        exact = tuple(t.detach().double().requires_grad_(t.requires_grad) for t in tensors)
        with record() as recording:
            got = _run(case, tensors, "triton")
        assert recording.launches == case.launches
        expected, oracle = _run(case, tensors, "reference"), _run(case, exact, "reference")
        for mine, theirs, exactly in zip(got, expected, oracle, strict=True):
            assert mine.dtype == theirs.dtype
            assert mine.stride() == theirs.stride() or mine.numel() <= 1
            tolerances.check(case.op, mine, exactly)
        if case.backward is None:
            assert not any(result.requires_grad for result in got)
            continue
        with record() as recording:
            gradients = _gradients(got, tensors)
        assert recording.launches == case.backward
        _check_gradients(case, dtype, gradients, _gradients(oracle, exact))


def _check_gradients(case: Case, dtype: torch.dtype, gradients: list[Tensor], exact: list[Tensor]) -> None:
    for mine, theirs in zip(gradients, exact, strict=True):
        # What comes back from a result passed through its format twice, whatever the format of the argument, and
        # a bias gets a sum of that, whose terms may cancel.
        kind = (case.gradients, mine.dtype) if case.gradients else (case.op, dtype)
        relative, _ = tolerances.TOLERANCES[kind]
        error, size = mine.cpu().double() - theirs, theirs.square().mean().sqrt().clamp_min(1e-30)
        assert (error.square().mean().sqrt() / size).item() <= 4 * relative
        assert (error.abs().max() / theirs.abs().max()).item() <= 10 * relative


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_on_a_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = BY_NAME[name]
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    half = (torch.float16, torch.bfloat16) if torch.float16 in case.dtypes else ()
    for dtype in (torch.float32, *half):
        if (case.op, dtype) not in tolerances.TOLERANCES:
            continue
        leaves = _leaves(case, dtype)
        tensors = tuple(t.detach().cuda().requires_grad_(t.requires_grad) for t in leaves)
        exact = tuple(t.detach().double().requires_grad_(t.requires_grad) for t in leaves)
        got, oracle = _run(case, tensors, "triton"), _run(case, exact, "reference")
        for mine, exactly in zip(got, oracle, strict=True):
            tolerances.check(case.op, mine.cpu(), exactly)
        if case.backward is not None:
            _check_gradients(case, dtype, _gradients(got, tensors), _gradients(oracle, exact))


@pytest.mark.parametrize("name", NAMES)
def test_a_case_lies_where_its_tensors_do(name: str) -> None:
    case = BY_NAME[name]
    tensors = tuple(t.detach().to("meta").requires_grad_(t.requires_grad) for t in case.make(torch.float32))
    assert all(result.device.type == "meta" for result in _run(case, tensors, "reference"))


@interpreted
@pytest.mark.parametrize("name", NAMES)
def test_traffic(name: str) -> None:
    case = BY_NAME[name]
    tensors = _leaves(case, torch.float32)
    with record() as recording:
        got = _run(case, tensors, "triton")
        if case.backward is not None:
            _gradients(got, tensors)
    forward = recording.each[: sum(case.launches.values())]
    for launch in recording.each:
        for tensor, stored in launch.stores.items():
            once = bool((stored.times == 1).all()) and stored.strays == 0
            assert once, f"{launch.kernel} does not store each element of {tensor} once"
        floor = sum(traffic.touched for kind in (launch.loads, launch.stores) for traffic in kind.values())
        assert launch.bytes() <= case.halo * floor + _SLACK, launch.kernel
    if case.cost is not None:
        expected = case.cost()
        assert (sum(map(Launch.bytes, forward)), len(forward)) == (expected.bytes_kernel, expected.launches)


_SLACK = 1024  # bytes of a bias or a filter that each of a few small programs reads


@interpreted
@pytest.mark.parametrize("name", NAMES)
def test_order_and_fences(name: str) -> None:
    case = BY_NAME[name]
    leaves = _leaves(case, torch.float32)
    plain = _run(case, leaves, "triton")
    gradients = [] if case.backward is None else _gradients(plain, leaves)
    fences = Fences()
    tensors = tuple(fences.around(t) for t in _leaves(case, torch.float32))
    with permuted(5), fences.around_new():
        fenced = _run(case, tensors, "triton")
        again = [] if case.backward is None else _gradients(fenced, tensors)
    fences.check()
    for one, other in zip([*plain, *gradients], [*fenced, *again], strict=True):
        assert torch.equal(one, other)
