"""Prioritised replay buffers: the same columns and the same three operations as a step of the pool of latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Work = tuple[Callable[[], Any], Callable[[Any], Any]]
Columns = dict[str, Any]
BATCHES, FILL = 64, 10_000
"""Batches that take turns; entries added at once before the clock starts."""


def columns(seed: int, n: int) -> Columns:
    """What an entry of the pool holds: a lineage, a group, and how hard it is, in (0, 1]."""
    rng = np.random.default_rng(seed)
    return {
        "root": rng.integers(0, 2**40, n),
        "hops": rng.integers(0, 5, n),
        "index": rng.integers(0, 2**40, (n, 8)),
        "scale": rng.random((n, 8), np.float32),
        "group": np.full(n, -1),
        "hardness": 1 - rng.random(n, np.float32),
    }


def cpprb(capacity: int, batch: int, steps: int) -> Work:
    """The buffer of cpprb."""
    from cpprb import PrioritizedReplayBuffer

    batches = [columns(number, batch) for number in range(BATCHES)]
    shapes = {name: {"dtype": value.dtype, "shape": value.shape[1:] or 1} for name, value in batches[0].items()}
    del shapes["hardness"]
    buffer = PrioritizedReplayBuffer(capacity, shapes, alpha=1.0)

    def add(entries: Columns) -> None:
        buffer.add(**{name: entries[name] for name in shapes}, priorities=entries["hardness"])

    for start in range(0, capacity, FILL):
        add(columns(start, FILL))

    def work() -> int:
        for step in range(steps):
            entries = batches[step % BATCHES]
            drawn = buffer.sample(batch, beta=0.0)
            buffer.update_priorities(drawn["indexes"], entries["hardness"])
            add(entries)
        return int(buffer.get_stored_size())

    return work, lambda held: held


def torchrl(capacity: int, batch: int, steps: int) -> Work:
    """The buffer of torchrl."""
    import torch
    from tensordict import TensorDict
    from torchrl.data import LazyTensorStorage, TensorDictPrioritizedReplayBuffer

    def tensors(seed: int, n: int) -> Any:
        entries = {name: torch.from_numpy(value) for name, value in columns(seed, n).items()}
        return TensorDict(entries, batch_size=[n])

    batches = [tensors(number, batch) for number in range(BATCHES)]
    buffer = TensorDictPrioritizedReplayBuffer(
        alpha=1.0, beta=0.0, storage=LazyTensorStorage(capacity), batch_size=batch, priority_key="hardness"
    )
    for start in range(0, capacity, FILL):
        buffer.extend(tensors(start, FILL))

    def work() -> int:
        for step in range(steps):
            entries = batches[step % BATCHES]
            drawn = buffer.sample()
            buffer.update_priority(drawn["index"], entries["hardness"])
            buffer.extend(entries)
        return len(buffer)

    return work, lambda held: held
