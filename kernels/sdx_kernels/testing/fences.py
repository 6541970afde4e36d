"""Tensors inside a margin of NaN: what strays out of one shows, and so does what strays in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor


class Fences:
    """Places tensors inside margins and looks after those."""

    def __init__(self, margin: int = 4096) -> None:
        """Take margins of ``margin`` elements (at least 1) on either side."""
        self._margin = margin
        self._buffers: list[tuple[Tensor, int]] = []

    def around(self, tensor: Tensor) -> Tensor:
        """Return a copy of a dense tensor, in its strides, that lies within a margin; a leaf if that was one."""
        extent = tensor.numel()
        buffer = torch.full(
            (2 * self._margin + extent,), _canary(tensor.dtype), dtype=tensor.dtype, device=tensor.device
        )
        inner = torch.as_strided(buffer, tensor.shape, tensor.stride(), self._margin)
        with torch.no_grad():
            inner.copy_(tensor)
        self._buffers.append((buffer, extent))
        return inner.detach().requires_grad_(tensor.requires_grad)

    def check(self) -> None:
        """Raise AssertionError unless every margin is as it was."""
        for buffer, extent in self._buffers:
            margins = torch.cat([buffer[: self._margin], buffer[self._margin + extent :]])
            kept = margins.isnan() if margins.is_floating_point() else margins == _canary(margins.dtype)
            assert bool(kept.all()), f"{int((~kept).sum())} values of the margin around {extent} elements were written"

    @contextmanager
    def around_new(self) -> Iterator[None]:
        """Within the block, let ``torch.empty`` and ``torch.empty_like`` return NaN within a margin."""
        empty, empty_like = torch.empty, torch.empty_like

        def fenced(allocate: Any) -> Any:
            def allocated(*args: Any, **kwargs: Any) -> Tensor:
                tensor: Tensor = allocate(*args, **kwargs)
                if type(tensor) is not Tensor or tensor.device.type == "meta":
                    return tensor
                return self.around(tensor.fill_(_canary(tensor.dtype)))

            return allocated

        with (
            mock.patch.object(torch, "empty", fenced(empty)),
            mock.patch.object(torch, "empty_like", fenced(empty_like)),
        ):
            yield


def _canary(dtype: torch.dtype) -> float | int:
    return float("nan") if dtype.is_floating_point else 85  # fits every integer type
