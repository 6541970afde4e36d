"""A training step and its parts on this machine against the original's way and against the bare convolutions.

    python -m pytest benches/bench_step.py --benchmark-columns=min,median,rounds [--rows FILE]
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 ... --held-to-fp32   # as on a processor without AVX-512

What is compared takes turns, round by round, so that a processor that slows down for a while slows down all. The
summary at the end gives the medians and, for each peer, the median of its time over ours; `--rows` appends them as JSON
lines.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import pytest

import workloads
from sdx import precision

_ROUNDS = {"demo": 25, "paper": 7}
PEERS = {
    "source": ("original", "floor"),
    "teacher": ("original", "floor"),
    "frozen": ("original", "floor"),
    "student": ("original",),
    "bookkeeping": (),
    "step": ("original",),
    "step_of_three": ("step of one", "two further students"),
}


@lru_cache(maxsize=1)
def _step(name: str, policy: precision.Policy) -> workloads.Step:
    return workloads.Step(name, policy)


@pytest.mark.parametrize("part", PEERS)
@pytest.mark.parametrize("name", workloads.SIZES)
def test_step(benchmark: Any, name: str, part: str, policy: precision.Policy) -> None:
    step = _step(name, policy)
    calls = {peer: step.peer(part, peer) for peer in PEERS[part]}
    times: dict[str, list[float]] = {peer: [] for peer in calls}

    def peers() -> None:
        for peer, call in calls.items():
            start = time.perf_counter()
            call()
            times[peer].append(time.perf_counter() - start)

    benchmark.group = f"{name} {part}"
    benchmark.extra_info = {"part": part, "sizes": name, "batch": len(step.index), "peers": times}
    benchmark.pedantic(step.ours(part), setup=peers, rounds=_ROUNDS[name], warmup_rounds=2, iterations=1)
    for peer in calls:
        del times[peer][: -_ROUNDS[name]]  # the rounds that warmed up
