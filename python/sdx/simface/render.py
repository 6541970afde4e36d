"""The SimFace renderer: latent → aligned face, as a camera would have caught it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdx.errors import ConfigError
from sdx.simface import accessories, anatomy, capture, hair, paint
from sdx.simface.features import paint_face
from sdx.simface.geometry import Surface, blend
from sdx.simface.light import shade
from sdx.simface.parameters import Nuisance, check
from sdx.simface.traits import Traits, derive

RENDERER_VERSION = 1
"""Part of every cache key of rendered pictures: raised whenever a pixel changes."""

HALF_WIDTH = 1.04
"""Half the width of the frame in decimetres: the eyes come to lie where ArcFace's five-point template has them."""

_CHUNK = 8  # pictures at a time: their planes stay in cache


@dataclass(frozen=True)
class _Scene:
    """Everything about the pictures that does not depend on pixels."""

    traits: Traits
    body: anatomy.Body
    face: paint.Painting
    growth: paint.Painting

    def slice(self, rows: slice) -> _Scene:
        traits = {name: value[rows] for name, value in self.traits.items()}
        return _Scene(traits, self.body.slice(rows), self.face.slice(rows), self.growth.slice(rows))


def render(latent: Tensor, *, size: int = 64, nuisance: Nuisance = "wild", grain: Tensor | None = None) -> Tensor:
    """Render faces, float32 [B, 3, size, size], RGB in [-1, 1], frame ``aligned``.

    Each picture depends on its own latent and grain alone, up to rounding of the last bits between batch sizes.

    Args:
        latent: float32 [B, DIMENSION], standard normal coordinates (`sdx.simface.parameters.NAMES`).
        size: side in pixels, a multiple of 8 in [16, 512].
        nuisance: ``wild`` or ``portrait``.
        grain: sensor noise, standard normals [B, 3, size, size]; None for a noiseless sensor.

    Raises:
        ConfigError: for arguments of another shape, type or range.
    """
    check(latent, nuisance)
    if not 16 <= size <= 512 or size % 8:
        raise ConfigError(f"expected a size in 16..512 that is a multiple of 8, got {size}; use 64")
    capture.check_grain(grain, latent.shape[0], size)
    out = torch.empty(
        (latent.shape[0], 3, size, size), device=latent.device
    )  # an ordinary tensor: students learn on it
    if not latent.shape[0]:
        return out
    with torch.inference_mode():
        plane = _plane(size, latent)
        # whole chunks alone: the shapes, and with them the order of every sum, are the same for any batch
        padded = torch.cat([latent, latent[:1].expand(-latent.shape[0] % _CHUNK, -1)])
        scene = _prepare(padded, nuisance, 2 * HALF_WIDTH / size)
        for start in range(0, latent.shape[0], _CHUNK):
            rows = slice(start, start + _CHUNK)
            part = scene.slice(rows)
            noise = None if grain is None else grain[rows]
            if noise is not None and len(noise) < _CHUNK:
                noise = torch.cat([noise, noise[:1].expand(_CHUNK - len(noise), -1, -1, -1)])
            picture = _draw(part, plane).view(_CHUNK, 3, size, size)
            out[rows] = capture.apply(picture, part.traits, noise)[: latent.shape[0] - start]
    return out


def _prepare(latent: Tensor, nuisance: Nuisance, pixel: float) -> _Scene:
    # In float64: a last bit that depends on a value's place in the batch is gone when the scene is rounded to float32.
    t = derive(latent.double(), nuisance)
    return _Scene(
        {name: value.float() for name, value in t.items()},
        anatomy.build(t),
        paint_face(t, pixel).single(),
        hair.paint_hair(t, pixel).single(),
    )


def _plane(size: int, like: Tensor) -> Tensor:
    step = 2 * HALF_WIDTH / size
    line = (torch.arange(size, device=like.device, dtype=torch.float32) + 0.5) * step - HALF_WIDTH
    y, x = (v.reshape(-1) for v in torch.meshgrid(line, line, indexing="ij"))
    return torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y])


