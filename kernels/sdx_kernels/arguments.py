"""What the ops accept: tensors, plain numbers, pairs and sides as tuples or lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

from torch import Tensor

from sdx_kernels.dispatch import KernelError

Pair = int | Sequence[int]
"""One number for both axes, or (x, y)."""

Sides = int | Sequence[int]
"""One number, (x, y), or (left, right, top, bottom)."""

_LARGEST = 3.4028234e38  # of float32


def tensor(op: str, name: str, value: object, shape: str, ranks: Sequence[int]) -> Tensor:
    """Return ``value``.

    Raises:
        KernelError: unless it is a floating-point tensor of one of ``ranks``; ``shape`` describes it.
    """
    if not isinstance(value, Tensor):
        raise KernelError(f"{op}: expected {name} as a tensor {shape}, got {type(value).__name__}")
    if value.ndim not in ranks or not value.is_floating_point():
        raise KernelError(f"{op}: expected floating-point {name} {shape}, got {value.dtype} {list(value.shape)}")
    return value


def number(op: str, name: str, value: object) -> float:
    """Return ``value`` as a float. A tensor would make the device wait, and get no gradient.

    Raises:
        KernelError: unless it is a real number, and finite as a float32.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise KernelError(f"{op}: expected {name} as a number, got {type(value).__name__}")
    given = float(value)
    if not math.isfinite(given) or abs(given) > _LARGEST:
        raise KernelError(f"{op}: expected {name} as a finite number of float32, got {value}")
    return given


def limit(op: str, value: object) -> float | None:
    """Return a clamp, or None for none.

    Raises:
        KernelError: unless it is a number above 0 or None; infinity is a number here.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) > 0:
        raise KernelError(f"{op}: expected clamp > 0 or None, got {value!r}")
    return float(value)


def numbers(op: str, name: str, value: int | Sequence[int], lengths: Sequence[int], shape: str) -> tuple[int, ...]:
    """Return ``value``, or a number as a pair of it, as a tuple.

    Raises:
        KernelError: unless it is an int, or a list or tuple of ints whose length is among ``lengths``.
    """
    given = (value, value) if isinstance(value, int) else value
    if not isinstance(given, (list, tuple)) or len(given) not in lengths or not all(isinstance(n, int) for n in given):
        raise KernelError(f"{op}: expected {name} as an int or {shape}, got {value!r}")
    return tuple(given)


def pair(op: str, name: str, value: Pair) -> tuple[int, int]:
    """Return factors of (x, y).

    Raises:
        KernelError: unless they are ints of at least 1.
    """
    x, y = numbers(op, name, value, (2,), "(x, y)")
    if min(x, y) < 1:
        raise KernelError(f"{op}: expected {name} >= 1, got {value!r}")
    return x, y


def sides(op: str, value: Sides) -> tuple[int, int, int, int]:
    """Return padding as (left, right, top, bottom).

    Raises:
        KernelError: unless it is one, two or four ints.
    """
    given = numbers(op, "padding", value, (2, 4), "(x, y) or (left, right, top, bottom)")
    left, right, top, bottom = given if len(given) == 4 else (given[0], given[0], given[1], given[1])
    return left, right, top, bottom


def size(op: str, name: str, filter: Tensor | None) -> tuple[int, int]:
    """Return (columns, rows) of a filter; None is one tap.

    Raises:
        KernelError: unless it is None or a floating-point tensor of rank 1 or 2 with taps.
    """
    if filter is None:
        return 1, 1
    tensor(op, name, filter, "[taps] or [rows, columns]", (1, 2))
    if not filter.numel():
        raise KernelError(f"{op}: expected {name} with at least one tap, got {list(filter.shape)}")
    return filter.shape[-1], filter.shape[0]
