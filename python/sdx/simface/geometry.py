"""Ellipsoids seen in parallel projection: closed-form depth, silhouette and slope, and their blend to one surface."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_FADE = 3.0  # an ellipsoid enters the blend over the outer third of its squared chord, so that its rim draws no crease
_ABSENT = 1e-8  # weight outside the silhouette: never zero, so that the blend is defined everywhere
_SINK = 0.6  # how fast, in decimetres, the plane of a flat ellipsoid sinks outside: it must not win the blend there
_FLAT = 1e-3  # bound of the relative squared chord under a slope, for slopes grow without bound at a silhouette


@dataclass(frozen=True)
class Quadrics:
    """Polynomials in the image plane of E ellipsoids a picture.

    Args:
        depth: float32 [B, E, 3], depth of the middle of the chord = depth · (1, x, y).
        chord: float32 [B, E, 6], squared half chord over its maximum = chord · (1, x, y, x², xy, y²); negative outside.
        half: float32 [B, E], the greatest half chord, decimetres.
        reach: float32 [B, E], chord · reach is about the distance inside the silhouette, decimetres.
    """

    depth: Tensor
    chord: Tensor
    half: Tensor
    reach: Tensor

    def single(self) -> Quadrics:
        """Return them in float32."""
        return Quadrics(self.depth.float(), self.chord.float(), self.half.float(), self.reach.float())

    def slice(self, rows: slice) -> Quadrics:
        """Return those of some pictures."""
        return Quadrics(self.depth[rows], self.chord[rows], self.half[rows], self.reach[rows])


def rotation(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Return head → camera rotations, float32 [B, 3, 3]; angles in radians, x right, y down, z towards the viewer."""
    one, zero = torch.ones_like(yaw), torch.zeros_like(yaw)
    cy, sy, cp, sp, cr, sr = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin(), roll.cos(), roll.sin()
    turn = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], 1).view(-1, 3, 3)
    nod = torch.stack([one, zero, zero, zero, cp, -sp, zero, sp, cp], 1).view(-1, 3, 3)
    tilt = torch.stack([cr, -sr, zero, sr, cr, zero, zero, zero, one], 1).view(-1, 3, 3)
    return tilt @ nod @ turn


def project(centre: Tensor, axes: Tensor, radius: Tensor) -> Quadrics:
    """Return the quadrics of ellipsoids.

    Args:
        centre: float32 [B, E, 3] in camera coordinates.
        axes: float32 [B, E, 3, 3], columns are the principal directions in camera coordinates.
        radius: float32 [B, E, 3] along them.
    """
    shape = (axes / radius.square()[:, :, None, :]) @ axes.transpose(2, 3)
    a11, a12, a13 = shape[..., 0, 0], shape[..., 0, 1], shape[..., 0, 2]
    a22, a23, a33 = shape[..., 1, 1], shape[..., 1, 2], shape[..., 2, 2]
    cx, cy, cz = centre.unbind(-1)
    px, py = -a13 / a33, -a23 / a33
    depth = torch.stack([cz - px * cx - py * cy, px, py], -1)
    top = 1 / a33
    xx = px * px - a11 * top
    xy = 2 * (px * py - a12 * top)
    yy = py * py - a22 * top
    chord = torch.stack(
        [top + xx * cx * cx + xy * cx * cy + yy * cy * cy, -2 * xx * cx - xy * cy, -2 * yy * cy - xy * cx, xx, xy, yy],
        -1,
    )
    # 1 - ρ² is about 2 (distance / r) near ρ = 1
    mean_radius = (top.square() / (xx * yy - 0.25 * xy * xy).clamp(min=1e-9)).pow(0.25)
    return Quadrics(depth, chord / top[..., None], top.sqrt(), 0.5 * mean_radius)


@dataclass(frozen=True)
class Surface:
    """A depth map: depth z, slopes dz/dx and dz/dy, signed distance inside the silhouette; all float32 [B, N]."""

    z: Tensor
    slope_x: Tensor
    slope_y: Tensor
    inside: Tensor


def blend(quadrics: Quadrics, plane: Tensor, sharpness: float) -> Surface:
    """Blend ellipsoids to one surface: depths and slopes averaged with softmax weights of depth.

    Args:
        quadrics: of E ellipsoids.
        plane: float32 [6, N], the rows 1, x, y, x², xy, y² of the image plane.
        sharpness: 1/decimetre; the lower, the rounder the seams.
    """
    batch, count, _ = quadrics.chord.shape
    pixels = plane.shape[1]
    chord = (quadrics.chord.reshape(-1, 6) @ plane).view(batch, count, pixels)
    half = chord.clamp(min=_FLAT).sqrt_()
    depth = (quadrics.depth.reshape(-1, 3) @ plane[:3]).view(batch, count, pixels)
    depth.addcmul_(half, quadrics.half[:, :, None])
    buffer = torch.clamp(chord, max=0)
    depth.add_(buffer, alpha=_SINK)
    # the clamp keeps exp out of the denormal numbers, where it is ten times slower
    weight = depth.sub_(depth.amax(1, keepdim=True)).mul_(sharpness).clamp_(min=-60).exp_()
    weight.mul_(torch.mul(chord, _FADE, out=buffer).clamp_(_ABSENT, 1))
    inside = chord.mul_(quadrics.reach[:, :, None]).amax(1)
    # The weighted sums over ellipsoids are small matrix products, as depth = p·(1, x, y) + h·half and half² = c·(1, x,
    # …, y²): Σ w depth = Σ w p·(…) + Σ (w / half) h c·(…), and its derivative by x or y differs in the monomials alone.
    ones = torch.ones_like(quadrics.half)
    flat = torch.cat([quadrics.depth, ones[..., None]], 2).transpose(1, 2) @ weight
    bent = (quadrics.chord * quadrics.half[:, :, None]).transpose(1, 2) @ weight.div_(half)
    _, x, y, xx, xy, yy = plane
    p0, px, py, total = flat.unbind(1)
    c0, cx, cy, cxx, cxy, cyy = bent.unbind(1)
    share = total.reciprocal_()
    z = p0.add_(c0).addcmul_(px + cx, x).addcmul_(py + cy, y)
    z = z.addcmul_(cxx, xx).addcmul_(cxy, xy).addcmul_(cyy, yy).mul_(share)
    slope_x = px.addcmul_(cxx, x).add_(torch.addcmul(cx, cxy, y), alpha=0.5).mul_(share)
    slope_y = py.addcmul_(cyy, y).add_(cy.addcmul_(cxy, x), alpha=0.5).mul_(share)
    return Surface(z, slope_x, slope_y, inside)
