"""What a camera and a file format do to a picture: sampling, blur, noise, colour and JPEG quantisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdx.errors import ConfigError
from sdx.simface.traits import Traits

_LUMA = (16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
         14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
         49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99)  # fmt: skip
_CHROMA = (17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
           47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32)  # fmt: skip
"""Annex K of ITU-T T.81: the quantisation tables nearly every JPEG file scales."""

_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def effective_size(t: Traits) -> Tensor:
    """Return how many pixels the face's frame had when it was captured, float32 [B] in [16, 64]."""
    return (53 + 13 * t["capture_size"]).clamp(16, 64)


def optics(t: Traits, size: int) -> Tensor:
    """Return the operator of one axis, float32 [B, size, size]: blur, sampling to the captured size and back."""
    ratio = 64 / effective_size(t)[:, None, None]
    blur = (0.20 + 0.40 * t["blur"]).clamp(0.0, 2.2)[:, None, None]  # in pixels of 64
    place = (torch.arange(size, device=ratio.device, dtype=torch.float32) + 0.5) * (64 / size)
    count = 64
    sensor = torch.arange(count, device=ratio.device, dtype=torch.float32) + 0.5
    sigma = torch.sqrt((0.42 * ratio).square() + blur.square())
    # the clamp keeps exp out of the denormal numbers, where it is ten times slower
    down = torch.exp((((sensor[:, None] * ratio - place[None, :]) / sigma).square() * -0.5).clamp_(min=-60))
    down = down / down.sum(2, keepdim=True).clamp(min=1e-6)
    up = (1 - ((place[:, None] / ratio) - sensor[None, :]).abs()).clamp_(min=0)
    # sensor elements beyond the frame do not exist
    up = up * (sensor * ratio < 64 + 0.5 * ratio).to(up.dtype)
    up = up / up.sum(2, keepdim=True).clamp(min=1e-6)
    sharp = ((effective_size(t) > 63) & (blur[:, 0, 0] <= 0)).to(up.dtype)[:, None, None]
    identity = torch.eye(size, device=ratio.device)
    return sharp * identity + (1 - sharp) * (up @ down)


def _cosines(size: int, like: Tensor) -> Tensor:
    k = torch.arange(8, dtype=torch.float64)
    block = torch.cos((2 * k[None, :] + 1) * k[:, None] * (math.pi / 16)) * 0.5
    block[0] *= math.sqrt(0.5)
    return torch.kron(torch.eye(size // 8), block.to(torch.float32)).to(like.device)


def jpeg(face: Tensor, quality: Tensor) -> Tensor:
    """Quantise as a JPEG file without chroma subsampling does; face [B, 3, S, S] in [-1, 1], quality [B] in [1, 100].

    A quality of 100 leaves the picture as it is but for rounding to 1/255. S must be a multiple of 8.
    """
    size = face.shape[-1]
    q = quality.clamp(1, 100)
    scale = torch.where(q < 50, 50 / q, 2 - 0.02 * q)
    tables = torch.tensor([_LUMA, _CHROMA, _CHROMA], dtype=torch.float32, device=face.device).view(1, 3, 8, 8)
    step = (tables * scale[:, None, None, None]).clamp_(1, 255).mul_(1 / 127.5)
    step = step.repeat(1, 1, size // 8, size // 8)
    to_ycc, to_rgb = face.new_tensor(_TO_YCC), face.new_tensor(_TO_RGB)
    cosines = _cosines(size, face)
    colour = (to_ycc @ face.flatten(2)).view_as(face)
    spectrum = cosines @ colour @ cosines.T
    spectrum.div_(step).round_().mul_(step)
    plain = cosines.T @ spectrum @ cosines
    return (to_rgb @ plain.flatten(2)).view_as(face)


def apply(face: Tensor, t: Traits, grain: Tensor | None) -> Tensor:
    """Capture a scene: face float32 [B, 3, S, S] in [0, 1] (sRGB) → [B, 3, S, S] in [-1, 1].

    Args:
        face: the rendered scene.
        t: traits with the capture's coordinates.
        grain: standard normals [B, 3, S, S] of the sensor, or None for a noiseless one.
    """
    size = face.shape[-1]
    lens = optics(t, size)
    cast = t["colour_cast"]
    gains = torch.stack([1 + 0.035 * cast, 1 - 0.006 * cast.abs(), 1 - 0.045 * cast], 1)[:, :, None, None]
    rows = lens[:, None] @ face
    face = (rows @ lens.transpose(1, 2)[:, None]).mul_(2 * gains).sub_(1)
    if grain is not None:
        sigma = (0.020 + 0.016 * t["noise"]).clamp(min=0.003)
        lens_grain = lens[:, None] @ grain @ lens.transpose(1, 2)[:, None]
        face.addcmul_(lens_grain, (2.0 * sigma)[:, None, None, None])
    face = jpeg(face.clamp_(-1, 1), (78 - 22 * t["jpeg"]).clamp(12, 98))
    return face.clamp_(-1, 1)


def check_grain(grain: Tensor | None, batch: int, size: int) -> None:
    """Raise ConfigError unless the grain fits."""
    if grain is not None and grain.shape != (batch, 3, size, size):
        raise ConfigError(
            f"expected grain [{batch}, 3, {size}, {size}], got {list(grain.shape)}; draw one normal a value"
        )
