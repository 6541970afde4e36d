"""A training step and its parts on this machine: ours, the original's way, and the bare convolutions as the floor.

    python -m pytest benches/bench_step.py --benchmark-group-by=group --benchmark-columns=min,median,iqr,rounds

The numbers in brackets are ratios within a group, measured in one run. `--rows FILE` appends one JSON line a result.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest

import workloads
from sdx import precision

PARTS = ("source", "teacher", "student", "bookkeeping", "step")


@lru_cache(maxsize=1)
def _step(name: str) -> workloads.Step:
    return workloads.Step(name, precision.resolve())


def _calls() -> list[tuple[str, str, str]]:
    calls = []
    for name in workloads.SIZES:
        for part in PARTS:
            calls += [
                (name, part, impl) for impl in ("ours", "original") if (part, impl) != ("bookkeeping", "original")
            ]
            calls += [(name, part, "floor")] if part in ("source", "teacher") else []
    return calls


@pytest.mark.parametrize(("name", "part", "impl"), _calls())
def test_step(benchmark: Any, name: str, part: str, impl: str) -> None:
    step = _step(name)
    call: Callable[[], Any] = getattr(step, f"{part}_{'ours' if impl == 'floor' else impl}")
    if impl == "floor":
        size = step.source.synthesis.slice_size if part == "source" else step.teacher.slice_size
        call = workloads.bare_convolutions(call, len(step.index), size or len(step.index))
    benchmark.group = f"{name} {part}"
    benchmark.extra_info = {"part": part, "impl": impl, "sizes": name, "batch": len(step.index)}
    benchmark.pedantic(call, rounds=15 if name == "demo" else 5, warmup_rounds=2, iterations=1)


@pytest.mark.parametrize(("name", "count"), [("demo", 3), ("paper", 3)])
def test_students_of_one_pass(benchmark: Any, name: str, count: int) -> None:
    """A step with further students, which learn from the same faces and embeddings."""
    step = _step(name)

    def run() -> None:
        step.step_ours()
        for _ in range(count - 1):
            step.student_ours()

    benchmark.group = f"{name} step"
    benchmark.extra_info = {"part": "step", "impl": f"ours, {count} students", "sizes": name, "batch": len(step.index)}
    benchmark.pedantic(run, rounds=9 if name == "demo" else 5, warmup_rounds=1, iterations=1)
