"""The workloads of the kernel benches compute what their oracle does: a bench of a wrong call would be worthless."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.fixture(scope="module")
def workloads() -> Any:
    path = Path(__file__).parents[2] / "benches" / "kernel_workloads.py"
    specification = importlib.util.spec_from_file_location("kernel_workloads", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["kernel_workloads"] = module  # dataclasses look for it there
    specification.loader.exec_module(module)
    return module


def _check(work: Any, tolerance: float) -> None:
    with torch.no_grad():
        got, exact = work.ours().double(), work.oracle()
        assert ((got - exact).norm() / exact.norm()).item() < tolerance, work.name
        peer = (
            work.peers["eager"]() if "eager" in work.peers else work.peers["cuDNN channels_last, eager epilogue"]()[0]
        )
        assert ((peer.double() - exact).norm() / exact.norm()).item() < tolerance, work.name
    assert 0 < work.cost.bytes_min <= work.cost.bytes_kernel
    assert work.cost.flops > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_other_ops(workloads: Any, dtype: torch.dtype) -> None:
    found = workloads.others(1, dtype, torch.device("cpu"), rows=3, prototypes=40, side=16)
    assert len(found) == workloads.OTHERS
    for work in found:
        _check(work, 2e-6 if dtype == torch.float32 else 2e-3)


@pytest.mark.parametrize("up", [1, 2])
def test_a_layer(workloads: Any, up: int) -> None:
    _check(workloads._layer(2, 8, 5, 7, up, torch.float32, torch.device("cpu"), None), 2e-6)
