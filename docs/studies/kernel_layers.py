"""What the layers of a 256-pixel StyleGAN2 cost on the Triton path, predicted without a GPU.

    python docs/studies/kernel_layers.py

Prints the table of kernels/README.md. For each layer of NVIDIA's FFHQ-256 generator (channel_base 16384), float16,
channels_last, a batch of 64: operations and bytes by `sdx_kernels.cost`; registers, shared memory and resident warps of
its epilogue kernel as compiled for sm_90; and the time that follows at planning values of 800 TFLOP/s and 3.0 TB/s: the
library's convolution at its roof, then the epilogue's bytes. All of it is a prediction.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from sdx_kernels import PackedWeight, Rgb, styled_layer
from sdx_kernels.cost import cost
from sdx_kernels.modulated_conv2d.cost import bytes_of_epilogue
from sdx_kernels.testing.compiling import Compiled, compile_for

BATCH = 64
FLOPS, BANDWIDTH = 800e12, 3.0e12
COLUMNS = (
    "layer",
    "GFLOP",
    "least MB",
    "MB",
    "launches",
    "compute us",
    "bytes us",
    "predicted us",
    "registers",
    "shared",
    "warps",
)
CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64}


@dataclass(frozen=True)
class Layer:
    """A layer: resolution of its result, channels in and out, factor of upsampling."""

    side: int
    inputs: int
    outputs: int
    up: int

    @property
    def name(self) -> str:
        """As the table says it."""
        return f"{self.side} px, {self.inputs} to {self.outputs}{', up' if self.up > 1 else ''}"


def layers() -> list[Layer]:
    """Return the 13 layers, first to last."""
    found = [Layer(4, 512, 512, 1)]
    for side in (8, 16, 32, 64, 128, 256):
        found += [Layer(side, CHANNELS[side // 2], CHANNELS[side], 2), Layer(side, CHANNELS[side], CHANNELS[side], 1)]
    return found


def figures(layer: Layer) -> tuple[float, float, float, int, float, float, float]:
    """Return GFLOP, least MB, MB, launches, and microseconds: of the operations, of the least bytes, predicted.

    All for one image.
    """
    low, colours = layer.side // layer.up, layer.up == 1
    shape = BATCH, layer.inputs, low, low
    whole = cost("styled_layer", shape, torch.float16, outputs=layer.outputs, up=layer.up, colours=colours, arch=90)
    after = bytes_of_epilogue((BATCH, layer.outputs, low, low), torch.float16, up=layer.up, colours=colours, arch=90)
    convolution = 2 * 9 * BATCH * layer.inputs * layer.outputs * low**2
    predicted = max(convolution / FLOPS, (whole.bytes_kernel - after) / BANDWIDTH) + after / BANDWIDTH
    per_image = 1e6 / BATCH
    return (
        whole.flops / BATCH * 1e-9,
        whole.bytes_min / BATCH * 1e-6,
        whole.bytes_kernel / BATCH * 1e-6,
        whole.launches,
        convolution / FLOPS * per_image,
        whole.bytes_min / BANDWIDTH * per_image,
        predicted * per_image,
    )


def epilogue(layer: Layer) -> Compiled:
    """Return the layer's epilogue kernel, compiled for sm_90 (the batch does not enter)."""
    low = layer.side // layer.up
    x = torch.zeros(1, layer.inputs, low, low, dtype=torch.float16).contiguous(memory_format=torch.channels_last)
    filter = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8 if layer.up > 1 else None
    packed = PackedWeight.of(
        torch.zeros(layer.outputs, layer.inputs, 3, 3), up=layer.up, filter=filter, dtype=torch.float16
    )
    vector, image = torch.zeros(1, layer.outputs), torch.zeros(1, 3, layer.side, layer.side)
    rgb = Rgb(torch.zeros(3, layer.outputs), vector, torch.zeros(3), image, 256.0) if layer.up == 1 else None
    noise = torch.zeros(1, 1, layer.side, layer.side)
    with compile_for(90) as compiled:
        styled_layer(
            x, packed, vector, noise=noise, bias=vector[0], clamp=256.0, next_styles=vector, rgb=rgb, impl="triton"
        )
    (kernel,) = compiled
    return kernel


def row(layer: Layer) -> str:
    """Return the columns that `figures` gives, as the table prints them."""
    flops, least, moved, launches, compute, memory, predicted = figures(layer)
    return (
        f"| {layer.name} | {flops:.2f} | {least:.2f} | {moved:.2f} | {launches} | {compute:.1f} | {memory:.1f} | "
        f"{predicted:.1f} |"
    )


def sums() -> str:
    """Return the line below the table."""
    each = [figures(layer)[4:] for layer in layers()]
    roof, predicted = sum(max(row[:2]) for row in each), sum(row[2] for row in each)
    return f"All layers, an image: roof {roof:.0f} us, predicted {predicted:.0f} us"


def main() -> None:
    """Print the table."""
    os.environ.pop("TRITON_INTERPRET", None)  # it compiles here
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for layer in layers():
        kernel = epilogue(layer)
        print(f"{row(layer)} {kernel.registers} | {kernel.shared_bytes} | {kernel.resident_warps} |")
    print(sums())


if __name__ == "__main__":
    main()