def _head_points(pose: anatomy.Pose, plane: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Camera → head coordinates of a depth map, each [B, N]."""
    back = pose.turn / pose.zoom[:, None, None]  # rows of turnᵀ are its columns
    pin = pose.turn.new_tensor(anatomy.PIN)
    offset = pin - (back * pose.shift[:, :, None]).sum(1)
    flat = torch.stack([offset, back[:, 0], back[:, 1]], 2)  # [B, 3 (head axis), 3 (1, x, y)]
    point = flat @ plane[:3]
    point.addcmul_(back[:, 2, :, None], z[:, None])
    x, y, depth = point.unbind(1)
    return x, y, depth


def _basis(t: Traits, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """The painter's basis with this person's asymmetry and textures."""
    lean = t["asymmetry_tilt"][:, None]
    twist = t["asymmetry_nose"][:, None]
    # strands lean to a side and patterns start where the odd coordinates say: a mirrored person has mirrored textures
    slant, phase = torch.tanh(2 * lean + twist), 4 * lean
    curl = t["hair_curl"].clamp(min=0)[:, None]
    weave = torch.cos(x * 43 + y * (slant * (4 + 16 * curl)) + phase)
    weave.add_(torch.cos(x * (71 - 30 * curl) - y * (slant * (6 + 18 * curl)) + (9 + 20 * curl) * z * slant + phase))
    spots = torch.cos(x * 61 + y * (21 * slant) + phase).mul_(torch.cos(y * 53 - x * (17 * slant) + 2))
    lines = torch.cos(y * 50 + x * x * 4)
    xs = x + (0.022 * twist) * y - 0.006 * twist
    ys = y + (0.018 * lean) * x
    return paint.basis(xs, ys, z, weave, spots, lines)


def _draw(scene: _Scene, plane: Tensor) -> Tensor:
    """Draw the scene before the camera, [B, 3, N] sRGB in [0, 1]."""
    t, body = scene.traits, scene.body
    pixel = float(plane[1, 1] - plane[1, 0])
    skin, shell, torso = blend(body.skin, plane, 11.0), blend(body.hair, plane, 12.0), blend(body.torso, plane, 10.0)
    at_skin = _basis(t, *_head_points(body.pose, plane, skin.z))
    at_shell = _basis(t, *_head_points(body.pose, plane, shell.z))
    person = paint.apply(scene.face, at_skin)
    scalp = paint.apply(scene.growth, at_skin)[:, 0].clamp(0, 1)
    hair_shell = paint.apply(scene.growth, at_shell)[:, 0]
    weave = at_shell[:, paint.BASIS.index("weave")]

    skin_cover, shell_cover, torso_cover = (_coverage(surface, pixel) for surface in (skin, shell, torso))
    # where skin is in front of the shell (ears, the face below the hairline) the skin wins
    hair_shell.mul_(shell_cover).mul_(_before(shell, skin, skin_cover, 0.03))
    torso_cover.mul_(_before(torso, skin, skin_cover, 0.04))

    hair_colour = t["hair"].square()[:, :, None]
    picture = accessories.background(t, plane)
    end, seen = hair.shell_back(t)
    behind = shell_cover * (((end[:, None] + 0.1) - plane[2]) * (1 / 0.15)).clamp(0, 1) * seen[:, None]
    _over(picture, hair_colour * 0.22, behind)

    _over(person, hair_colour * 0.8, scalp)
    _over(person, accessories.cloth(t)[:, :, None], torso_cover)
    _over(person, hair_colour * weave.mul(0.10).add_(1.0)[:, None], hair_shell)
    slope_x = torch.lerp(torch.lerp(skin.slope_x, torso.slope_x, torso_cover), shell.slope_x, hair_shell)
    slope_y = torch.lerp(torch.lerp(skin.slope_y, torso.slope_y, torso_cover), shell.slope_y, hair_shell)
    bare = (1 - hair_shell) * (1 - torso_cover) * (1 - scalp)
    sheen = torch.maximum(hair_shell, scalp).mul_(weave * 0.25 + 0.6)
    shade(person, slope_x, slope_y, t, bare, sheen)
    _over(picture, person, 1 - (1 - skin_cover) * (1 - torso_cover) * (1 - hair_shell))

    front = torch.maximum(skin.z, torch.lerp(skin.z, shell.z, hair_shell))
    accessories.glasses(picture, t, body.pose, plane, front, pixel)
    accessories.occluder(picture, t, plane, pixel)
    gain = torch.exp(2 * t["exposure"])[:, None, None]
    return picture.mul_(gain).clamp_(0.0, 4.0).sqrt_().clamp_(max=1.0)


def _before(one: Surface, other: Surface, cover: Tensor, soft: float) -> Tensor:
    """How far `one` lies before `other` where that covers, [B, N] in [0, 1], over `soft` decimetres of depth."""
    return ((one.z - other.z) * (1 / soft) + 0.5).clamp_(0, 1).mul_(cover).add_(1 - cover)


def _coverage(surface: Surface, pixel: float) -> Tensor:
    return surface.inside.mul(1 / pixel).add_(0.5).clamp_(0, 1)


def _over(below: Tensor, colour: Tensor, amount: Tensor) -> None:
    """Blend `colour` [B, 3, N or 1] over `below` in place by amount [B, N]."""
    below.lerp_(colour.expand_as(below), amount[:, None].expand_as(below))
