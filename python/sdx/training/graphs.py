"""A device's work recorded once and replayed, without a call for each of its operations: CUDA graphs.

A graph reads and writes the memory that it was recorded with. So inputs are copied to buffers of its own, and outputs
are always the same tensors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from sdx.errors import ConfigError

T = TypeVar("T")
U = TypeVar("U")
Recording = tuple[Callable[[], None], T]
"""What replays a piece of work, and the outputs that a replay fills."""

WARM_UPS = 3
"""Runs before the recording, in which libraries choose their algorithms and kernels are compiled."""
MOST = 8
"""Tuples of shapes that are recorded; each keeps its memory, and what is beyond is called plainly."""


class Recorder(Protocol):
    """What records the work of a device."""

    def record(self, function: Callable[[], T]) -> Recording[T]:
        """Run ``function`` a few times, then record it."""

    def record_both(self, first: Callable[[], T], second: Callable[[], U]) -> tuple[Recording[T], Recording[U]]:
        """Run both after each other a few times, then record each; ``second`` reads what ``first`` has left."""


class CudaRecorder:
    """Records CUDA graphs, all of which share one pool of memory.

    Replays must follow each other, on one stream or on some that wait for each other, and one may overwrite the outputs
    of graphs that were recorded after it: use the outputs of a step before the next step begins, and replay within a
    step in the order of recording. No other graph is replayed between the two of a pair: it may overwrite what the
    second reads.

    Args:
        device: a CUDA device with its index.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch types no Stream

    def record(self, function: Callable[[], T]) -> Recording[T]:
        """See `Recorder.record`; raises ConfigError for a function that waits for the device or goes to the host."""
        return self._record(function)[0]

    def record_both(self, first: Callable[[], T], second: Callable[[], U]) -> tuple[Recording[T], Recording[U]]:
        """See `Recorder.record_both`; raises ConfigError likewise."""
        one, other = self._record(first, second)
        return one, other

    def _record(self, *functions: Callable[[], Any]) -> list[Recording[Any]]:
        # Dropout draws from torch's generator, which is to be where it would be without the warm-up.
        with torch.random.fork_rng(devices=[self._device]):
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UPS):
                    for function in functions:
                        function()
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
            return [self._captured(function) for function in functions]

    def _captured(self, function: Callable[[], T]) -> Recording[T]:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                outputs = function()
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"graphs: expected work that a CUDA graph can hold, got {reason!r}; give graphs=false"
            ) from error
        return graph.replay, outputs


def recorder(enabled: bool, device: torch.device) -> Recorder | None:
    """Return what records on a device, None where work is to be called plainly: not enabled, or no CUDA device.

    With SDX_KERNELS_CHECK=1 each operation is checked on the host, which a graph could not do.
    """
    if not enabled or device.type != "cuda" or os.environ.get("SDX_KERNELS_CHECK") == "1":
        return None
    return CudaRecorder(device)


@dataclass(frozen=True)
class _Recorded(Generic[T]):
    inputs: list[Tensor]
    replay: Callable[[], None]
    outputs: T
    then: Recording[Any] | None = None


class Graphed(Generic[T]):
    """A function of tensors, recorded once for each tuple of their shapes and dtypes, and replayed.

    The outputs are the same tensors at every call of the same shapes, **overwritten by the next one**: clone what is
    kept. No gradient flows from outputs to inputs. Without a recorder a call is a plain call.

    Args:
        function: of tensors on one device, or None, to tensors in nested tuples; it never waits for the device, and
            besides its arguments reads tensors alone that stay where they are.
        recorder: what records it, None to call it plainly.
        changes: the tensors that the function changes in place; warming up leaves them as they were.
    """

    def __init__(
        self,
        function: Callable[..., T],
        recorder: Recorder | None,
        changes: Callable[[], Iterable[Tensor]] = tuple,
    ) -> None:
        self._function = function
        self._recorder = recorder
        self._changes = changes
        self._recorded: dict[object, _Recorded[T]] = {}
        self._replayed: _Recorded[T] | None = None

    def __call__(self, *inputs: Tensor | None) -> T:
        """Return the function's value; see the class for how long it lasts."""
        self._replayed = None
        if self._recorder is None:
            return self._function(*inputs)
        key = tuple(None if tensor is None else (tensor.shape, tensor.dtype) for tensor in inputs)
        if key not in self._recorded and len(self._recorded) == MOST:
            return self._function(*inputs)
        recorded = self._recorded.get(key) or self._record(self._recorder, inputs)
        self._recorded[key] = recorded
        with torch.no_grad():
            given = (tensor for tensor in inputs if tensor is not None)
            for buffer, tensor in zip(recorded.inputs, given, strict=True):
                buffer.copy_(tensor)
        recorded.replay()
        self._replayed = recorded
        return recorded.outputs

    def _record(self, recorder: Recorder, inputs: tuple[Tensor | None, ...]) -> _Recorded[T]:
        with torch.inference_mode(False):  # buffers and outputs are for later calls too, in whatever mode those are
            buffers = [None if tensor is None else tensor.detach().clone() for tensor in inputs]
            before = [(tensor, tensor.detach().clone()) for tensor in self._changes()]
            (replay, outputs), then = self._recordings(recorder, lambda: self._function(*buffers))
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
        return _Recorded([buffer for buffer in buffers if buffer is not None], replay, outputs, then)

    def _recordings(self, recorder: Recorder, function: Callable[[], T]) -> tuple[Recording[T], Recording[Any] | None]:
        return recorder.record(function), None


class Halves(Graphed[T], Generic[T, U]):
    """A `Graphed` function, and one without arguments that goes on from what it has left, recorded apart.

    Args:
        first: as the function of `Graphed`.
        second: called after each call of ``first``, once; its outputs are overwritten likewise.
        recorder: what records both, None to call them plainly.
        changes: the tensors that either changes in place, see `Graphed`.
    """

    def __init__(
        self,
        first: Callable[..., T],
        second: Callable[[], U],
        recorder: Recorder | None,
        changes: Callable[[], Iterable[Tensor]] = tuple,
    ) -> None:
        super().__init__(first, recorder, changes)
        self._second = second

    def second(self) -> U:
        """Return the second function's value, after that of the last call of the first."""
        if self._replayed is None or self._replayed.then is None:
            return self._second()
        replay, outputs = self._replayed.then
        replay()
        value: U = outputs
        return value

    def _recordings(self, recorder: Recorder, function: Callable[[], T]) -> tuple[Recording[T], Recording[Any] | None]:
        return recorder.record_both(function, self._second)
