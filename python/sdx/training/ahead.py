"""The next step's batch, drawn before the students' backward pass of this one, so that a GPU works at both.

What a sampler goes by, the similarity before the optimiser's step, is there after the forward pass. So the order of
all that depends on each other is kept, and with it every bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sdx.types import Batch, Proposal

Drawn = tuple[Proposal, Batch]


class Ahead:
    """Draws batches one step ahead, on CUDA on a stream of its own; elsewhere it is the same order without streams.

    Args:
        draw: proposes and draws a batch, given the number of images seen before it; the next call may overwrite face
            and target.
        device: of the run.
    """

    def __init__(self, draw: Callable[[int], Drawn], device: torch.device) -> None:
        self._function = draw
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch types no Stream
        self._drawn: Drawn | None = None

    @property
    def has_drawn(self) -> bool:
        """Whether a batch waits to be taken; the sampler's state is then beyond that of the steps taken."""
        return self._drawn is not None

    def take(self, images_seen: int) -> Drawn:
        """Return the batch that was drawn ahead, or else draw it now."""
        drawn, self._drawn = self._drawn, None
        return drawn or self._draw(images_seen)

    def draw(self, images_seen: int) -> None:
        """Draw the next batch; what the caller's stream is given from now on may run beside it, until `join`."""
        if self._stream is None:
            self._drawn = self._draw(images_seen)
            return
        callers = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(callers)
        with torch.cuda.stream(self._stream):
            self._drawn = self._draw(images_seen)
        for part in self._drawn:
            for tensor in vars(part).values():
                if isinstance(tensor, Tensor) and tensor.is_cuda:
                    tensor.record_stream(callers)  # its memory is not to be given out here while it is read there

    def join(self) -> None:
        """Have the caller's stream wait for what was drawn; the host goes on."""
        if self._stream is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def _draw(self, images_seen: int) -> Drawn:
        proposal, batch = self._function(images_seen)
        # A backward pass may still read its batch while the next one is drawn into the memory of a recorded graph.
        target = None if batch.target is None else batch.target.clone()
        return proposal, replace(batch, face=batch.face.clone(), target=target)
