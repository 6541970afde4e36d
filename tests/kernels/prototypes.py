"""Embeddings and banks for the tests of prototype_loss, and what it should say of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sdx_kernels import prototype_loss


def unit(n: int, d: int, dtype: torch.dtype = torch.float32, grad: bool = False) -> Tensor:
    return normalize(torch.randn(n, d, dtype=torch.float64)).to(dtype).requires_grad_(grad)


def log_p(embedding: Tensor, bank: Tensor, factor: float) -> np.ndarray[Any, Any]:
    """Return the logarithms of the softmax, a row and a prototype at a time."""
    e, b = embedding.detach().double().tolist(), bank.detach().double().tolist()
    rows = []
    for own in e:
        z = np.array([factor * math.fsum(x * y for x, y in zip(own, other, strict=True)) for other in b])
        rows.append(z - np.logaddexp.reduce(z))
    return np.array(rows).reshape(len(e), len(b))


def divergence(sides: tuple[Tensor, Tensor, Tensor, Tensor], factor: float) -> tuple[Tensor, Tensor]:
    """Return the loss and that of each row."""
    student, bank, teacher, teacher_bank = sides
    of_p, of_q = log_p(student, bank, factor), log_p(teacher, teacher_bank, factor)
    rows = [
        math.fsum(math.exp(q) * (q - p) for p, q in zip(*pair, strict=True)) for pair in zip(of_p, of_q, strict=True)
    ]
    per_row = torch.tensor(rows, dtype=torch.float64)
    return per_row.mean(), per_row


def four(n: int, k: int, d: int, e: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return unit(n, d, dtype, grad=True), unit(k, d, dtype), unit(n, e, dtype), unit(k, e, dtype)


def against(sides: tuple[Tensor, Tensor, Tensor, Tensor], **options: Any) -> tuple[Tensor, Tensor]:
    student, bank, teacher, teacher_bank = sides
    return prototype_loss(student, bank, teacher=teacher, teacher_bank=teacher_bank, **options)
