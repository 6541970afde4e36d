"""A bare product of two matrices, as floor: by NumPy or by torch, blocks of rows into one and the same memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_ROWS = 512


def product(folder: str, first: str, second: str, library: str) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """first second' of the float32 .npy files of those names; the whole product is held nowhere."""
    a, b = (np.load(Path(folder, f"{name}.npy")) for name in (first, second))
    out = np.empty((_ROWS, len(b)), np.float32)
    if library == "torch":
        import torch

        rows, columns, block = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(out)

        def multiply(part: slice) -> None:
            torch.mm(rows[part], columns.T, out=block[: part.stop - part.start])
    else:

        def multiply(part: slice) -> None:
            np.matmul(a[part], b.T, out=out[: part.stop - part.start])

    def work() -> None:
        for start in range(0, len(a), _ROWS):
            multiply(slice(start, min(start + _ROWS, len(a))))

    return work, lambda result: None
