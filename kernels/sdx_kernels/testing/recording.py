"""What a Triton kernel touches, seen from inside Triton's interpreter: launches, bytes, sectors, strays.

Works for any kernel that runs under TRITON_INTERPRET=1, this package's or your own:

    with record() as recording:
        my_op(x)
    assert recording.launches == {"my_kernel": 1}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

_WARP = 32
_SECTOR = 32  # bytes that a GPU moves between memory and cache at least
_NO_SECTOR = np.uint64(2**64 - 1)  # of a lane that is masked


@dataclass
class Traffic:
    """What the programs of one launch read from, or wrote to, one tensor.

    Args:
        issued: bytes of all lanes that were not masked.
        distinct: bytes addressed by each program, each counted once a program: what a cache close to it cannot save.
        touched: bytes addressed by any program, each counted once: the floor.
        sectors: 32-byte sectors, counted once for each row of 32 lanes.
        times: for each element of the tensor, how often it was accessed.
        strays: accesses within the tensor's span to what is no element of it, the gaps of a strided view.
    """

    issued: int = 0
    distinct: int = 0
    touched: int = 0
    sectors: int = 0
    times: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    strays: int = 0

    @property
    def waste(self) -> float:
        """Bytes of the sectors over the bytes that were asked for, at least 1 for rows without gaps or repeats."""
        return self.sectors * _SECTOR / max(self.issued, 1)


@dataclass
class Launch:
    """One launch: the kernel's name, its grid, and the traffic by name of the tensor argument."""

    kernel: str
    grid: tuple[int, ...]
    loads: dict[str, Traffic] = field(default_factory=dict)
    stores: dict[str, Traffic] = field(default_factory=dict)

    def bytes(self) -> int:
        """Return the bytes of all tensors, each counted once a program that touches it."""
        return sum(traffic.distinct for kind in (self.loads, self.stores) for traffic in kind.values())


@dataclass
class Recording:
    """The launches of a `record` block, in order."""

    each: list[Launch] = field(default_factory=list)

    @property
    def launches(self) -> Counter[str]:
        """How often each kernel ran."""
        return Counter(launch.kernel for launch in self.each)

    def of(self, kernel: str) -> Launch:
        """Return the only launch of a kernel.

        Raises:
            AssertionError: unless it ran exactly once.
        """
        found = [launch for launch in self.each if launch.kernel == kernel]
        assert len(found) == 1, f"expected one launch of {kernel}, got {dict(self.launches)}"
        return found[0]


@dataclass
class _Span:
    name: str
    start: int
    end: int
    size: int  # of an element
    elements: NDArray[np.int64]  # their places


