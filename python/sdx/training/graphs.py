"""A device's work recorded once and replayed, without a call for each of its operations: CUDA graphs.

A graph reads and writes the memory that it was recorded with. So inputs are copied to buffers of its own, and outputs
are always the same tensors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from sdx.errors import ConfigError

T = TypeVar("T")

WARM_UPS = 3
"""Runs before the recording, in which libraries choose their algorithms and kernels are compiled."""
MOST = 8
"""Tuples of shapes that are recorded; each keeps its memory, and what is beyond is called plainly."""


class Recorder(Protocol):
    """What records the work of a device."""

    def record(self, function: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """Run ``function`` a few times, then record it; return what replays it and the outputs that a replay fills."""


class CudaRecorder:
    """Records CUDA graphs, all of which share one pool of memory.

    Replays must follow each other on one stream, and one may overwrite the outputs of graphs that were recorded after
    it: use the outputs of a step before the next step begins, and replay within a step in the order of recording.

    Args:
        device: a CUDA device with its index.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch types no Stream

    def record(self, function: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """See `Recorder.record`; raises ConfigError for a function that waits for the device or goes to the host."""
        graph = torch.cuda.CUDAGraph()
        # Dropout draws from torch's generator, which is to be where it would be without the warm-up.
        with torch.random.fork_rng(devices=[self._device]):
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UPS):
                    function()
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
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

    def __call__(self, *inputs: Tensor | None) -> T:
        """Return the function's value; see the class for how long it lasts."""
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
        return recorded.outputs

    def _record(self, recorder: Recorder, inputs: tuple[Tensor | None, ...]) -> _Recorded[T]:
        with torch.inference_mode(False):  # buffers and outputs are for later calls too, in whatever mode those are
            buffers = [None if tensor is None else tensor.detach().clone() for tensor in inputs]
            before = [(tensor, tensor.detach().clone()) for tensor in self._changes()]
            replay, outputs = recorder.record(lambda: self._function(*buffers))
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
        return _Recorded([buffer for buffer in buffers if buffer is not None], replay, outputs)
