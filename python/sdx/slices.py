"""Frozen networks over slices of a batch: what a slice keeps between two layers stays near the processor.

torch's own threads share each operation. Slices that each keep one thread from start to end would have no barriers,
but were measured slower in a training step: torch's idle threads spin for milliseconds after the student's turn and
take the cores from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def over_slices(function: Callable[..., Tensor], inputs: Sequence[Tensor], slice_size: int | None) -> Tensor:
    """Return ``torch.cat`` of ``function`` over slices of ``inputs``, in inference mode.

    Args:
        function: takes slices of the inputs, [n, ...] each, and returns [n, ...].
        inputs: tensors [N, ...] of one N.
        slice_size: images in a slice; the last one may be smaller. None for all.

    Returns:
        [N, ...], an inference tensor (`Tensor.clone` it outside of inference mode to learn from it).
    """
    with torch.inference_mode():
        if slice_size is None or len(inputs[0]) <= slice_size:
            return function(*inputs)
        parts = zip(*(torch.split(tensor, slice_size) for tensor in inputs), strict=True)
        return torch.cat([function(*part) for part in parts])
