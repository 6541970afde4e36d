"""Calls of prototype_loss, with a teacher and with labels."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from cases import Case, normal
from sdx_kernels import prototype_loss
from sdx_kernels.prototype_loss import autograd

FORWARD = {"prototype_loss_kernel": 1, "prototype_loss_merge_kernel": 1}
BACKWARD = {"prototype_loss_backward_kernel": 1, "prototype_loss_merge_gradient_kernel": 1}
GRADIENTS = "prototype_loss_gradient"  # of the embeddings' format, which the loss is not


def _unit(n: int, d: int, seed: int, dtype: torch.dtype, grad: bool = False) -> Tensor:
    exact = normalize(normal(n, d, seed=seed, dtype=torch.float64, grad=False))
    return exact.to(dtype).requires_grad_(grad)


def _banks(n: int, count: int, d: int, other_d: int, learns: bool = False) -> Any:
    def make(dtype: torch.dtype) -> tuple[Tensor, ...]:
        banks = _unit(count, d, 1, dtype, learns), _unit(count, other_d, 2, dtype)
        return _unit(n, d, 3, dtype, True), banks[0], _unit(n, other_d, 4, dtype), banks[1]

    return make


def _divergence(student: Tensor, bank: Tensor, teacher: Tensor, teacher_bank: Tensor, impl: str) -> Any:
    return prototype_loss(student, bank, teacher=teacher, teacher_bank=teacher_bank, temperature=4.0, impl=impl)


def _strided(student: Tensor, bank: Tensor, teacher: Tensor, teacher_bank: Tensor, impl: str) -> Any:
    # Rows with gaps are read as they are, columns are copied first.
    return _divergence(student[:, 3:66], bank[::2, :63], teacher.T, teacher_bank.T, impl)


def _labelled(n: int, count: int, d: int, learns: bool = False) -> Any:
    def make(dtype: torch.dtype) -> tuple[Tensor, ...]:
        return _unit(n, d, 5, dtype, True), _unit(count, d, 6, dtype, learns)

    def call(student: Tensor, bank: Tensor, impl: str) -> Any:
        labels = torch.arange(n, device=student.device) * 7 % count
        return prototype_loss(student, bank, labels=labels, scale=16.0, impl=impl)

    return make, call


def _both(merges: int) -> dict[str, int]:
    """Return the launches of both gradients; the bank's is merged where it is cut into splits of the batch."""
    one = dict.fromkeys(("prototype_loss_backward_kernel", "prototype_loss_bank_kernel"), 1)
    return one | {"prototype_loss_merge_gradient_kernel": merges}


# A bank is read by every block of rows (32 of them in the backward pass), and rows by every split of the bank.
_HALO = 2.7

CASES = [
    *(
        Case(
            f"prototype_loss-{n}x{count}x{d}-{other_d}",
            "prototype_loss",
            _banks(n, count, d, other_d),
            _divergence,
            FORWARD,
            BACKWARD,
            halo=_HALO,
            gradients=GRADIENTS,
        )
        for n, count, d, other_d in ((1, 2, 3, 1), (63, 100, 512, 129), (129, 63, 100, 512), (3, 300, 513, 16))
    ),
    *(
        Case(
            f"prototype_loss-labels-{n}x{count}x{d}",
            "prototype_loss",
            *_labelled(n, count, d),
            FORWARD,
            BACKWARD,
            halo=_HALO,
            gradients=GRADIENTS,
        )
        for n, count, d in ((1, 2, 3), (63, 129, 512), (129, 100, 63))
    ),
    *(
        Case(
            f"prototype_loss-bank-{n}x{count}x{d}-{other_d}",
            "prototype_loss",
            _banks(n, count, d, other_d, learns=True),
            _divergence,
            FORWARD,
            _both(merges),
            halo=_HALO,
            gradients=GRADIENTS,
        )
        for n, count, d, other_d, merges in ((2, 70, 513, 3, 1), (70, 3, 20, 9, 2))
    ),
    Case(
        "prototype_loss-bank-labels-65x40x63",
        "prototype_loss",
        *_labelled(65, 40, 63, learns=True),
        FORWARD,
        _both(2),
        halo=_HALO,
        gradients=GRADIENTS,
    ),
    Case(
        "prototype_loss-strided",
        "prototype_loss",
        lambda dtype: (
            _unit(5, 100, 7, dtype, True),
            _unit(130, 100, 8, dtype, True),
            _unit(63, 5, 9, dtype),
            _unit(63, 65, 10, dtype),
        ),
        _strided,
        FORWARD,
        _both(1),
        halo=_HALO,
        gradients=GRADIENTS,
    ),
]


def _compiled(dtype: torch.dtype, d: int, count: int, labelled: bool = False) -> None:
    student, bank = torch.zeros(128, d, dtype=dtype, requires_grad=True), torch.zeros(count, d, dtype=dtype)
    if labelled:
        loss, _ = prototype_loss(student, bank, labels=torch.zeros(128, dtype=torch.int64), impl="triton")
    else:
        teacher, other = torch.zeros(128, 512, dtype=dtype), torch.zeros(count, 512, dtype=dtype)
        loss, _ = prototype_loss(student, bank, teacher=teacher, teacher_bank=other, impl="triton")
    torch.autograd.grad(loss, student)


def _bank_compiled(dtype: torch.dtype, n: int, count: int, d: int, labelled: bool = False) -> None:
    student, bank = torch.zeros(n, d, dtype=dtype), torch.zeros(count, d, dtype=dtype)
    teacher = None if labelled else torch.zeros(n, 512, dtype=dtype)
    other = None if labelled else torch.zeros(count, 512, dtype=dtype)
    labels = torch.zeros(n, dtype=torch.int64) if labelled else None
    autograd.bank_grad(torch.ones(()), student, bank, teacher, other, labels, torch.zeros(2, n), 16.0)


COMPILED = [
    ("prototype_loss, D=512", lambda dtype: _compiled(dtype, 512, 65536)),
    ("prototype_loss, D=128", lambda dtype: _compiled(dtype, 128, 16384)),
    ("prototype_loss, D=256", lambda dtype: _compiled(dtype, 256, 16384)),
    ("prototype_loss, D=1024", lambda dtype: _compiled(dtype, 1024, 16384)),
    ("prototype_loss, labels", lambda dtype: _compiled(dtype, 512, 65536, True)),
    # One tile of rows, a few, and many; with a merge where prototypes are few.
    *(
        (f"prototype_loss, bank, {n} x {count} x {d}", partial(_bank_compiled, n=n, count=count, d=d))
        for n, count, d in (
            *((128, 65536, d) for d in (128, 256, 512, 1024)),
            *((n, count, 512) for n, count in ((8, 65536), (4096, 65536), (128, 1000), (4096, 1000))),
        )
    ),
    ("prototype_loss, bank, labels", partial(_bank_compiled, n=128, count=65536, d=512, labelled=True)),
]
"""Calls at the sizes of a distillation, for the compile gate."""
