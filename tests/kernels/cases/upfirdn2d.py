"""Calls of upfirdn2d."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cases import Case, normal
from sdx_kernels import upfirdn2d
from sdx_kernels.cost import cost
from sdx_kernels.upfirdn2d.strip import FACTORS

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
SKEWED = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.25, -1.0]]) / 4
SQUARE = BINOMIAL.outer(BINOMIAL)
UNEVEN = torch.tensor([1.0, -2.0, 3.5, 0.25]) / 4
TWELVE = torch.arange(1.0, 13.0) / 78
EVERY = (torch.float32, torch.float16, torch.bfloat16)  # values are widened as soon as they are loaded


def _make(channels_last: bool = False, *shape: int) -> Any:
    def make(dtype: torch.dtype) -> tuple[Tensor, ...]:
        x = normal(*(shape or (2, 3, 9, 7)), seed=1, dtype=dtype, grad=False)
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return (x.requires_grad_(),)

    return make


def _call(filter: Tensor | None, **options: Any) -> Any:
    return lambda x, impl: upfirdn2d(x, None if filter is None else filter.to(x.device), impl=impl, **options)


def _case(
    name: str, make: Any, call: Any, launches: int = 1, halo: float = 1.15, strip: bool = False, **options: Any
) -> Case:
    ran = {"upfirdn2d_strip_kernel" if strip else "upfirdn2d_kernel": launches}
    # A tile reads what its border taps meet, and the filter, anew; short strips read up to 7 rows for 4.
    halo = 1.45 if strip else halo
    return Case(f"upfirdn2d-{name}", "upfirdn2d", make, call, ran, ran, halo=halo, dtypes=EVERY, **options)


CASES = [
    _case("copy", _make(), _call(None), halo=1.05),
    _case("skewed", _make(), _call(SKEWED, padding=(2, 0, 1, 3), gain=-0.7)),
    _case("flipped", _make(True), _call(SKEWED, flip_filter=True)),
    _case("crop", _make(True), _call(SKEWED, up=2, padding=(-3, 1, 2, -4))),
    _case("uneven", _make(), _call(SKEWED, up=(3, 1), down=(2, 3), padding=(0, 3, 5, 2))),
    _case("strided", lambda dtype: (normal(9, 7, 2, 6, seed=2, dtype=dtype),), lambda x, impl: upfirdn2d(
        x[:, :, :, ::2].permute(2, 3, 0, 1), SKEWED.to(x.device), up=2, padding=2, impl=impl
    )),
    _case("one", _make(False, 1, 1, 1, 1), _call(BINOMIAL, padding=(63, 2, 1, 100)), strip=True),
    *(
        _case(
            f"strip-{up}-{down}-{'channels_last' if last else 'nchw'}-{number}",
            _make(last, *shape),
            _call(UNEVEN, up=up, down=down, padding=padding, gain=-0.7, flip_filter=number == 0),
            strip=True,
        )
        for last in (False, True)
        for up, down in FACTORS
        for number, (shape, padding) in enumerate((((2, 3, 9, 7), (-1, 2, 5, -2)), ((1, 2, 5, 33), (3, 4, -2, 9))))
    ),
    *(
        _case(
            f"{name}-{'channels_last' if last else 'nchw'}",
            _make(last, *shape),
            _call(filter, padding=(2, 1, 2, 1), **factors),
            launches=launches,
            strip=filter is BINOMIAL,
            cost=lambda shape=shape, last=last, taps=taps, factors=factors: cost(
                "upfirdn2d", shape, torch.float32, padding=(2, 1), taps=taps, channels_last=last, **factors
            ),
        )
        for last, shape in ((False, (1, 3, 13, 37)), (True, (1, 35, 5, 6)))
        for name, filter, taps, factors, launches in (
            ("up", BINOMIAL, 4, {"up": 2}, 1),
            ("down", BINOMIAL, 4, {"down": 2}, 1),
            ("square", torch.arange(5.0) / 10, 5, {"up": 2}, 1),
            ("two-passes", TWELVE, 12, {"up": 3}, 2),
        )
    ),
    _case(
        "tiles",
        _make(False, 1, 1, 100, 129),
        _call(BINOMIAL, padding=(2, 1, 2, 1)),
        strip=True,
        cost=lambda: cost("upfirdn2d", (1, 1, 100, 129), torch.float32, padding=(2, 1)),
    ),
    _case(
        "strips",  # of more than one length and column
        _make(True, 1, 33, 11, 20),
        _call(BINOMIAL, up=2, padding=(1, 2, 1, 2)),
        strip=True,
        cost=lambda: cost("upfirdn2d", (1, 33, 11, 20), torch.float32, up=2, padding=(1, 2), channels_last=True),
    ),
    _case(
        "square",
        _make(False, 1, 1, 100, 129),
        _call(torch.arange(5.0) / 10, padding=2),
        halo=1.2,  # 16 by 64 pixels read 20 by 68
        cost=lambda: cost("upfirdn2d", (1, 1, 100, 129), torch.float32, taps=5, padding=(2, 2)),
    ),
]  # fmt: skip


def _compiled(
    dtype: torch.dtype, channels_last: bool, channels: int, filter: Tensor = BINOMIAL, **options: Any
) -> None:
    order = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.zeros(2, channels, 32, 32, dtype=dtype).contiguous(memory_format=order).requires_grad_()
    y = upfirdn2d(x, filter, padding=(2, 1, 2, 1), impl="triton", **options)
    torch.autograd.grad(y, x, torch.zeros_like(y))


COMPILED = [
    ("upfirdn2d up, colours", lambda dtype: _compiled(dtype, False, 3, up=2)),
    ("upfirdn2d down, NCHW", lambda dtype: _compiled(dtype, False, 64, down=2)),
    ("upfirdn2d up, channels_last", lambda dtype: _compiled(dtype, True, 64, up=2)),
    ("upfirdn2d, channels_last, 32", lambda dtype: _compiled(dtype, True, 32)),
    ("upfirdn2d, channels_last, 64", lambda dtype: _compiled(dtype, True, 64)),
    ("upfirdn2d up, colours, another filter", lambda dtype: _compiled(dtype, False, 3, SQUARE, up=2)),
    ("upfirdn2d up, channels_last, another filter", lambda dtype: _compiled(dtype, True, 64, SQUARE, up=2)),
    ("upfirdn2d, channels_last, 32, another filter", lambda dtype: _compiled(dtype, True, 32, SQUARE)),
]
"""Calls at sizes of a real layer, for the compile gate."""
