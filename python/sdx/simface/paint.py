"""Painting on a surface: soft-edged polynomial regions of head coordinates, stacked as translucent layers.

Every region is one polynomial of a small basis, so that all regions of a picture come from one matrix product; a
clamp turns them into coverages. Edges are as wide as a pixel: that is the anti-aliasing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Value = Tensor | float

# a = |x|: one region paints both halves of the face; s = sign of x. weave, spots and lines are textures.
BASIS = ("one", "a", "y", "aa", "ay", "yy", "aaa", "x", "s", "xy", "sy", "z", "zz", "weave", "spots", "lines")
_COLUMN = {name: i for i, name in enumerate(BASIS)}


@dataclass(frozen=True)
class Region:
    """Handle of a region: its kind's list and its place there."""

    kind: int
    place: int


@dataclass(frozen=True)
class Painting:
    """Regions and layers of B pictures, ready for a surface.

    Args:
        regions: float32 [B, K, F], polynomials over `BASIS`; the first `bumps` fall off smoothly.
        bumps: how many.
        layers: for every layer, bottom first, the regions whose product covers it.
        opacity: float32 [B, Q].
        colour: float32 [B, 3, Q + 1], linear light; the last column is the ground.
    """

    regions: Tensor
    bumps: int
    layers: tuple[tuple[int, ...], ...]
    opacity: Tensor
    colour: Tensor

    def single(self) -> Painting:
        """Return it in float32."""
        return Painting(self.regions.float(), self.bumps, self.layers, self.opacity.float(), self.colour.float())

    def slice(self, rows: slice) -> Painting:
        """Return that of some pictures."""
        return Painting(self.regions[rows], self.bumps, self.layers, self.opacity[rows], self.colour[rows])


class Painter:
    """Collects regions and layers; `pixel` is the size of a pixel in decimetres."""

    def __init__(self, like: Tensor, pixel: float) -> None:
        self._like = like
        self._pixel = pixel
        self._rows: tuple[list[list[Tensor]], ...] = ([], [], [], [])
        self._layers: list[tuple[Region, ...]] = []
        self._opacity: list[Tensor] = []
        self._colour: list[Tensor] = []

    def _fill(self, value: Value) -> Tensor:
        return value if isinstance(value, Tensor) else torch.full_like(self._like, value)

    def _add(self, kind: int, *values: Value) -> Region:
        self._rows[kind].append([self._fill(v) for v in values])
        return Region(kind, len(self._rows[kind]) - 1)

    def bump(self, x: Value, y: Value, rx: Value, ry: Value, angle: Value = 0.0) -> Region:
        """A smooth hill, 1 in the middle and 0 from the ellipse on, on both halves of the face."""
        return self._add(0, x, y, rx, ry, angle, 0.0, 0.0, 0.0)

    def ellipse(
        self, x: Value, y: Value, rx: Value, ry: Value, angle: Value = 0.0, *,
        shift: Value = 0.0, rough: Value = 0.0, soft: float = 1.0,
    ) -> Region:  # fmt: skip
        """A filled ellipse on both halves of the face, moved by `shift` to the same side in both."""
        return self._add(1, x, y, rx, ry, angle, shift, rough, soft * self._pixel)

    def curve(
        self, below: bool, at: Value, c0: Value, c1: Value = 0.0, c2: Value = 0.0, c3: Value = 0.0, *,
        tilt: Value = 0.0, rough: Value = 0.0, soft: float = 1.0,
    ) -> Region:  # fmt: skip
        """What lies below (or above) the curve y = c0 + c1 u + c2 u² + c3 u³ + tilt x, u = |x| - at."""
        return self._add(2, 1.0 if below else -1.0, at, c0, c1, c2, c3, tilt, rough, soft * self._pixel)

    def poly(self, soft: float | None = None, **terms: Value) -> Region:
        """Any polynomial over `BASIS`: positive inside, in decimetres; without `soft` it is the coverage itself."""
        zero = self._fill(0.0)
        row = [self._fill(terms[name]) if name in terms else zero for name in BASIS]
        if soft is not None:
            row = [value / (soft * self._pixel) for value in row]
            row[0] = row[0] + 0.5
        self._rows[3].append(row)
        return Region(3, len(self._rows[3]) - 1)

    def layer(self, colour: Tensor, opacity: Value, *regions: Region) -> None:
        """Put a colour, sRGB float32 [B, 3] or [3], on the product of regions, over all layers so far."""
        self._layers.append(regions)
        self._opacity.append(self._fill(opacity))
        self._colour.append(colour.expand(self._like.shape[0], 3))

    def finish(self, ground: Tensor) -> Painting:
        """Return the painting on a ground colour, sRGB float32 [B, 3]."""
        parts = [_ellipses(rows, hard) for rows, hard in ((self._rows[0], False), (self._rows[1], True)) if rows]
        if self._rows[2]:
            parts.append(_curves(self._rows[2]))
        if self._rows[3]:
            parts.append(torch.stack([torch.stack(row, -1) for row in self._rows[3]], 1))
        start = [0]
        for rows in self._rows:
            start.append(start[-1] + len(rows))
        layers = tuple(tuple(start[r.kind] + r.place for r in regions) for regions in self._layers)
        colour = torch.stack([*self._colour, ground], -1).square()
        return Painting(torch.cat(parts, 1), len(self._rows[0]), layers, torch.stack(self._opacity, 1), colour)


