"""Learning rate, margin and intervals as pure functions of images seen."""

from __future__ import annotations

import math

from sdx.config import LossConfig, OptimizerConfig


def learning_rate(config: OptimizerConfig, seen: int, total: int) -> float:
    """Return the learning rate after ``seen`` of ``total`` images.

    ``step`` multiplies by gamma every ``step_every`` images (torch's StepLR), ``cosine`` falls to zero at ``total``.
    """
    rate = config.lr
    if config.warmup and seen < config.warmup:
        rate *= (seen + 1) / (config.warmup + 1)
    if config.schedule == "step":
        rate *= config.gamma ** (seen // (config.step_every or total))
    elif config.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * min(seen / total, 1.0)))
    return rate


def margin(config: LossConfig, progress: float) -> float:
    """Return the angular margin in radians: 0, then a linear ramp between two shares of the run, then the whole.

    ``progress`` is the share of the run's images seen, in [0, 1]. With the margin there from the start the small
    networks of this project do not train at all.
    """
    start, end = config.ramp
    return config.margin * min(max((progress - start) / max(end - start, 1e-9), 0.0), 1.0)


def due(interval: int | None, before: int, after: int) -> bool:
    """Return whether a multiple of ``interval`` lies in (before, after]; never for None."""
    return interval is not None and after // interval > before // interval
