"""How much data stands behind a rate: the rules of 30 and of 3."""

from __future__ import annotations

from typing import Literal

SUPPORT = 30
"""A rate is well supported by at least so many errors (Doddington's rule of 30); below, it is marked."""

LEAST = 3
"""Errors below which data do not support a rate at all."""

Support = Literal["good", "low", "none"]

MARKS: dict[Support, str] = {"good": "", "low": "~", "none": "not supported "}
"""What tables print before a rate."""


def support(errors: float) -> Support:
    """Return how well a rate is supported by ``errors``, those that were made or those that can be expected."""
    errors += 1e-6  # 3,000 pairs at 1e-2 count as the 30 that they are
    return "good" if errors >= SUPPORT else "low" if errors >= LEAST else "none"
