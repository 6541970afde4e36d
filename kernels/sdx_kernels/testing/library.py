"""Which of torch's own operators a block of code reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def library_calls() -> Iterator[Counter[str]]:
    """Count the operators that run in the block, by name ("aten::convolution"), those inside of custom ops too.

    The counter fills when the block ends.
    """
    calls: Counter[str] = Counter()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        yield calls
    calls.update(event.name for event in profile.events() or ())
