"""Frozen networks over slices of a batch, one single-threaded worker for each of torch's threads.

A slice is small enough that a layer's output stays in the cache, and it is computed by one thread from start to end: no
barrier after each operation, and bits that do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier

import torch
from torch import Tensor


def over_slices(function: Callable[..., Tensor], inputs: Sequence[Tensor], slice_size: int) -> Tensor:
    """Return ``torch.cat`` of ``function`` over slices of ``inputs``, in inference mode.

    Args:
        function: takes slices of the inputs, [n, ...] each, and returns [n, ...]; it is called from several threads at
            once.
        inputs: tensors [N, ...] of one N on the CPU.
        slice_size: images in a slice; the last one may be smaller.

    Returns:
        [N, ...], an inference tensor (`Tensor.clone` it outside of inference mode to learn from it).
    """
    parts = list(zip(*(torch.split(tensor, slice_size) for tensor in inputs), strict=True))
    threads = torch.get_num_threads()

    def run(part: tuple[Tensor, ...]) -> Tensor:
        with torch.inference_mode():
            return function(*part)

    results = map(run, parts) if threads == 1 else _workers(threads).map(run, parts)
    with torch.inference_mode():
        return torch.cat(list(results))


@lru_cache(maxsize=4)
def _workers(threads: int) -> ThreadPoolExecutor:
    together = Barrier(threads)  # no thread may take two of the tasks below, or another would start later

    def settle() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes the process' number at its first question: ask while that is 1
        together.wait()

    pool = ThreadPoolExecutor(threads, "sdx-slice")
    for future in [pool.submit(settle) for _ in range(threads)]:
        future.result()
    torch.set_num_threads(threads)  # for every thread to come
    return pool
