"""Run every kernel once on the GPU, for tools that watch a process (compute-sanitizer, ncu).

    python benches/touch_kernels.py [--batch N] [--rows N] [--prototypes N]

Prints one JSON line a workload, in the order of launches: its kernels, and the bytes that they must move ("least") and
ask for ("asked"), which `dram_bytes.py` compares with what ncu saw. The first line has the size of the L2 cache.
"""

from __future__ import annotations

import argparse
import json
from typing import Any
from unittest import mock

import torch

from kernel_calls import Sizes
from kernel_workloads import WORKLOADS
from sdx_kernels import launch


def touched(name: str, sizes: Sizes) -> dict[str, Any]:
    """Run a workload once and return its line."""
    kernels: list[str] = []
    start = launch.launch

    def spy(kernel: Any, grid: tuple[int, ...], *arguments: Any, **options: Any) -> None:
        kernels.extend([kernel.fn.__name__] if 0 not in grid else [])
        start(kernel, grid, *arguments, **options)

    with torch.no_grad(), mock.patch.object(launch, "launch", spy):
        work = WORKLOADS[name](sizes)
        work.ours()
    return {
        "name": name,
        "kernels": kernels,
        "least": work.kernels.bytes_min,
        "asked": work.kernels.bytes_kernel,
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Run every kernel once.")
    parser.add_argument("--batch", type=int, default=2, help="images")
    parser.add_argument("--rows", type=int, default=4096, help="embeddings")
    parser.add_argument("--prototypes", type=int, default=512, help="prototypes of a bank")
    given = parser.parse_args()
    device = torch.device("cuda")
    print(json.dumps({"L2": torch.cuda.get_device_properties(device).L2_cache_size}), flush=True)
    for name in WORKLOADS:
        line = touched(name, Sizes(given.batch, given.rows, device, given.prototypes))
        torch.cuda.synchronize()
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
