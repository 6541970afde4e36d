"""A stand-in for CUDA graphs on a CPU: its outputs keep their memory, and a replay computes them anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sdx.training.graphs import WARM_UPS


class FakeRecorder:
    """Counts what it records and replays."""

    def __init__(self) -> None:
        self.recorded = 0
        self.replayed = 0

    def record(self, function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        for _ in range(WARM_UPS):
            function()
        self.recorded += 1
        outputs = _filled_with_nan(function())

        def replay() -> None:
            self.replayed += 1
            _copy(outputs, function())

        return replay, outputs

    def record_both(self, first: Callable[[], Any], second: Callable[[], Any]) -> Any:
        """Count a pair as one recording and as two replays."""
        for _ in range(WARM_UPS):
            first()
            second()
        self.recorded += 1
        outputs = _filled_with_nan(first()), _filled_with_nan(second())

        def replay(kept: Any, function: Callable[[], Any]) -> Callable[[], None]:
            def replayed() -> None:
                self.replayed += 1
                _copy(kept, function())

            return replayed

        return (replay(outputs[0], first), outputs[0]), (replay(outputs[1], second), outputs[1])


def _filled_with_nan(value: Any) -> Any:
    """A recording computes nothing: what it returns is memory until it is replayed."""
    if isinstance(value, tuple):
        return tuple(map(_filled_with_nan, value))
    return None if value is None else torch.full_like(value, float("nan"))


def _copy(kept: Any, value: Any) -> None:
    if isinstance(kept, tuple):
        for a, b in zip(kept, value, strict=True):
            _copy(a, b)
    elif isinstance(kept, Tensor):
        kept.copy_(value)
