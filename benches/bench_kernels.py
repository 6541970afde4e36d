"""The Triton kernels on a CUDA GPU against their peers, each beside its bytes and operations.

    python -m pytest benches/bench_kernels.py [--rows FILE] [--peer-stylegan3 PATH] [--batch N] [--embeddings N]

A number appears only where the result first agreed with float64. Peers take turns with ours, round by round; the roof
is the bandwidth of a plain copy, measured in the same run.
"""

from __future__ import annotations

import statistics
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch

import kernel_workloads
from kernel_workloads import Workload

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
_ROUNDS, _WARM = 30, 5
_LARGEST_ERROR = {torch.float16: 2e-3, torch.bfloat16: 1.5e-2, torch.float32: 1e-5}  # relative, root of mean square


@lru_cache(maxsize=1)
def copy_bandwidth() -> float:
    """Return the bytes a second of a copy of 1 GiB, read and written."""
    source = torch.zeros(2**28, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / statistics.median(turns({"copy": lambda: target.copy_(source)})["copy"])


def turns(calls: dict[str, Any]) -> dict[str, list[float]]:
    """Return seconds on the device of each call, in turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_WARM + _ROUNDS):
        for name, call in calls.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            end.synchronize()
            times[name].append(start.elapsed_time(end) * 1e-3)
    return {name: each[_WARM:] for name, each in times.items()}


def _workloads(config: pytest.Config) -> list[Workload]:
    batch, rows = config.getoption("--batch"), config.getoption("--embeddings")
    nvidia: Path | None = config.getoption("--peer-stylegan3")
    device, half = torch.device("cuda"), torch.float16
    return [*kernel_workloads.layers(batch, half, device, nvidia), *kernel_workloads.others(batch, half, device, rows)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    count = len(kernel_workloads.LAYERS) + kernel_workloads.OTHERS
    metafunc.parametrize("number", range(count))


def test_kernel(benchmark: Any, number: int, request: pytest.FixtureRequest) -> None:
    work = _workloads(request.config)[number]
    with torch.no_grad():
        got, exact = work.ours(), work.oracle()
        error = ((got.double() - exact).norm() / exact.norm()).item()
        assert error < _LARGEST_ERROR[torch.float16], f"{work.name}: no number, for it is wrong by {error}"
        times = turns({"ours": work.ours, **work.peers})
        ours = times.pop("ours")
        seconds = statistics.median(ours)
        benchmark.group = work.name
        benchmark.extra_info = {
            "part": work.name,
            "sizes": f"batch {request.config.getoption('--batch')}",
            **work.about,
            "peers": times,
            "device_times": ours,
            "bytes_min": work.cost.bytes_min,
            "flops": work.cost.flops,
            "of_copy_bandwidth": round(work.cost.bytes_min / seconds / copy_bandwidth(), 3),
            "tflops": round(work.cost.flops / seconds * 1e-12, 1),
            "error": error,
            "gpu": torch.cuda.get_device_name(),
        }
        benchmark.pedantic(work.ours, rounds=3, iterations=1)
