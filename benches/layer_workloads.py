"""Calls of `styled_layer` at the layers of an FFHQ-256 generator, and the same by peers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from kernel_calls import BINOMIAL, FEW, Call, Sizes, Workload, compiled, nvidia_peers
from peers import nvidia
from sdx_kernels import NoiseKey, PackedWeight, Rgb, launch, styled_layer
from sdx_kernels.cost import Cost, cost
from sdx_kernels.modulated_conv2d.cost import bytes_of_epilogue, bytes_of_noise

# Resolution of the result, inputs, outputs, factor: the layers of a generator with channel_base 16384.
LAYERS = (
    (16, 512, 512, 1),
    (32, 512, 512, 2),
    (32, 512, 512, 1),
    (64, 512, 256, 2),
    (64, 256, 256, 1),
    (128, 256, 128, 2),
    (128, 128, 128, 1),
    (256, 128, 64, 2),
    (256, 64, 64, 1),
)
SEED, STREAM, STRENGTH = 7, 3, 0.1
"""Of the noise."""
_COMPILED = 256
"""Resolution of the layers that torch.compile takes part in, at 5 seconds each."""


def name_of(side: int, inputs: int, outputs: int, up: int) -> str:
    """Return what a layer is called."""
    return f"styled_layer {side} px, {inputs} to {outputs}{', up' if up > 1 else ''}"


def layer(sizes: Sizes, side: int, inputs: int, outputs: int, up: int) -> Workload:
    """Return a layer, with colours where it does not upsample; the noise is the trainer's, drawn by number."""
    n, low, device = sizes.batch, side // up, sizes.device
    x = sizes.image(inputs, low)
    weight, styles, bias = sizes.normal(outputs, inputs, 3, 3), sizes.normal(n, inputs), sizes.normal(outputs)
    following, image = sizes.normal(n, outputs), sizes.normal(n, 3, side, side)
    colours, colour_bias = sizes.normal(3, outputs), sizes.normal(3)
    strength = torch.full((1,), STRENGTH, device=device)
    key = NoiseKey(SEED, torch.arange(n, device=device), STREAM, strength=strength)
    filter = torch.tensor(BINOMIAL, device=device) if up > 1 else None
    packed = PackedWeight.of(weight, up=up, filter=filter, dtype=sizes.dtype)

    def run(x: Tensor, packed: PackedWeight, noise: Tensor | NoiseKey, impl: Any) -> Any:
        count = len(x)
        rgb = Rgb(colours, following[:count] / outputs**0.5, colour_bias, image[:count], 256.0)
        return styled_layer(
            x, packed, packed.dcoef(styles[:count]), noise=noise, bias=bias, clamp=256.0,
            next_styles=following[:count], rgb=rgb if up == 1 else None, impl=impl,
        )  # fmt: skip

    def oracle() -> Tensor:
        few = replace(key, index=key.index[:FEW])
        exact = PackedWeight.of(weight.double(), up=up, filter=filter, dtype=torch.float64)
        y: Tensor = run(x[:FEW].double(), exact, few, "reference")[0]
        return y

    def drawn() -> Tensor:
        return torch.randn(n, 1, side, side, device=device) * strength

    # Philox in eager torch takes longer than a layer, so that peer draws its noise as PyTorch projects do.
    peers: dict[str, Call] = {"cuDNN channels_last, torch.randn": lambda: run(x, packed, drawn(), "reference")}
    if side == _COMPILED:
        fast = compiled(run)
        peers["torch.compile"] = lambda: fast(x, packed, key, "reference")

    def theirs(ops: nvidia.Ops, fused: bool, channels_last: bool) -> Call:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        given, taps = x.contiguous(memory_format=layout), weight.contiguous(memory_format=layout)
        full = None if filter is None else torch.outer(filter, filter)

        def call() -> Tensor:
            y = ops.modulated_conv2d(
                x=given, weight=taps, styles=styles, noise=drawn(), up=up, padding=1, resample_filter=full,
                flip_weight=up == 1, fused_modconv=fused,
            )  # fmt: skip
            result: Tensor = ops.bias_act(y, bias.to(y.dtype), act="lrelu", clamp=256)
            return result

        return call

    others, absent = nvidia_peers(sizes, theirs)
    whole = cost(
        "styled_layer", tuple(x.shape), sizes.dtype, outputs=outputs, up=up, colours=up == 1,
        arch=launch.arch_of(device),
    )  # fmt: skip
    return Workload(
        lambda: run(x, packed, key, "triton"),
        oracle,
        peers | others,
        whole,
        _epilogue(whole, x, outputs, up),
        absent,
        {"sizes": f"batch {n}", "side": side, "inputs": inputs, "outputs": outputs, "up": up},
    )


def _epilogue(whole: Cost, x: Tensor, outputs: int, up: int) -> Cost:
    """Return the part of a layer's cost that is our kernels': the noise, and what follows the convolution."""
    n, inputs, height, width = x.shape
    arch = launch.arch_of(x.device)
    asked = bytes_of_epilogue((n, outputs, height, width), x.dtype, up=up, colours=up == 1, arch=arch)
    asked += bytes_of_noise(n, height * width * up**2, arch=arch)
    given = (x.numel() + 9 * inputs * outputs) * x.element_size()
    convolved = whole.bytes_kernel - asked - given  # what the library writes
    return Cost(0, whole.bytes_min - given + convolved, asked, 2)
