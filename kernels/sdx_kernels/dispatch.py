"""Which implementation of an op runs: the argument `impl` decides, and nothing else."""

from __future__ import annotations

import os
import warnings
from typing import Literal

import torch
from torch import Tensor

Impl = Literal["auto", "triton", "reference"]

OPS = (
    "bias_act",
    "crop_resize",
    "embedding_loss",
    "embedding_loss_gradient",
    "modulated_conv2d",
    "prototype_loss",
    "styled_layer",
    "upfirdn2d",
)
"""The public ops, which `backend` lists. `channelwise`, which is sdx's own, is chosen like them."""

_SMALLEST_CAPABILITY = (8, 0)
_TRITON_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


class KernelError(ValueError):
    """An argument that an op cannot take, or an implementation that cannot run."""


class FallbackWarning(UserWarning):
    """`impl="auto"` runs the reference on a GPU, because Triton cannot run there."""


def backend() -> dict[str, str]:
    """Return what `impl="auto"` runs for each op on this machine's first GPU, or on the CPU, and why."""
    if not torch.cuda.is_available():
        return dict.fromkeys(OPS, "reference: no CUDA device")
    reason = obstacle("cuda", 0)
    name = torch.cuda.get_device_name(0)
    return dict.fromkeys(OPS, f"reference: {reason}" if reason else f"triton: {name}")


def runs_triton(op: str, impl: str, **tensors: Tensor | None) -> bool:
    """Return whether ``op`` runs its Triton kernels; "triton" never falls back, "auto" warns where it must.

    On a CPU "auto" is the reference, silently, and so it is for float64 everywhere. With SDX_KERNELS_STRICT=1 in the
    environment, a fallback on a GPU is an error.

    Args:
        op: name of the op, one of `OPS` or "channelwise".
        impl: the caller's choice.
        tensors: the arguments by name; None for those not given.

    Raises:
        KernelError: for another ``impl``, what is no tensor, arguments on several devices, or "triton" where it cannot
            run.
    """
    if impl not in ("auto", "triton", "reference"):
        raise KernelError(f"{op}: expected impl 'auto', 'triton' or 'reference', got {impl!r}")
    given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) and (tensor is not None or name == next(iter(tensors))):
            raise KernelError(f"{op}: expected {name} as a tensor, got {type(tensor).__name__}")
    first, device = next((name, tensor.device) for name, tensor in given.items())
    for name, tensor in given.items():
        if tensor.device != device:
            raise KernelError(f"{op}: expected {name} on {device} as {first}, got {tensor.device}")
    if impl == "reference" or (impl == "auto" and device.type != "cuda"):
        return False
    for name, tensor in given.items():
        if tensor.is_floating_point() and tensor.dtype not in _TRITON_DTYPES:
            if impl == "auto":
                return False
            raise KernelError(
                f"{op}: expected {name} in float16, bfloat16 or float32 for impl='triton', got {tensor.dtype}; "
                "use impl='auto'"
            )
    reason = obstacle(device.type, device.index or 0)
    if reason is None:
        return True
    if impl == "triton":
        raise KernelError(f"{op}: expected a device that Triton runs on for impl='triton', got {reason}")
    fall_back(reason)
    return False


def obstacle(kind: str, index: int) -> str | None:
    """Return why Triton's kernels cannot run on a device, or None where they can."""
    try:
        from triton import knobs
    except ModuleNotFoundError:
        return f"{kind}, and triton is not installed"
    if knobs.runtime.interpret:
        return None
    if kind != "cuda":
        return f"{kind} (without TRITON_INTERPRET=1)"
    capability = torch.cuda.get_device_capability(index)
    if capability < _SMALLEST_CAPABILITY:
        return "a GPU of compute capability {}.{}, below {}.{}".format(*capability, *_SMALLEST_CAPABILITY)
    return None


# torch.compiler.assume_constant_result sets this too, but imports the compiler, which takes seconds.
obstacle._dynamo_marked_constant = True  # type: ignore[attr-defined]  # mypy knows no attributes of functions


def checked(op: str, *results: Tensor) -> None:
    """With SDX_KERNELS_CHECK=1, wait for the device and raise KernelError unless all results are finite."""
    if os.environ.get("SDX_KERNELS_CHECK") != "1" or torch.compiler.is_compiling():
        return
    for result in results:
        wrong = int((~torch.isfinite(result)).sum())
        if wrong:
            raise KernelError(f"{op}: expected a finite result, got {wrong} of {result.numel()} values infinite or NaN")


_warned: set[str] = set()


def fall_back(reason: str) -> None:
    """Say once that "auto" runs the reference where it would run Triton; raises with SDX_KERNELS_STRICT=1."""
    message = f"sdx_kernels runs its plain torch references on {reason}"
    if os.environ.get("SDX_KERNELS_STRICT") == "1":
        raise KernelError(f"{message}, and SDX_KERNELS_STRICT=1 forbids that")
    if reason not in _warned:
        _warned.add(reason)
        warnings.warn(message, FallbackWarning, stacklevel=4)
