"""The Triton kernels on a CUDA GPU against their peers, each beside its bytes and operations.

    python -m pytest benches/bench_kernels.py [--rows FILE] [--peer-stylegan3 PATH] [--batch N] [--embeddings N]

A number appears only where the result first agreed with float64. Peers take turns with ours, round by round; the roof
is the bandwidth of a plain copy, measured in the same run.
"""

from __future__ import annotations

import statistics
from typing import Any

import pytest
import torch

import gpu_timing
from kernel_calls import Sizes
from kernel_workloads import WORKLOADS

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    # The compiler's import and the peers' code speak of their own future.
    *(pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "FutureWarning", "UserWarning")),
]
_LARGEST_ERROR = {torch.float16: 2e-3, torch.bfloat16: 1.5e-2, torch.float32: 1e-5}  # relative, root of mean square


@pytest.mark.parametrize("name", WORKLOADS)
def test_kernel(benchmark: Any, name: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    option = request.config.getoption
    sizes = Sizes(option("--batch"), option("--embeddings"), torch.device("cuda"), nvidia=option("--peer-stylegan3"))
    torch.compiler.reset()  # it stops compiling after a number of variants of one function, whichever test made them
    with torch.no_grad():
        work = WORKLOADS[name](sizes)
        error = work.error()
        assert error < _LARGEST_ERROR[sizes.dtype], f"{name}: no number, for it is wrong by {error}"
        peers, absent = gpu_timing.able(work.peers)
        timings = gpu_timing.recorded({"ours": work.ours, **peers})
        seconds = statistics.median(timings["ours"].seconds)
        benchmark.group = name
        benchmark.extra_info = {
            "part": name,
            **work.about,
            **gpu_timing.about(timings),
            "absent": work.absent | absent,
            "bytes_min": work.cost.bytes_min,
            "flops": work.cost.flops,
            "of_copy_bandwidth": round(work.cost.bytes_min / seconds / gpu_timing.copy_bandwidth(), 3),
            "tflops": round(work.cost.flops / seconds * 1e-12, 1),
            "error": error,
            "gpu": torch.cuda.get_device_name(),
        }
        benchmark.pedantic(work.ours, rounds=3, iterations=1)
    with capsys.disabled():
        print(f"\n{name}: {seconds * 1e6:.0f} us, {len(peers)} peers", flush=True)
