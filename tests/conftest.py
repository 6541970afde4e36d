"""Fixtures of every test."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Give every test the same torch random numbers, whatever ran before it."""
    torch.manual_seed(0)
