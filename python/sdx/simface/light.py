"""Light on a surface of known slopes: sky, one lamp, and the gloss of skin and hair."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdx.simface.traits import Traits


def shade(colour: Tensor, slope_x: Tensor, slope_y: Tensor, t: Traits, bare: Tensor, sheen: Tensor) -> None:
    """Light a surface in place; the lamp's edge is soft and reddest where skin scatters most.

    Args:
        colour: albedo, then light, float32 [B, 3, N] linear.
        slope_x: dz/dx [B, N].
        slope_y: dz/dy [B, N].
        t: traits with the light's coordinates.
        bare: how much is skin, [B, N] in [0, 1].
        sheen: how much is hair, [B, N] in [0, 1].
    """
    radians = math.pi / 180
    azimuth, elevation = t["light_azimuth"] * radians, t["light_elevation"] * radians
    lx = (elevation.cos() * azimuth.sin())[:, None]
    ly = (-elevation.sin())[:, None]
    lz = (elevation.cos() * azimuth.cos())[:, None]
    norm = torch.rsqrt(1 + slope_x * slope_x + slope_y * slope_y)
    facing = (lz - slope_x * lx - slope_y * ly) * norm
    up = slope_y * norm  # 1 = the surface looks up
    contrast = torch.sigmoid(0.9 * t["light_contrast"] + 0.2)[:, None]
    key = 0.45 + 0.75 * contrast
    sky = 0.62 - 0.42 * contrast
    warm = 0.07 * t["light_warmth"]
    ambient = (0.78 + 0.22 * up) * sky * (0.45 + 0.55 * norm)
    for channel, (wrap, tint) in enumerate(((0.30, 1.0), (0.20, 0.1), (0.16, -1.1))):
        light = ((facing + wrap) * (1 / (1 + wrap))).clamp_(min=0).mul_(key * (1 + tint * warm)[:, None])
        colour[:, channel].mul_(light.add_(ambient * (1 - 0.6 * tint * warm)[:, None]))
    half = torch.rsqrt(lx * lx + ly * ly + (lz + 1).square())
    shine = ((lz + 1) - slope_x * lx - slope_y * ly) * norm * half
    shine = shine.clamp_(min=0).square_().square_().square_().square_().mul_(bare * (0.075 * key))
    # hair shines in a band across its strands: where the surface leans by the right angle, however it turns sideways
    band = (1 - ((up - 0.42) * (1 / 0.3)).square_()).clamp_(min=0).square_().mul_(sheen * (0.9 * key))
    colour.mul_((1 + band)[:, None]).add_(shine.add_(band, alpha=0.012)[:, None])
