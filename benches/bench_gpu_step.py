"""The generator, generator and teacher, and the whole step on a CUDA GPU, against the original's way and the floor.

    python -m pytest benches/bench_gpu_step.py [--rows FILE] [--peer-stylegan3 PATH] [--gpu-batch N]

Ours runs as the trainer runs it: the frozen part and the student's pass as CUDA graphs, bfloat16 convolutions; what is
"overlapped" is the step with ``overlap``, beside the same one in turn. The
floor of the generator is its convolutions alone plus the bytes of the epilogue kernels at the bandwidth of a copy.
"""

from __future__ import annotations

import statistics
from functools import lru_cache
from typing import Any

import pytest
import torch

import gpu_timing
import gpu_workloads

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    # The peers' code speaks of its own future.
    *(pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "FutureWarning", "UserWarning")),
]


@lru_cache(maxsize=1)
def _step(batch: int) -> gpu_workloads.GpuStep:
    return gpu_workloads.GpuStep("paper", torch.device("cuda"), batch)


@pytest.mark.parametrize("part", ["source", "frozen", "step", "overlapped"])
def test_part(
    benchmark: Any,
    part: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SDX_KERNELS_STRICT", "1")  # the references' time is not ours
    batch = request.config.getoption("--gpu-batch")
    step = _step(batch)
    error = step.disagreement()
    assert error < 0.05, f"no number, for the faces differ from float32's by {error}"
    whole = "step" if part == "overlapped" else part
    calls = {"ours": step.recorded(part), "ours, no graphs": step.plain(part), "original": step.peer(whole, "original")}
    absent = {}
    if part == "overlapped":
        calls["ours, in turn"] = step.recorded("step")
    if part == "source":
        calls["bare convolutions"] = step.peer(part, "floor")
        found, absent = gpu_workloads.nvidia_synthesis(request.config.getoption("--peer-stylegan3"), batch)
        able, unable = gpu_timing.able(found)
        calls, absent = calls | able, absent | unable
    timings = gpu_timing.plain(calls)
    ours = statistics.median(timings["ours"].seconds)
    benchmark.group = f"{part}, batch {batch}"
    benchmark.extra_info = {
        "part": part,
        "sizes": f"paper, batch {batch}",
        **gpu_timing.about(timings),
        "absent": absent,
        "error": error,
        "gpu": torch.cuda.get_device_name(),
    }
    if part == "source":
        floor = statistics.median(timings["bare convolutions"].seconds)
        floor += step.epilogue_bytes() / gpu_timing.copy_bandwidth()
        benchmark.extra_info["of_floor"] = round(ours / floor, 3)
    benchmark.pedantic(calls["ours"], rounds=3, iterations=1)
    with capsys.disabled():
        print(f"\n{part}: {ours * 1e3:.2f} ms, {len(calls) - 1} peers", flush=True)
