"""Calls of every kernel, by name: the layers of an FFHQ-256 generator, and the ops on the largest of their images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kernel_calls import BINOMIAL, FEW, Call, Sizes, Workload, compiled, nvidia_peers
from layer_workloads import LAYERS, layer, name_of
from peers import nvidia
from sdx_kernels import bias_act, crop_resize, embedding_loss, embedding_loss_gradient, prototype_loss, upfirdn2d
from sdx_kernels.cost import Cost, cost

CROP = (21 / 256, 22 / 256, 234 / 256, 235 / 256)
_SLICE = 2**14
"""Rows of the losses that are in float64 at a time."""
_AS_THEY_ARE = {name: form for name, form in nvidia.FORMS.items() if not form[0]}


def _workload(
    op: str,
    call: Callable[[Any], Any],
    oracle: Callable[[], Tensor],
    price: Cost,
    size: str,
    others: tuple[dict[str, Call], dict[str, str]] = ({}, {}),
) -> Workload:
    """Return the workload of ``call``, which is told the implementation."""
    fast = compiled(call)
    peers = {"eager": lambda: call("reference"), "torch.compile": lambda: fast("reference")}
    about = {"op": op, "sizes": size}
    return Workload(lambda: call("triton"), oracle, peers | others[0], price, price, others[1], about)


def _bias_act(sizes: Sizes) -> Workload:
    x, bias = sizes.image(64, sizes.side), sizes.normal(64)

    def theirs(ops: nvidia.Ops, _: bool, channels_last: bool) -> Call:
        given = x if channels_last else x.contiguous()
        return lambda: ops.bias_act(given, bias.to(given.dtype), act="lrelu", clamp=256)

    return _workload(
        "bias_act",
        lambda impl: bias_act(x, bias, act="lrelu", clamp=256.0, impl=impl),
        lambda: bias_act(x[:FEW].double(), bias.double(), act="lrelu", clamp=256.0),
        cost("bias_act", tuple(x.shape), sizes.dtype, channels_last=True),
        f"batch {sizes.batch}",
        nvidia_peers(sizes, theirs, _AS_THEY_ARE),
    )


def _upfirdn2d(sizes: Sizes, up: int, down: int, padding: tuple[int, int]) -> Workload:
    x = sizes.image(64, sizes.side // up)
    filter = torch.tensor(BINOMIAL, device=sizes.device)
    options: dict[str, Any] = {"up": up, "down": down, "padding": 2 * padding, "gain": float(up**2)}

    def theirs(ops: nvidia.Ops, _: bool, channels_last: bool) -> Call:
        given, full = x if channels_last else x.contiguous(), torch.outer(filter, filter)
        return lambda: ops.upfirdn2d(given, full, **{**options, "padding": list(2 * padding)})

    return _workload(
        "upfirdn2d",
        lambda impl: upfirdn2d(x, filter, impl=impl, **options),
        lambda: upfirdn2d(x[:FEW].double(), filter.double(), **options),
        cost("upfirdn2d", tuple(x.shape), sizes.dtype, up=up, down=down, padding=padding, channels_last=True),
        f"batch {sizes.batch}",
        nvidia_peers(sizes, theirs, _AS_THEY_ARE),
    )


def _crop_resize(sizes: Sizes) -> Workload:
    image = sizes.normal(sizes.batch, 3, sizes.side, sizes.side)
    return _workload(
        "crop_resize",
        lambda impl: crop_resize(image, 112, box=CROP, clamp=1.0, impl=impl),
        lambda: crop_resize(image[:FEW].double(), 112, box=CROP, clamp=1.0),
        cost("crop_resize", tuple(image.shape), torch.float32, size=112, box=CROP),
        f"batch {sizes.batch}",
    )


def _embeddings(sizes: Sizes) -> tuple[Tensor, Tensor]:
    s, t = (sizes.normal(sizes.rows, 512).to(sizes.dtype) for _ in range(2))
    return s, t


def _embedding_loss(sizes: Sizes) -> Workload:
    s, t = _embeddings(sizes)

    def oracle() -> Tensor:
        parts = zip(s.split(_SLICE), t.split(_SLICE), strict=True)
        sums = [embedding_loss(a.double(), b.double(), mse=1.0, cosine=0.5)[0] * len(a) for a, b in parts]
        return torch.stack(sums).sum() / len(s)

    return _workload(
        "embedding_loss",
        lambda impl: embedding_loss(s, t, mse=1.0, cosine=0.5, impl=impl),
        oracle,
        cost("embedding_loss", tuple(s.shape), sizes.dtype),
        f"{sizes.rows} rows",
    )


def _both_passes(
    op: str, loss: Callable[..., Any], sides: list[Tensor], oracle: list[Tensor], price: Cost, to: int = 0
) -> Workload:
    """Return the gradient of a loss's sum over rows, to one of ``sides``; ``oracle`` has some of the rows."""
    fast = compiled(loss)

    def gradient(loss: Callable[..., Any], impl: Any, sides: list[Tensor]) -> Tensor:
        with torch.enable_grad():
            given = [side.detach().requires_grad_(number == to) for number, side in enumerate(sides)]
            total = loss(impl, *given) * len(given[0])
            (found,) = torch.autograd.grad(total, given[to])
        return found

    peers: dict[str, Call] = {
        "eager": lambda: gradient(loss, "reference", sides),
        "torch.compile": lambda: gradient(fast, "reference", sides),
    }
    about = {"op": op, "sizes": f"{len(sides[0])} rows, both passes"}
    return Workload(
        lambda: gradient(loss, "triton", sides),
        lambda: gradient(loss, "reference", [side.double() for side in oracle]),
        peers,
        price,
        price,
        about=about,
    )


