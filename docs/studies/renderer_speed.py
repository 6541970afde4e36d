"""Faces a second that SimFace renders: ``python docs/studies/renderer_speed.py THREADS [BATCH]``.

Two processes are two of these side by side. ``ATEN_CPU_CAPABILITY=avx2`` holds torch to AVX2.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import torch

from sdx.simface.parameters import DIMENSION
from sdx.simface.render import render


def main() -> None:
    """Render for six seconds and print the median and the best batch."""
    torch.set_num_threads(int(sys.argv[1]))
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    generator = torch.Generator().manual_seed(1)
    latent = torch.randn(batch, DIMENSION, generator=generator)
    grain = torch.randn(batch, 3, 64, 64, generator=generator)
    render(latent, grain=grain)
    seconds = []
    end = time.perf_counter() + 6
    while time.perf_counter() < end:
        start = time.perf_counter()
        render(latent, grain=grain)
        seconds.append(time.perf_counter() - start)
    typical, best = batch / median(seconds), batch / min(seconds)
    print(f"{sys.argv[1]} threads, batch {batch}: median {typical:.0f} faces/s, best {best:.0f}")


if __name__ == "__main__":
    main()
