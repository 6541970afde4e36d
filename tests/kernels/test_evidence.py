"""What proves the Triton kernels without a GPU: every case against the reference, and what its programs touch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

import tolerances
from sdx_kernels.testing import Fences, Launch, Recording, permuted, record

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


@dataclass(frozen=True)
class Ran:
    """A case once run by Triton's interpreter: its leaves, results and gradients, and what its programs touched."""

    case: Case
    dtype: torch.dtype
    tensors: tuple[Tensor, ...]
    results: list[Tensor]
    gradients: list[Tensor]
    forward: Recording
    backward: Recording


def _ran(case: Case, dtype: torch.dtype) -> Ran:
    tensors = _leaves(case, dtype)
    with record() as forward:
        results = _run(case, tensors, "triton")
    with record() as backward:
        gradients = [] if case.backward is None else _gradients(results, tensors)
    return Ran(case, dtype, tensors, results, gradients, forward, backward)


@pytest.fixture(scope="module", params=NAMES)
def ran(request: pytest.FixtureRequest) -> Ran:
    """Return each case in float32, run once for all tests that look at it: the interpreter is slow."""
    return _ran(BY_NAME[request.param], torch.float32)


@interpreted
def test_values_and_gradients(ran: Ran) -> None:
    case = ran.case
    full, *halves = case.dtypes
    assert full == torch.float32
    # One format of half the width a case, in turns: a kernel widens what it has loaded, and the rest is the same.
    half = halves[NAMES.index(case.name) % max(len(halves), 1) :][:1]
    for run in (ran, *(_ran(case, dtype) for dtype in half)):
        exact = tuple(t.detach().double().requires_grad_(t.requires_grad) for t in run.tensors)
        assert run.forward.launches == case.launches
        expected, oracle = _run(case, run.tensors, "reference"), _run(case, exact, "reference")
        for mine, theirs, exactly in zip(run.results, expected, oracle, strict=True):
            assert mine.dtype == theirs.dtype
            assert mine.stride() == theirs.stride() or mine.numel() <= 1
            tolerances.check(case.op, mine, exactly)
        if case.backward is None:
            assert not any(result.requires_grad for result in run.results)
            continue
        assert run.backward.launches == case.backward
        _check_gradients(case, run.dtype, run.gradients, _gradients(oracle, exact))


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
def test_traffic(ran: Ran) -> None:
    case, forward = ran.case, ran.forward.each
    for launch in (*forward, *ran.backward.each):
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
def test_order_and_fences(ran: Ran) -> None:
    case = ran.case
    fences = Fences()
    tensors = tuple(fences.around(t) for t in _leaves(case, torch.float32))
    with permuted(5), fences.around_new():
        fenced = _run(case, tensors, "triton")
        again = [] if case.backward is None else _gradients(fenced, tensors)
    fences.check()
    for one, other in zip([*ran.results, *ran.gradients], [*fenced, *again], strict=True):
        assert torch.equal(one, other)