def _columns(like: Tensor, **terms: Tensor) -> Tensor:
    out = like.new_zeros((*like.shape, len(BASIS)))
    for name, value in terms.items():
        out[..., _COLUMN[name]] = value
    return out


def _ellipses(rows: list[list[Tensor]], hard: bool) -> Tensor:
    x, y, rx, ry, angle, shift, rough, soft = torch.stack([torch.stack(r, -1) for r in rows], 1).unbind(-1)
    c, s = angle.cos(), angle.sin()
    wx, wy = rx.square().reciprocal(), ry.square().reciprocal()
    aa, ay, yy = c * c * wx + s * s * wy, 2 * c * s * (wx - wy), s * s * wx + c * c * wy
    one = aa * x * x + ay * x * y + yy * y * y + aa * shift * shift
    gain = torch.sqrt(rx * ry) / (2 * soft) if hard else torch.ones_like(x)
    # |x| - x0 - shift·sign(x), squared: the mixed term is shift·(x - sign(x) x0)
    return _columns(
        x,
        one=gain * (1 - one) + (0.5 if hard else 0.0),
        a=gain * (2 * aa * x + ay * y),
        y=gain * (2 * yy * y + ay * x),
        aa=-gain * aa,
        ay=-gain * ay,
        yy=-gain * yy,
        x=gain * 2 * aa * shift,
        s=-gain * 2 * aa * shift * x,
        weave=gain * rough,
    )


def _curves(rows: list[list[Tensor]]) -> Tensor:
    sign, at, c0, c1, c2, c3, tilt, rough, soft = torch.stack([torch.stack(r, -1) for r in rows], 1).unbind(-1)
    gain = sign / soft
    return _columns(
        at,
        one=0.5 - gain * (c0 - c1 * at + c2 * at * at - c3 * at * at * at),
        a=-gain * (c1 - 2 * c2 * at + 3 * c3 * at * at),
        aa=-gain * (c2 - 3 * c3 * at),
        aaa=-gain * c3,
        y=gain,
        x=-gain * tilt,
        weave=rough / soft,
    )


def basis(x: Tensor, y: Tensor, z: Tensor, weave: Tensor, spots: Tensor, lines: Tensor) -> Tensor:
    """Return the basis at surface points, float32 [B, F, N]; each argument float32 [B, N]."""
    out = x.new_empty((x.shape[0], len(BASIS), x.shape[1]))
    one, a, y_, aa, ay, yy, aaa, x_, s, xy, sy, z_, zz, w, p, q = out.unbind(1)
    one.fill_(1)
    torch.abs(x, out=a)
    y_.copy_(y)
    torch.mul(x, x, out=aa)
    torch.mul(a, y, out=ay)
    torch.mul(y, y, out=yy)
    torch.mul(aa, a, out=aaa)
    x_.copy_(x)
    torch.sign(x, out=s)
    torch.mul(x, y, out=xy)
    torch.mul(s, y, out=sy)
    z_.copy_(z)
    torch.mul(z, z, out=zz)
    w.copy_(weave)
    p.copy_(spots)
    q.copy_(lines)
    return out


def apply(painting: Painting, at: Tensor) -> Tensor:
    """Paint a surface: basis at its points [B, F, N] → colour [B, 3, N] in linear light."""
    cover = torch.bmm(painting.regions, at).clamp_(0, 1)
    cover[:, : painting.bumps].square_()
    count = len(painting.layers)
    weight = cover.new_empty((cover.shape[0], count + 1, cover.shape[2]))
    left = weight[:, count]
    left.fill_(1)
    for place in range(count - 1, -1, -1):
        regions = painting.layers[place]
        share = weight[:, place]
        torch.mul(cover[:, regions[0]], painting.opacity[:, place, None], out=share)
        for other in regions[1:]:
            share.mul_(cover[:, other])
        share.mul_(left)
        left.sub_(share)
    return torch.bmm(painting.colour, weight)
