"""The pytest plug-in: fixtures for tests of Triton kernels (`pytest_plugins = ["sdx_kernels.testing.plugin"]`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sdx_kernels.testing.fences import Fences
from sdx_kernels.testing.recording import Recording, record


@pytest.fixture
def recording() -> Iterator[Recording]:
    """Record the launches of the test; a stray access fails it. Skips where Triton does not interpret."""
    from triton import knobs

    if not knobs.runtime.interpret:
        pytest.skip("Triton does not interpret (TRITON_INTERPRET=1)")
    with record() as recorded:
        yield recorded


@pytest.fixture
def fences() -> Iterator[Fences]:
    """Place tensors within margins, and look at the margins after the test."""
    placed = Fences()
    yield placed
    placed.check()
