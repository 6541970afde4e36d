"""torch.compile takes every op whole, forward and backward: no part falls back to plain Python."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._functorch import config

from sdx_kernels import (
    bias_act,
    crop_resize,
    embedding_loss,
    embedding_loss_gradient,
    modulated_conv2d,
    prototype_loss,
    upfirdn2d,
)

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
OPS: dict[str, Callable[[Tensor], Tensor]] = {
    "bias_act": lambda x: bias_act(x, x[0, :, 0, 0], act="lrelu", clamp=1.0),
    "crop_resize": lambda x: crop_resize(x, 5, box=(0.1, 0.0, 0.9, 1.0), antialias=True, clamp=1.0),
    "embedding_loss": lambda x: embedding_loss(x.flatten(1), x.flatten(1) + 1, cosine=1.0)[0],
    "embedding_loss_gradient": lambda x: x.flatten(1) * embedding_loss_gradient(x.flatten(1), x.flatten(1) + 1)[2],
    "modulated_conv2d": lambda x: modulated_conv2d(
        x, x[:1, :, :3, :3], x[:, :, 0, 0], up=2, filter=BINOMIAL, padding=1, act="swish", roi=(1, 1, 5, 5)
    ),
    "prototype_loss": lambda x: prototype_loss(
        x.flatten(1), x.flatten(1), teacher=x[:, 0, 0], teacher_bank=x[:, 1, 0], scale=0.1
    )[0],
    "upfirdn2d": lambda x: upfirdn2d(x, BINOMIAL, up=2, padding=1),
}


@pytest.mark.parametrize("op", OPS)
def test_compiles_whole(op: str) -> None:
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    compiled = torch.compile(OPS[op], fullgraph=True, backend="eager")
    (plain,) = torch.autograd.grad(OPS[op](x).square().sum(), x)
    (got,) = torch.autograd.grad(compiled(x).square().sum(), x)
    assert torch.equal(compiled(x), OPS[op](x))
    assert torch.equal(got, plain)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("op", OPS)
# The compiler takes the backward pass for one under autocast too; eager's is where the caller has it, out of it here.
@config.patch(backward_pass_autocast="off")
def test_compiles_whole_under_autocast(op: str, half: torch.dtype) -> None:
    torch.compiler.reset()  # the compiler counts how often it met `within`
    x = torch.randn(2, 3, 8, 8, requires_grad=True)

    def within(x: Tensor) -> Tensor:
        with torch.autocast("cpu", half):
            return OPS[op](x)

    plain = within(x)
    (wanted,) = torch.autograd.grad(plain.float().square().sum(), x)
    around = torch.compile(OPS[op], fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", half):
        results = [around(x)]
    results.append(torch.compile(within, fullgraph=True, backend="aot_eager")(x))
    for got in results:
        assert got.dtype == plain.dtype == (half if op == "modulated_conv2d" else torch.float32)
        assert torch.equal(got, plain)
        (gradient,) = torch.autograd.grad(got.float().square().sum(), x)
        assert gradient.dtype == torch.float32
        assert torch.equal(gradient, wanted)
