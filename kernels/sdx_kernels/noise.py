"""The noise of a `NoiseKey` as a registered torch op on Triton: drawn once, before the kernel that adds it.

Inside that kernel each of the threads that share a pixel would draw it anew, eight for 64 channels in a half format,
which took as many instructions as all else there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sdx_kernels import launch
from sdx_kernels.random import NoiseKey


def drawn(key: NoiseKey, height: int, width: int, *, with_strength: bool = True) -> Tensor:
    """Return `NoiseKey.image` by the Triton kernel, float32 [N, 1, height, width]; no gradient flows to the strength.

    Args:
        key: what is drawn.
        height: of the image.
        width: of the image; raises KernelError for one beyond the key's pitch.
        with_strength: whether the strength is in it.
    """
    strength = None
    if with_strength:
        strength = torch.as_tensor(key.strength, dtype=torch.float32).detach().to(key.index.device).reshape(1)
    low, high = key.seed & 0xFFFFFFFF, key.seed >> 32
    image: Tensor = noise(key.index, strength, low, high, key.stream, key.offset, height, width, key.row(width))
    return image


@torch.library.custom_op("sdx_kernels::noise", mutates_args=())
def noise(
    index: Tensor,
    strength: Tensor | None,
    seed_low: int,
    seed_high: int,
    stream: int,
    offset: int,
    height: int,
    width: int,
    pitch: int,
) -> Tensor:
    """Return normals, float32 [N, 1, height, width], of images int64 [N], times ``strength``, float32 [1]."""
    from sdx_kernels.random_kernel import noise_kernel

    out = torch.empty((len(index), 1, height, width), dtype=torch.float32, device=index.device)
    runs, length = (1, height * width) if pitch == width else (height, width)
    row = launch.config("noise_kernel", size=length, bits=32, arch=launch.arch_of(index.device))
    parts = -(-(length + 3) // (4 * row.blocks["BLOCK"]))  # a run may begin at the last number of a block
    launch.launch(
        noise_kernel,
        (len(index) * runs * parts,),
        index.contiguous(),
        strength,
        out,
        runs,
        length,
        parts,
        offset,
        pitch,
        seed_low,
        seed_high,
        stream,
        row=row,
        HAS_STRENGTH=strength is not None,
    )
    return out


@noise.register_fake
def _(index: Tensor, strength: Tensor | None, *rest: int) -> Tensor:
    return torch.empty((len(index), 1, rest[4], rest[5]), dtype=torch.float32, device=index.device)
