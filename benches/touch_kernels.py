"""Run every kernel once on the GPU, for tools that watch a process (compute-sanitizer, ncu)."""

from __future__ import annotations

import torch

import kernel_workloads

if __name__ == "__main__":
    device = torch.device("cuda")
    with torch.no_grad():
        for work in (
            *kernel_workloads.layers(2, torch.float16, device, None),
            *kernel_workloads.others(2, torch.float16, device, 4096, prototypes=512),
        ):
            work.ours()
            print(work.name, work.cost.bytes_min, work.cost.bytes_kernel)
    torch.cuda.synchronize()
