"""The argument `impl`: it decides alone, and "triton" never falls back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import sdx_kernels
from sdx_kernels import (
    KernelError,
    PackedWeight,
    bias_act,
    crop_resize,
    embedding_loss,
    embedding_loss_gradient,
    modulated_conv2d,
    prototype_loss,
    styled_layer,
    upfirdn2d,
)

IMAGE = torch.arange(50.0).view(1, 2, 5, 5)
CALLS: dict[str, Callable[..., Tensor]] = {
    "bias_act": lambda **kwargs: bias_act(IMAGE, act="lrelu", **kwargs),
    "crop_resize": lambda **kwargs: crop_resize(IMAGE, 3, **kwargs),
    "embedding_loss": lambda **kwargs: embedding_loss(torch.eye(3), torch.ones(3, 3), **kwargs)[0],
    "embedding_loss_gradient": lambda **kwargs: embedding_loss_gradient(torch.eye(3), torch.ones(3, 3), **kwargs)[2],
    "modulated_conv2d": lambda **kwargs: modulated_conv2d(IMAGE, torch.ones(3, 2, 3, 3), torch.ones(1, 2), **kwargs),
    "prototype_loss": lambda **kwargs: prototype_loss(torch.eye(3), torch.eye(3), labels=torch.arange(3), **kwargs)[0],
    "styled_layer": lambda **kwargs: styled_layer(
        IMAGE, PackedWeight.of(torch.ones(3, 2, 3, 3)), torch.ones(1, 3), **kwargs
    )[0],
    "upfirdn2d": lambda **kwargs: upfirdn2d(IMAGE, torch.ones(2), **kwargs),
}


def test_backend_names_every_op() -> None:
    functions = {name for name in sdx_kernels.__all__ if inspect.isfunction(getattr(sdx_kernels, name))}
    functions.discard("backend")
    assert set(sdx_kernels.backend()) == functions == set(CALLS)


@pytest.mark.parametrize("op", CALLS)
def test_auto_runs_what_backend_says(op: str) -> None:
    assert sdx_kernels.backend()[op].startswith("reference: ")
    assert torch.equal(CALLS[op](), CALLS[op](impl="reference"))
    assert torch.equal(CALLS[op](impl="auto"), CALLS[op](impl="reference"))


def test_backend_hands_out_a_copy() -> None:
    sdx_kernels.backend()["crop_resize"] = "broken"
    assert sdx_kernels.backend()["crop_resize"].startswith("reference: ")


@pytest.mark.parametrize("op", CALLS)
def test_triton_is_refused_rather_than_replaced(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from triton import knobs

    monkeypatch.setattr(knobs.runtime, "interpret", False)
    with pytest.raises(KernelError, match=f"{op}: expected a device that Triton runs on"):
        CALLS[op](impl="triton")


@pytest.mark.parametrize("op", CALLS)
@pytest.mark.parametrize("impl", ["", "Triton", "cuda", None])
def test_an_unknown_impl_is_named(op: str, impl: Any) -> None:
    with pytest.raises(KernelError) as error:
        CALLS[op](impl=impl)
    assert str(error.value).startswith(f"{op}: expected impl 'auto', 'triton' or 'reference', got {impl!r}")


def test_kernel_errors_are_value_errors() -> None:
    assert issubclass(KernelError, ValueError)