class _Watch:
    """Follows one launch."""

    def __init__(self, launch: Launch, arguments: dict[str, Any]) -> None:
        self.launch = launch
        self.spans = [
            _Span(name, t.data_ptr(), t.data_ptr() + _extent(t) * t.element_size(), t.element_size(), _elements(t))
            for name, t in arguments.items()
            if isinstance(t, Tensor) and t.numel()
        ]
        self.seen: dict[tuple[str, str], list[NDArray[np.uint64]]] = {}

    def access(self, kind: str, addresses: NDArray[np.uint64], mask: NDArray[np.bool_]) -> None:
        addresses, mask = np.broadcast_arrays(np.atleast_1d(addresses), np.atleast_1d(mask))
        if not mask.any():
            return
        valid = addresses[mask]
        low = int(valid.min())
        span = next((s for s in self.spans if s.start <= low < s.end), None)
        # Several arguments in one access do not happen: a pointer comes from one of them.
        if span is None or int(valid.max()) + span.size > span.end:
            where = "no tensor" if span is None else f"beyond the end of {span.name}"
            raise AssertionError(f"{self.launch.kernel}: a {kind} at {where}, program {_program()}")
        table = self.launch.loads if kind == "load" else self.launch.stores
        traffic = table.setdefault(span.name, Traffic(times=np.zeros((span.end - span.start) // span.size, np.int64)))
        traffic.issued += valid.size * span.size
        traffic.sectors += _sectors(addresses, mask)
        np.add.at(traffic.times, (valid - np.uint64(span.start)) // np.uint64(span.size), 1)
        self.seen.setdefault((kind, span.name), []).append(np.unique(valid))

    def end_program(self) -> None:
        for (kind, name), parts in self.seen.items():
            span = next(s for s in self.spans if s.name == name)
            table = self.launch.loads if kind == "load" else self.launch.stores
            table[name].distinct += np.unique(np.concatenate(parts)).size * span.size
        self.seen.clear()

    def end(self) -> None:
        self.end_program()
        for table in (self.launch.loads, self.launch.stores):
            for name, traffic in table.items():
                span = next(s for s in self.spans if s.name == name)
                traffic.touched = int((traffic.times > 0).sum()) * span.size
                all_times, traffic.times = traffic.times, traffic.times[span.elements]
                traffic.strays = int(all_times.sum() - all_times[np.unique(span.elements)].sum())


def _extent(tensor: Tensor) -> int:
    return 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def _elements(tensor: Tensor) -> NDArray[np.int64]:
    places = np.zeros(1, np.int64)
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        places = (places[:, None] + np.arange(size) * stride).reshape(-1)
    return places


def _sectors(addresses: NDArray[np.uint64], mask: NDArray[np.bool_]) -> int:
    """Return the sectors of rows of 32 lanes along the axis whose addresses are closest together."""
    steps = [
        np.abs(np.diff(addresses.astype(np.int64), axis=axis)).mean() if addresses.shape[axis] > 1 else np.inf
        for axis in range(addresses.ndim)
    ]
    fastest = int(np.argmin(steps))
    lanes = np.moveaxis(addresses, fastest, -1).reshape(-1)
    active = np.moveaxis(mask, fastest, -1).reshape(-1)
    rows = np.full((-(-lanes.size // _WARP), _WARP), _NO_SECTOR)
    rows.reshape(-1)[: lanes.size][active] = lanes[active] // np.uint64(_SECTOR)
    rows.sort(axis=1)
    first = np.ones(rows.shape, np.bool_)
    first[:, 1:] = rows[:, 1:] != rows[:, :-1]
    return int((first & (rows != _NO_SECTOR)).sum())


def _program() -> tuple[int, ...]:
    from triton.runtime import interpreter

    return tuple(interpreter.interpreter_builder.grid_idx)


@contextmanager
def record() -> Iterator[Recording]:
    """Record every launch of the block; an access outside of all tensor arguments raises.

    Raises:
        RuntimeError: where Triton does not interpret.
        AssertionError: inside the kernel's launch, for a load or store that leaves its tensors.
    """
    from triton import knobs
    from triton.runtime import interpreter

    if not knobs.runtime.interpret:
        raise RuntimeError("record: expected TRITON_INTERPRET=1 in the environment before triton is imported")
    recording = Recording()
    watches: list[_Watch] = []
    builder = interpreter.InterpreterBuilder
    load, store, set_program = builder.create_masked_load, builder.create_masked_store, builder.set_grid_idx
    run = interpreter.InterpretedFunction.run

    def watched_load(self: Any, ptrs: Any, mask: Any, *rest: Any) -> Any:
        watches[-1].access("load", ptrs.data, mask.data)
        return load(self, ptrs, mask, *rest)

    def watched_store(self: Any, ptrs: Any, value: Any, mask: Any, *rest: Any) -> Any:
        watches[-1].access("store", ptrs.data, mask.data)
        return store(self, ptrs, value, mask, *rest)

    def watched_program(self: Any, *index: int) -> None:
        watches[-1].end_program()
        set_program(self, *index)

    def watched_run(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> Any:
        arguments = {**dict(zip(self.arg_names, args, strict=False)), **kwargs}
        launch = Launch(self.fn.__name__, grid if isinstance(grid, tuple) else ())
        watches.append(_Watch(launch, arguments))
        try:
            result = run(self, *args, grid=grid, warmup=warmup, **kwargs)
        finally:
            watch = watches.pop()
        watch.end()
        recording.each.append(launch)
        return result

    with ExitStack() as stack:
        for owner, name, replacement in (
            (builder, "create_masked_load", watched_load),
            (builder, "create_masked_store", watched_store),
            (builder, "set_grid_idx", watched_program),
            (interpreter.InterpretedFunction, "run", watched_run),
        ):
            stack.enter_context(mock.patch.object(owner, name, replacement))
        yield recording
