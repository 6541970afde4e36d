"""The workloads of the GPU's step bench on a CPU: a step plainly and in the trainer's way, near the original's."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHES = str(Path(__file__).parents[2] / "benches")


@pytest.fixture(scope="module")
def step() -> Any:
    sys.path.insert(0, BENCHES)
    try:
        return importlib.import_module("gpu_workloads").GpuStep("demo", torch.device("cpu"), 4)
    finally:
        sys.path.remove(BENCHES)


def test_the_faces_are_those_of_the_original(step: Any) -> None:
    assert 0 < step.disagreement() < 0.05


def test_a_part_recorded_is_the_part(step: Any) -> None:
    assert torch.equal(step.recorded("source")(), step.plain("source")())
    for one, other in zip(step.recorded("frozen")(), step.plain("frozen")(), strict=True):
        assert torch.equal(one, other)


def test_a_step_learns(step: Any) -> None:
    losses = [step.recorded("step")() for _ in range(8)]
    assert losses[-1] < losses[0]
    assert torch.isfinite(step.plain("step")())
    assert torch.isfinite(step.peer("step", "original")())


def test_a_step_drawn_ahead_learns(step: Any) -> None:
    losses = [step.recorded("overlapped")() for _ in range(8)]
    assert losses[-1] < losses[0]
    assert torch.isfinite(step.plain("overlapped")())


def test_the_epilogues_move_something(step: Any) -> None:
    assert step.epilogue_bytes() > 0
