"""Where a run computes: the processor, or one CUDA device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from sdx.errors import ConfigError

CPU = torch.device("cpu")


def resolve(name: str) -> torch.device:
    """Return the device that a configuration names: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".

    Raises ConfigError for a CUDA device that is not there.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return CPU
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(name.partition(":")[2] or 0)
    if number >= count:
        found = f"{count} of them" if count else "none that torch can use"
        raise ConfigError(f"device: expected CUDA device {number} for {name}, got {found}; give device=cpu")
    return torch.device("cuda", number)


def settle(device: torch.device) -> None:
    """Return once a CUDA device has done what it was given, on all of its streams; at once on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextlib.contextmanager
def using(device: torch.device, *, exact: bool) -> Iterator[None]:
    """While entered, a CUDA device is torch's current one and its convolutions repeat bit for bit; nothing on a CPU.

    Args:
        device: where a run computes.
        exact: whether float32 convolutions are float32's own; otherwise they may round their factors to TF32.
    """
    if device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark, cudnn.conv.fp32_precision
    cudnn.deterministic, cudnn.benchmark = True, False  # resuming promises the bits of the run that was not stopped
    cudnn.conv.fp32_precision = "ieee" if exact else "tf32"
    try:
        with torch.cuda.device(device):
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark, cudnn.conv.fp32_precision = before
