"""Calls of each kernel at the shapes of an FFHQ-256 generator, and the same by peers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdx_kernels import (
    PackedWeight,
    Rgb,
    bias_act,
    crop_resize,
    embedding_loss,
    embedding_loss_gradient,
    prototype_loss,
    styled_layer,
    upfirdn2d,
)
from sdx_kernels.cost import Cost, cost

Call = Callable[[], Any]
BINOMIAL = (0.125, 0.375, 0.375, 0.125)
CROP = (21 / 256, 22 / 256, 234 / 256, 235 / 256)

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

OTHERS = 7
"""Calls of `others`."""


@dataclass
class Workload:
    """One call of ours, what it costs, its oracle and its peers.

    Args:
        name: of the call.
        ours: the call.
        oracle: the same in float64, or None where that is another test's matter.
        peers: the same by others, by name.
        cost: what it moves and computes.
    """

    name: str
    ours: Call
    oracle: Call
    peers: dict[str, Call]
    cost: Cost
    about: dict[str, Any] = field(default_factory=dict)


def layers(n: int, dtype: torch.dtype, device: torch.device, nvidia: Path | None) -> list[Workload]:
    """Return `styled_layer` at every layer of the generator, batch ``n``."""
    return [_layer(n, *layer, dtype, device, nvidia) for layer in LAYERS]


def _layer(
    n: int, side: int, inputs: int, outputs: int, up: int, dtype: torch.dtype, device: torch.device, nvidia: Path | None
) -> Workload:
    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, device=device)

    low = side // up
    x = normal(n, inputs, low, low).to(dtype).contiguous(memory_format=torch.channels_last)
    weight, styles, bias, following = (
        normal(outputs, inputs, 3, 3),
        normal(n, inputs),
        normal(outputs),
        normal(n, outputs),
    )
    noise = normal(n, 1, side, side)
    filter = torch.tensor(BINOMIAL, device=device) if up > 1 else None
    colours = up == 1
    rgb = Rgb(normal(3, outputs), following / outputs**0.5, normal(3), normal(n, 3, side, side), 256.0)

    def layer(x: Tensor, packed: PackedWeight, impl: Any) -> Any:
        return styled_layer(
            x, packed, packed.dcoef(styles), noise=noise, bias=bias, clamp=256.0, next_styles=following,
            rgb=rgb if colours else None, impl=impl,
        )  # fmt: skip

    packed = PackedWeight.of(weight, up=up, filter=filter, dtype=dtype)
    exact = PackedWeight.of(weight, up=up, filter=filter, dtype=torch.float32)
    peers: dict[str, Call] = {
        "cuDNN channels_last, eager epilogue": lambda: layer(x, packed, "reference"),
        "torch.compile": lambda: _compiled(layer)(x, packed, "reference"),
    }
    if nvidia is not None:
        ops = _nvidia(nvidia)
        plain = x.contiguous()
        full = torch.outer(filter, filter) if filter is not None else None

        def theirs() -> Tensor:
            y = ops["modulated_conv2d"](
                x=plain, weight=weight.to(dtype), styles=styles, noise=noise, up=up, padding=1, resample_filter=full,
                flip_weight=up == 1, fused_modconv=False,
            )  # fmt: skip
            result: Tensor = ops["bias_act"](y, bias.to(dtype), act="lrelu", clamp=256)
            return result

        peers["NVIDIA's ops"] = theirs
    return Workload(
        f"styled_layer {side} px, {inputs} to {outputs}{', up' if up > 1 else ''}",
        lambda: layer(x, packed, "triton")[0],
        lambda: layer(x.float(), exact, "reference")[0].double(),
        peers,
        cost("styled_layer", (n, inputs, low, low), dtype, outputs=outputs, up=up, noise=False, colours=colours),
        {"side": side, "inputs": inputs, "outputs": outputs, "up": up},
    )


def others(
    n: int, dtype: torch.dtype, device: torch.device, rows: int, prototypes: int = 65536, side: int = 256
) -> list[Workload]:
    """Return the other ops: images of batch ``n``, ``rows`` embeddings of 512 values, and a bank of prototypes."""
    filter = torch.tensor(BINOMIAL, device=device)
    half = side // 2
    image = torch.randn(n, 3, side, side, device=device)
    x = torch.randn(n, 64, side, side, device=device).to(dtype).contiguous(memory_format=torch.channels_last)
    bias = torch.randn(64, device=device)
    s, t = (torch.randn(rows, 512, device=device).to(dtype) for _ in range(2))
    few = min(rows, 128)
    banks = [torch.randn(prototypes, 512, device=device).mul(512**-0.5).to(dtype) for _ in range(2)]

    def both_passes(impl: Any, s: Tensor = s, t: Tensor = t) -> Tensor:
        with torch.enable_grad():
            student = s.detach().requires_grad_()
            loss, _ = embedding_loss(student, t, mse=1.0, cosine=0.5, impl=impl)
            (gradient,) = torch.autograd.grad(loss * len(s), student)
        return gradient

    def prototypes_of(impl: Any, *tensors: Tensor) -> Tensor:
        student, teacher, *sides = tensors or (s[:few] / 512**0.5, t[:few] / 512**0.5, *banks)
        return prototype_loss(student, sides[0], teacher=teacher, teacher_bank=sides[1], scale=16.0, impl=impl)[1]

    calls: list[tuple[str, str, Callable[[Any], Tensor], Callable[[], Tensor], Cost]] = [
        (
            "bias_act",
            "bias_act lrelu",
            lambda impl: bias_act(x, bias, act="lrelu", clamp=256.0, impl=impl),
            lambda: bias_act(x.double(), bias.double(), act="lrelu", clamp=256.0),
            cost("bias_act", tuple(x.shape), dtype, channels_last=True),
        ),
        (
            "upfirdn2d",
            "upfirdn2d up 2",
            lambda impl: upfirdn2d(x[:, :, :half, :half], filter, up=2, padding=(2, 1, 2, 1), gain=4.0, impl=impl),
            lambda: upfirdn2d(x[:, :, :half, :half].double(), filter.double(), up=2, padding=(2, 1, 2, 1), gain=4.0),
            cost("upfirdn2d", (n, 64, half, half), dtype, up=2, taps=4, padding=(2, 1), channels_last=True),
        ),
        (
            "crop_resize",
            "crop_resize to 112",
            lambda impl: crop_resize(image, 112, box=CROP, clamp=1.0, impl=impl),
            lambda: crop_resize(image.double(), 112, box=CROP, clamp=1.0),
            cost("crop_resize", tuple(image.shape), torch.float32, size=112, box=CROP),
        ),
        (
            "embedding_loss",
            f"embedding_loss {rows} rows",
            lambda impl: embedding_loss(s, t, mse=1.0, cosine=0.5, impl=impl)[0],
            lambda: embedding_loss(s.double(), t.double(), mse=1.0, cosine=0.5)[0],
            cost("embedding_loss", (rows, 512), dtype),
        ),
        (
            "embedding_loss",
            f"embedding_loss {rows} rows, both passes",
            both_passes,
            lambda: both_passes("reference", s.double(), t.double()),
            # Two reads, then two reads and a write.
            cost("embedding_loss", (rows, 512), dtype) + cost("embedding_loss_gradient", (rows, 512), dtype),
        ),
        (
            "embedding_loss_gradient",
            f"embedding_loss_gradient {rows} rows",
            lambda impl: embedding_loss_gradient(s, t, mse=1.0, cosine=0.5, scale=float(rows), impl=impl)[2],
            lambda: embedding_loss_gradient(s.double(), t.double(), mse=1.0, cosine=0.5, scale=float(rows))[2],
            cost("embedding_loss_gradient", (rows, 512), dtype),
        ),
        (
            "prototype_loss",
            f"prototype_loss {few} rows, {prototypes} prototypes",
            prototypes_of,
            lambda: prototypes_of(
                "reference", *(x.double() / 512**0.5 for x in (s[:few], t[:few])), *(b.double() for b in banks)
            ),
            cost("prototype_loss", (few, 512), dtype, prototypes=prototypes, teacher=512),
        ),
    ]
    return [
        Workload(
            name,
            lambda call=call: call("triton"),
            oracle,
            {
                "eager": lambda call=call: call("reference"),
                "torch.compile": lambda call=call: _compiled(call)("reference"),
            },
            price,
            {"op": op},
        )
        for op, name, call, oracle, price in calls
    ]


_kept: dict[Any, Any] = {}


def _compiled(function: Any) -> Any:
    if function not in _kept:
        _kept[function] = torch.compile(function, dynamic=False)
    return _kept[function]


def _nvidia(path: Path) -> dict[str, Any]:
    """Return NVIDIA's own ops out of a checkout of their stylegan3 repository, which stays where it is."""
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))
    networks = importlib.import_module("training.networks_stylegan2")
    ops = importlib.import_module("torch_utils.ops.bias_act")
    return {"modulated_conv2d": networks.modulated_conv2d, "bias_act": ops.bias_act}
