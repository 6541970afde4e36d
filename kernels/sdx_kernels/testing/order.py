"""The order of a launch's programs, permuted: on a GPU there is none, so a result that depends on it is a race."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np


@contextmanager
def permuted(seed: int) -> Iterator[None]:
    """Run the programs of every launch of the block in a random order instead of first to last."""
    from triton.runtime import interpreter

    builder = interpreter.InterpreterBuilder
    set_program, set_dimensions = builder.set_grid_idx, builder.set_grid_dim
    random = np.random.default_rng(seed)
    order: list[np.ndarray[Any, Any]] = []

    def shuffled_dimensions(self: Any, *dimensions: int) -> None:
        order[:] = [random.permutation(np.prod(dimensions, dtype=np.int64))]
        set_dimensions(self, *dimensions)

    def shuffled_program(self: Any, x: int, y: int, z: int) -> None:
        _, rows, columns = self.grid_dim
        number = order[0][(x * rows + y) * columns + z]
        set_program(self, *(int(i) for i in np.unravel_index(number, self.grid_dim)))

    with (
        mock.patch.object(builder, "set_grid_dim", shuffled_dimensions),
        mock.patch.object(builder, "set_grid_idx", shuffled_program),
    ):
        yield
