"""The augmentation that keeps a discriminator from learning a small set by heart (Karras et al. 2020b, ADA).

Flips, shifts, rotations, scales and colour, each with the same probability; a probability below 1 leaves the generator
nothing to gain from drawing augmented faces.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from sdx.types import Random, Stream

_DRAWS = 20  # uniforms an image: one to decide and at most two to shape each of the eight augmentations
_SHIFT, _ROTATION, _SCALE = 0.125, 0.15, 0.2  # share of the side, radians, log2
_BRIGHTNESS, _CONTRAST, _SATURATION = 0.2, 0.5, 1.0  # in units of [-1, 1], log2, log2


def augment(image: Tensor, index: Tensor, strength: float, random: Random) -> Tensor:
    """Return images [B, 3, R, R] as the discriminator sees them; ``image`` itself at strength 0.

    Args:
        image: float32 [B, 3, R, R] in [-1, 1]; gradients of first order flow through.
        index: int64 [B], keys the draws of each image.
        strength: probability of each augmentation, in [0, 1].
        random: random numbers of the run's seed.
    """
    if strength == 0.0:
        return image
    uniforms = random.uniforms(Stream.AUGMENTATION, index.numpy(), _DRAWS)
    u = torch.from_numpy(uniforms).to(image.device)
    chosen = (u[:, :8] < strength).to(image.dtype)  # [B, 8]
    v = 2 * u[:, 8:] - 1  # in [-1, 1)
    flip = 1 - 2 * chosen[:, 0] * (u[:, 8] < 0.5)
    angle = chosen[:, 1] * v[:, 1] * math.pi * _ROTATION
    scale = torch.exp2(chosen[:, 2] * v[:, 2] * _SCALE)
    shift_x, shift_y = (2 * chosen[:, 3] * v[:, k] * _SHIFT for k in (3, 4))
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = torch.stack([flip * cos, -flip * sin, shift_x, sin, cos, shift_y], 1)
    grid = affine_grid(rows.view(-1, 2, 3), list(image.shape), align_corners=False)
    y = grid_sample(image, grid, padding_mode="reflection", align_corners=False)
    return _colour(y, chosen[:, 4:], v[:, 5:])


def _colour(image: Tensor, chosen: Tensor, v: Tensor) -> Tensor:
    def each(values: Tensor) -> Tensor:
        return values[:, None, None, None]

    image = image + each(chosen[:, 0] * v[:, 0] * _BRIGHTNESS)
    image = image * each(torch.exp2(chosen[:, 1] * v[:, 1] * _CONTRAST))
    grey = image.mean(1, keepdim=True)
    image = grey + (image - grey) * each(torch.exp2(chosen[:, 2] * v[:, 2] * _SATURATION))
    # Hue: a turn of the colours about the grey axis by up to a sixth of a circle.
    angle = each(chosen[:, 3] * v[:, 3] * math.pi / 3)
    red, green, blue = image.unbind(1)
    across = torch.stack([blue - green, red - blue, green - red], 1) / math.sqrt(3)
    return grey + (image - grey) * torch.cos(angle) + across * torch.sin(angle)
