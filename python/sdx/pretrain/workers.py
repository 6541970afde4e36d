"""Data-parallel work over the processes that `torchrun` starts; one process needs no set-up at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn


class Workers:
    """The processes of a run: each draws its own part of every batch, and gradients are averaged.

    Args:
        rank: number of this process.
        count: number of processes.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank = rank
        self.count = count

    def share(self, index: Tensor) -> Tensor:
        """Return this process' part of image numbers int64 [B]."""
        return index[self.rank :: self.count]

    def average(self, values: Tensor) -> Tensor:
        """Return the mean over the processes of float32 values of any one shape."""
        if self.count > 1:
            distributed.all_reduce(values)
            values = values / self.count
        return values

    def average_gradients(self, parameters: Iterable[nn.Parameter], *others: float) -> list[float]:
        """Replace every gradient by its mean over the processes; return the means of ``others``, in one message."""
        if self.count == 1:
            return list(others)
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([*(g.reshape(-1) for g in gradients), torch.tensor(others, dtype=torch.float32)])
        flat = self.average(flat)
        pieces = torch.split(flat, [*(g.numel() for g in gradients), len(others)])
        for gradient, piece in zip(gradients, pieces[:-1], strict=True):
            gradient.copy_(piece.view_as(gradient))
        return [float(value) for value in pieces[-1]]

    def wait(self) -> None:
        """Return when every process is here."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def join() -> Iterator[Workers]:
    """Join the processes that `torchrun` started, if it did."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Workers()
        return
    distributed.init_process_group("gloo")  # generators are made on the CPU, with or without a GPU beside it
    try:
        yield Workers(distributed.get_rank(), count)
    finally:
        distributed.destroy_process_group()
