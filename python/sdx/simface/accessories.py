"""What is not the person: background, clothes, glasses and things in front of the face."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdx.simface.anatomy import PIN, Pose
from sdx.simface.traits import Traits, gate, mix

_MUTED = ((96, 104, 112), (120, 110, 96), (92, 104, 84), (128, 124, 118), (84, 88, 104), (140, 118, 104))
_CLOTH = ((40, 44, 56), (120, 118, 116), (44, 60, 92), (110, 44, 44), (206, 204, 200), (52, 72, 56))
_GLASSES_Z = 1.0  # the plane of the lenses


def _pick(stops: tuple[tuple[int, int, int], ...], z: Tensor) -> Tensor:
    """A smooth walk through colours, sRGB [B, 3] in [0, 1]."""
    table = torch.tensor(stops, dtype=z.dtype, device=z.device) / 255
    phase = z[:, None] * 2.1 - torch.arange(len(stops), device=z.device) * (2 * math.pi / len(stops))
    weight = torch.exp(3 * torch.cos(phase))
    return (weight / weight.sum(1, keepdim=True)) @ table


def cloth(t: Traits) -> Tensor:
    """Return the colour of the clothes, linear light [B, 3]."""
    return _pick(_CLOTH, 1.3 * t["background_hue"] + 0.9 * t["glasses_style"] + 1).square()


def background(t: Traits, plane: Tensor) -> Tensor:
    """Return the background, linear light [B, 3, N]: a slope of light over a muted wall, and one soft thing on it."""
    _, x, y = plane[:3]
    bright = torch.exp(0.55 * t["background_shade"])
    base = (_pick(_MUTED, t["background_hue"]) * bright[:, None]).clamp(0.02, 0.95).square()
    other = (_pick(_MUTED, t["background_hue"] + 2) * bright[:, None] * 0.7).clamp(0.02, 0.95).square()
    slope = t["background_slope"]
    lamp = (0.5 + 0.35 * slope[:, None] * x + 0.12 * (t["background_shade"] - slope.abs())[:, None] * y).clamp_(0, 1)
    thing_x = (0.9 * torch.sin(2.2 * slope))[:, None]
    thing_y = -0.5 + 0.3 * t["background_hue"][:, None]
    thing = (1.2 - ((x - thing_x) / 0.5).square() - ((y - thing_y) / 0.7).square()).clamp_(0, 1)
    out = torch.lerp(base[:, :, None], other[:, :, None], lamp[:, None])
    return out.lerp_(other[:, :, None] * 0.6, (thing * (0.5 * slope.abs().clamp(max=1))[:, None])[:, None])


def glasses(picture: Tensor, t: Traits, pose: Pose, plane: Tensor, front: Tensor, pixel: float) -> None:
    """Put glasses on where the person wears some, in place; their lenses lie in a plane before the eyes.

    Args:
        picture: linear light [B, 3, N].
        t: traits.
        pose: of the head.
        plane: rows 1, x, y, … of the image plane.
        front: depth of what the glasses may hide behind, [B, N].
        pixel: decimetres.
    """
    worn = t["spectacles"]
    if not bool((worn > 0).any()):
        return
    turn = pose.turn
    slant = turn[:, 2, 2].clamp(min=0.25)
    # ray (x, y) meets the plane z_head = _GLASSES_Z at this camera depth
    px = (plane[1] - pose.shift[:, :1]) / pose.zoom[:, None]
    py = (plane[2] - pose.shift[:, 1:2]) / pose.zoom[:, None]
    depth = ((_GLASSES_Z - PIN[2]) - turn[:, 0, 2, None] * px - turn[:, 1, 2, None] * py) / slant[:, None]
    x = turn[:, 0, 0, None] * px + turn[:, 1, 0, None] * py + turn[:, 2, 0, None] * depth + PIN[0]
    y = turn[:, 0, 1, None] * px + turn[:, 1, 1, None] * py + turn[:, 2, 1, None] * depth + PIN[1]
    style = t["glasses_style"]
    wide = (0.235 + 0.012 * style)[:, None]
    high = (0.165 + 0.028 * style)[:, None]
    square = torch.sigmoid(2 * style)[:, None]
    u = ((x.abs() - 0.315) / wide).square_()
    v = ((y - 0.035) / high).square_()
    level = (u + v) * (1 - 0.6 * square) + (u * u + v * v) * (0.6 * square)
    distance = (1 - level) * (0.5 * 0.19)
    rim = (0.020 + 0.010 * torch.tanh(1.5 * t["glasses_style"] + 0.3))[:, None]
    inside = (distance / pixel + 0.5).clamp_(0, 1)
    outside = ((distance + rim) / pixel + 0.5).clamp_(0, 1)
    frame = outside * (1 - inside)
    bridge = ((0.020 - (y + 0.015).abs()) / pixel + 0.5).clamp_(0, 1) * ((0.10 - x.abs()) / pixel + 0.5).clamp_(0, 1)
    frame = torch.maximum(frame, bridge)
    shown = ((depth + 0.03 - front) * 12 + 0.5).clamp_(0, 1).mul_(worn[:, None])
    tint = gate(t["glasses_style"] * 0.5 - 0.5 * t["background_shade"] + 0.2 * t["light_contrast"], 0.85, 2.0)
    lens = mix(_pick(_CLOTH, style) * 0.25, (0.05, 0.05, 0.06), torch.full_like(tint, 0.5)).square()
    picture.lerp_(lens[:, :, None].expand_as(picture), (inside * shown * (0.04 + 0.85 * tint)[:, None])[:, None])
    metal = _pick(((28, 26, 26), (70, 50, 36), (150, 140, 120), (30, 32, 48)), 1.2 * style + 0.5).square()
    picture.lerp_(metal[:, :, None].expand_as(picture), (frame * shown * 0.92)[:, None])


def occluder(picture: Tensor, t: Traits, plane: Tensor, pixel: float) -> None:
    """Push a thing into the picture where there is one, in place: a scarf, a hand, a cap, by its direction."""
    strength = (t["occlusion"] - 1.1).clamp(min=0)
    if not bool((strength > 0).any()):
        return
    _, x, y = plane[:3]
    angle = math.pi / 2 - 1.2 * t["occlusion_place"]
    nx, ny = angle.cos()[:, None], angle.sin()[:, None]
    reach = (0.98 - 0.42 * strength.clamp(max=1.6))[:, None]
    along = nx * x + ny * y
    across = ny * x - nx * y
    edge = (along - reach - 0.22 * across.square() + 0.03 * torch.cos(9 * across)) / pixel
    cover = edge.add_(0.5).clamp_(0, 1).mul_((strength * 8).clamp(max=1)[:, None])
    colour = mix(_pick(_CLOTH, 1.7 * t["background_hue"] - t["glasses_style"]), t["skin"] * 0.8,
                 gate(t["hair_change"], 0.2, 4.0))  # fmt: skip
    light = 0.75 + 0.25 * (1 - (along - reach)).clamp(0, 1)
    picture.lerp_(colour.square()[:, :, None] * light[:, None], cover[:, None])
