"""The command under test."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from sdx.cli import main


@pytest.fixture
def pretrain(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run ``sdx pretrain generator`` with these arguments and return its exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["sdx", "pretrain", "generator", *arguments])
        try:
            main()
        except SystemExit as stopped:
            return int(stopped.code or 0)
        return 0

    return run