def _embedding_loss_both(sizes: Sizes) -> Workload:
    s, t = _embeddings(sizes)

    def loss(impl: Any, student: Tensor, teacher: Tensor) -> Tensor:
        return embedding_loss(student, teacher, mse=1.0, cosine=0.5, impl=impl)[0]

    # Two reads, then two reads and a write.
    price = cost("embedding_loss", tuple(s.shape), sizes.dtype) + cost(
        "embedding_loss_gradient", tuple(s.shape), sizes.dtype
    )
    return _both_passes("embedding_loss", loss, [s, t], [s[:_SLICE], t[:_SLICE]], price)


def _embedding_loss_gradient(sizes: Sizes) -> Workload:
    s, t = _embeddings(sizes)

    def gradient(impl: Any, s: Tensor, t: Tensor) -> Tensor:
        return embedding_loss_gradient(s, t, mse=1.0, cosine=0.5, scale=float(len(s)), impl=impl)[2]

    return _workload(
        "embedding_loss_gradient",
        lambda impl: gradient(impl, s, t),
        lambda: gradient("reference", s[:_SLICE].double(), t[:_SLICE].double()),
        cost("embedding_loss_gradient", tuple(s.shape), sizes.dtype),
        f"{sizes.rows} rows",
    )


def _banks(sizes: Sizes) -> list[Tensor]:
    """Return student, its bank, teacher and its bank; a batch has no more than 128 rows."""
    rows = min(sizes.rows, 128)
    counts = (rows, sizes.prototypes, rows, sizes.prototypes)
    return [sizes.normal(count, 512).mul(512**-0.5).to(sizes.dtype) for count in counts]


def _divergence(impl: Any, student: Tensor, bank: Tensor, teacher: Tensor, teacher_bank: Tensor) -> Any:
    return prototype_loss(student, bank, teacher=teacher, teacher_bank=teacher_bank, scale=16.0, impl=impl)


def _prototype_cost(sizes: Sizes, sides: list[Tensor], **of: bool) -> Cost:
    shape = tuple(sides[0].shape)
    return cost("prototype_loss", shape, sizes.dtype, prototypes=sizes.prototypes, teacher=512, **of)


def _prototype_loss(sizes: Sizes) -> Workload:
    sides = _banks(sizes)
    return _workload(
        "prototype_loss",
        lambda impl: _divergence(impl, *sides)[1],
        lambda: _divergence("reference", *(side.double() for side in sides))[1],
        _prototype_cost(sizes, sides),
        f"{len(sides[0])} rows, {sizes.prototypes} prototypes",
    )


def _prototype_loss_both(sizes: Sizes, to_bank: bool) -> Workload:
    sides = _banks(sizes)

    def loss(impl: Any, *sides: Tensor) -> Any:
        return _divergence(impl, *sides)[0]

    of = {"bank_gradient" if to_bank else "gradient": True}
    price = _prototype_cost(sizes, sides) + _prototype_cost(sizes, sides, **of)
    return _both_passes("prototype_loss", loss, sides, sides, price, int(to_bank))


WORKLOADS: dict[str, Callable[[Sizes], Workload]] = {
    **{name_of(*row): partial(layer, side=row[0], inputs=row[1], outputs=row[2], up=row[3]) for row in LAYERS},
    "bias_act lrelu": _bias_act,
    "upfirdn2d FIR": partial(_upfirdn2d, up=1, down=1, padding=(2, 1)),
    "upfirdn2d up 2": partial(_upfirdn2d, up=2, down=1, padding=(2, 1)),
    "upfirdn2d down 2": partial(_upfirdn2d, up=1, down=2, padding=(1, 1)),
    "crop_resize to 112": _crop_resize,
    "embedding_loss": _embedding_loss,
    "embedding_loss, both passes": _embedding_loss_both,
    "embedding_loss_gradient": _embedding_loss_gradient,
    "prototype_loss": _prototype_loss,
    "prototype_loss, both passes": partial(_prototype_loss_both, to_bank=False),
    "prototype_loss, both passes to the bank": partial(_prototype_loss_both, to_bank=True),
}
"""What makes each workload; nothing touches a device before it is called."""
