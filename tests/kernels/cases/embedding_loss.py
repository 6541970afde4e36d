"""Calls of embedding_loss and embedding_loss_gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cases import Case, normal
from sdx_kernels import embedding_loss, embedding_loss_gradient

FORWARD = {"embedding_loss_kernel": 1}
BACKWARD = {"embedding_loss_backward_kernel": 1}
GRADIENTS = "embedding_loss_gradient"  # of the embeddings' format, which the loss is not
EVERY = (torch.float32, torch.float16, torch.bfloat16)  # values are widened as soon as they are loaded


def _make(n: int, d: int, teacher: bool = False, of_teacher: torch.dtype | None = None) -> Any:
    def make(dtype: torch.dtype) -> tuple[Tensor, ...]:
        s = normal(n, d, seed=1, dtype=dtype, scale=d**-0.5)
        return s, normal(n, d, seed=2, dtype=of_teacher or dtype, grad=teacher, scale=d**-0.5)

    return make


def _call(mse: float, cosine: float) -> Any:
    return lambda s, t, impl: embedding_loss(s, t, mse=mse, cosine=cosine, impl=impl)


def _strided(s: Tensor, t: Tensor, impl: str) -> tuple[Tensor, Tensor]:
    # Rows with gaps are read as they are, columns are copied first.
    return embedding_loss(s[:, 3:66], t.T, mse=1.0, cosine=2.0, impl=impl)


def _gradient(s: Tensor, t: Tensor, scale: Tensor, impl: str) -> tuple[Tensor, ...]:
    return embedding_loss_gradient(s, t, mse=0.7, cosine=2.5, scale=scale, impl=impl)


CASES = [
    *(
        Case(f"embedding_loss-{n}x{d}", "embedding_loss", _make(n, d, teacher), _call(0.7, 2.5), FORWARD, BACKWARD,
             dtypes=EVERY, gradients=GRADIENTS)
        for n, d, teacher in ((1, 1, True), (63, 512, False), (100, 129, True), (129, 100, False), (3, 4097, True))
    ),
    *(
        Case(f"embedding_loss-{name}", "embedding_loss", make, _call(*weights), FORWARD, BACKWARD, dtypes=EVERY,
             gradients=GRADIENTS)
        for name, make, weights in (
            ("mse", _make(5, 63, True), (1.0, 0.0)),
            ("cosine", _make(5, 300, True), (0.0, 1.0)),
            ("mixed", _make(5, 63, True, torch.float32), (1.0, 1.0)),
        )
    ),
    Case(
        "embedding_loss-strided",
        "embedding_loss",
        lambda dtype: (normal(5, 100, seed=3, dtype=dtype), normal(63, 5, seed=4, dtype=dtype)),
        _strided,
        FORWARD,
        BACKWARD,
        gradients=GRADIENTS,
    ),
    *(
        Case(
            f"embedding_loss_gradient-{n}x{d}",
            "embedding_loss_gradient",
            lambda dtype, n=n, d=d: (
                *(t.detach() for t in _make(n, d)(dtype)),
                torch.tensor(0.37 * n, dtype=torch.float64 if dtype == torch.float64 else torch.float32),
            ),
            _gradient,
            FORWARD,
            None,
            dtypes=EVERY,
        )
        for n, d in ((1, 63), (63, 512), (129, 100), (3, 4097))
    ),
]  # fmt: skip


def _compiled(dtype: torch.dtype, d: int, teacher: torch.dtype | None = None) -> None:
    s = torch.zeros(128, d, dtype=dtype, requires_grad=True)
    t = torch.zeros(128, d, dtype=teacher or dtype, requires_grad=True)
    loss, _ = embedding_loss(s, t, mse=1.0, cosine=1.0, impl="triton")
    torch.autograd.grad(loss, (s, t))
    embedding_loss_gradient(s, t, mse=1.0, cosine=1.0, scale=torch.ones(()), impl="triton")


COMPILED = [
    ("embedding_loss, D=128", lambda dtype: _compiled(dtype, 128)),
    ("embedding_loss, D=512", lambda dtype: _compiled(dtype, 512)),
    ("embedding_loss, D=4096", lambda dtype: _compiled(dtype, 4096)),
    ("embedding_loss, D=8192", lambda dtype: _compiled(dtype, 8192)),
    ("embedding_loss, float32 teacher", lambda dtype: _compiled(dtype, 512, torch.float32)),
]
"""Calls at the dimensions of real embeddings, for the compile gate."""
