"""The one table of tolerances: op and dtype -> (relative RMS error, largest error) from a float64 oracle.

The largest error is an absolute one for results of about unit size, and grows with the size of larger ones.
"""

from __future__ import annotations

import torch

TOLERANCES: dict[tuple[str, torch.dtype], tuple[float, float]] = {
    ("bias_act", torch.float64): (1e-14, 1e-13),
    ("bias_act", torch.float32): (2e-7, 4e-6),
    ("bias_act", torch.float16): (5e-4, 8e-3),
    ("bias_act", torch.bfloat16): (4e-3, 6e-2),
    ("channelwise", torch.float64): (1e-14, 1e-13),
    ("channelwise", torch.float32): (2e-7, 4e-6),
    ("channelwise", torch.float16): (5e-4, 8e-3),
    ("channelwise", torch.bfloat16): (4e-3, 6e-2),
    ("crop_resize", torch.float64): (1e-13, 1e-12),
    ("crop_resize", torch.float32): (5e-7, 5e-6),
    ("crop_resize", torch.float16): (5e-4, 4e-3),
    ("crop_resize", torch.bfloat16): (4e-3, 3e-2),
    ("embedding_loss", torch.float64): (1e-13, 1e-12),
    ("embedding_loss", torch.float32): (1e-6, 1e-6),
    ("embedding_loss", torch.float16): (1e-6, 1e-6),  # inputs are rounded before the oracle sees them
    ("embedding_loss", torch.bfloat16): (1e-6, 1e-6),
    ("embedding_loss_gradient", torch.float64): (1e-13, 1e-12),
    ("embedding_loss_gradient", torch.float32): (1e-6, 1e-6),
    ("embedding_loss_gradient", torch.float16): (5e-4, 1e-3),
    ("embedding_loss_gradient", torch.bfloat16): (4e-3, 8e-3),
    ("modulated_conv2d", torch.float64): (1e-13, 1e-12),
    ("modulated_conv2d", torch.float32): (5e-7, 5e-6),
    ("modulated_conv2d", torch.float16): (5e-4, 8e-3),
    ("modulated_conv2d", torch.bfloat16): (4e-3, 6e-2),
    ("prototype_loss", torch.float64): (1e-13, 1e-12),
    ("prototype_loss", torch.float32): (1e-6, 1e-5),
    ("prototype_loss", torch.float16): (1e-6, 1e-5),  # inputs are rounded before the oracle sees them
    ("prototype_loss", torch.bfloat16): (1e-6, 1e-5),
    ("prototype_loss_gradient", torch.float64): (1e-13, 1e-12),
    ("prototype_loss_gradient", torch.float32): (1e-6, 1e-5),
    ("prototype_loss_gradient", torch.float16): (1e-3, 1e-2),
    ("prototype_loss_gradient", torch.bfloat16): (8e-3, 1e-1),
    ("styled_layer", torch.float32): (5e-7, 5e-6),
    ("styled_layer", torch.float16): (7.5e-4, 1.25e-2),  # as bfloat16, whose roundings are eight times coarser
    ("styled_layer", torch.bfloat16): (6e-3, 1e-1),  # rounded after the convolution, low-pass, bias and next styles
    ("upfirdn2d", torch.float64): (1e-13, 1e-12),
    ("upfirdn2d", torch.float32): (5e-7, 5e-6),
    ("upfirdn2d", torch.float16): (5e-4, 4e-3),
    ("upfirdn2d", torch.bfloat16): (4e-3, 3e-2),
}


def check(op: str, got: torch.Tensor, oracle: torch.Tensor) -> None:
    """Assert that ``got`` is within the table's errors of the float64 ``oracle``."""
    assert got.shape == oracle.shape
    relative, absolute = TOLERANCES[op, got.dtype]
    error = got.double() - oracle
    assert bool(torch.isfinite(got).all())
    if error.numel():
        scale = oracle.square().mean().sqrt().clamp_min(1e-30)
        largest, size = error.abs().max().item(), scale.item()
        assert largest <= absolute * max(size, 1.0), f"largest error {largest:.2e} of results of size {size:.2g}"
        assert (error.square().mean().sqrt() / scale).item() <= relative
