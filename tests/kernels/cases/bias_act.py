"""Calls of bias_act."""

from __future__ import annotations

import torch
from torch import Tensor

from cases import Case, normal
from sdx_kernels import bias_act
from sdx_kernels.bias_act import Activation
from sdx_kernels.cost import cost

KERNEL = {"bias_act_kernel": 1}
EVERY = (torch.float32, torch.float16, torch.bfloat16)  # values are widened as soon as they are loaded


def _nchw(dtype: torch.dtype) -> tuple[Tensor, ...]:
    return normal(2, 3, 9, 7, seed=1, dtype=dtype), normal(3, seed=2, dtype=torch.float32)


def _channels_last(dtype: torch.dtype, channels: int = 63, side: int = 5) -> tuple[Tensor, ...]:
    x = normal(2, channels, side, 10, seed=3, dtype=dtype, grad=False).contiguous(memory_format=torch.channels_last)
    return x.requires_grad_(), normal(channels, seed=4, dtype=dtype)


CASES = [
    *(
        Case(
            f"bias_act-{act}-{clamp}",
            "bias_act",
            _nchw,
            lambda x, bias, impl, act=act, clamp=clamp: bias_act(x, bias, act=act, clamp=clamp, impl=impl),
            KERNEL,
            KERNEL,
            cost=lambda: cost("bias_act", (2, 3, 9, 7), torch.float32),
            dtypes=EVERY,
        )
        for act in ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish")
        for clamp in (None, 0.9)  # which half formats round
    ),
    Case(
        "bias_act-channels_last",
        "bias_act",
        _channels_last,
        lambda x, bias, impl: bias_act(x, bias, act="lrelu", gain=-0.7, impl=impl),
        KERNEL,
        KERNEL,
        cost=lambda: cost("bias_act", (2, 63, 5, 10), torch.float32, channels_last=True),
    ),
    *(
        Case(
            f"bias_act-channels_last-{channels}",
            "bias_act",
            lambda dtype, channels=channels, side=side: _channels_last(dtype, channels, side),
            lambda x, bias, impl: bias_act(x, bias, act="lrelu", gain=-0.7, impl=impl),
            KERNEL,
            KERNEL,
            halo=1.5 if channels > 1024 else 1.05,  # a program reads as many values of the bias as of the image
            cost=lambda channels=channels, side=side: cost(
                "bias_act", (2, channels, side, 10), torch.float32, channels_last=True
            ),
        )
        for channels, side in ((2, 5), (64, 5), (2048, 1))  # powers of two, within a program and beyond
    ),
    Case(
        "bias_act-rows",
        "bias_act",
        lambda dtype: (normal(129, 100, seed=5, dtype=dtype), normal(129, seed=6, dtype=dtype)),
        lambda x, bias, impl: bias_act(x, bias, dim=0, act="swish", impl=impl),
        KERNEL,
        KERNEL,
    ),
    Case(
        "bias_act-strided",
        "bias_act",
        lambda dtype: (normal(4, 12, seed=7, dtype=dtype), normal(24, seed=8, dtype=dtype)),
        lambda x, bias, impl: bias_act(x[:, ::2].T, bias[::4], dim=0, act="elu", impl=impl),
        KERNEL,
        KERNEL,
    ),
    Case(
        "bias_act-one",
        "bias_act",
        lambda dtype: (normal(1, seed=9, dtype=dtype),),
        lambda x, impl: bias_act(x, act="tanh", impl=impl),
        KERNEL,
        KERNEL,
    ),
]


def _compiled(dtype: torch.dtype, channels_last: bool, act: Activation) -> None:
    x = torch.zeros(2, 64, 16, 16, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    y = bias_act(x.requires_grad_(), torch.zeros(64), act=act, clamp=1.0, impl="triton")
    (first,) = torch.autograd.grad(y, x, torch.zeros_like(y), create_graph=True)
    if act == "swish":
        torch.autograd.grad(first, x, torch.zeros_like(x))


COMPILED = [
    ("bias_act lrelu, channels_last", lambda dtype: _compiled(dtype, True, "lrelu")),
    ("bias_act swish, NCHW", lambda dtype: _compiled(dtype, False, "swish")),
    ("bias_act tanh", lambda dtype: bias_act(torch.zeros(4096, dtype=dtype), act="tanh", impl="triton")),
]
"""Calls at sizes of a real layer, for the compile gate."""
