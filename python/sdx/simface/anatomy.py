"""Where the parts of a head lie: traits → ellipsoids of skin, hair and torso in camera coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdx.simface.geometry import Quadrics, project, rotation
from sdx.simface.traits import Traits

Vector = tuple[Tensor | float, Tensor | float, Tensor | float]

# Landmark centre (between eyes, nose tip and mouth) that the aligned crop pins, and where it pins it. Head
# coordinates: x right, y down, z forward, decimetres, origin between the eyes at the depth of the ear canals.
PIN = (0.0, 0.36, 0.86)
PIN_Y = 0.225
PIVOT = (0.0, 0.75, -0.25)
"""Top of the neck: the body hangs here."""


@dataclass(frozen=True)
class Pose:
    """How the head sits in the camera: camera = zoom · turn · (head - PIN) + shift."""

    turn: Tensor  # float32 [B, 3, 3]
    shift: Tensor  # float32 [B, 3]
    zoom: Tensor  # float32 [B]

    def slice(self, rows: slice) -> Pose:
        """Return that of some pictures."""
        return Pose(self.turn[rows], self.shift[rows], self.zoom[rows])


@dataclass(frozen=True)
class Body:
    """Quadrics of everything solid, and the pose they share."""

    pose: Pose
    skin: Quadrics
    hair: Quadrics
    torso: Quadrics

    def slice(self, rows: slice) -> Body:
        """Return that of some pictures."""
        return Body(self.pose.slice(rows), self.skin.slice(rows), self.hair.slice(rows), self.torso.slice(rows))


class _Parts:
    """Collects ellipsoids given in head coordinates."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._rows: list[list[Tensor]] = []

    def _fill(self, value: Tensor | float) -> Tensor:
        return value if isinstance(value, Tensor) else torch.full_like(self._like, value)

    def add(self, centre: Vector, radius: Vector, *, nod: Tensor | float = 0.0, swing: Tensor | float = 0.0) -> None:
        """Add an ellipsoid turned by `nod` about x, then by `swing` about y (radians)."""
        self._rows.append([self._fill(v) for v in (*centre, *radius, swing, nod)])

    def pair(self, centre: Vector, radius: Vector, *, nod: Tensor | float = 0.0, swing: Tensor | float = 0.0) -> None:
        """Add an ellipsoid and its mirror image."""
        self.add(centre, radius, nod=nod, swing=swing)
        self.add((-1 * centre[0], centre[1], centre[2]), radius, nod=nod, swing=-1 * swing)

    def project(self, frame: Tensor, origin: Tensor, zoom: Tensor) -> Quadrics:
        """Project with camera = zoom · frame · p + origin."""
        rows = torch.stack([torch.stack(row, -1) for row in self._rows], 1)
        count = rows.shape[1]
        swing, nod = rows[..., 6].reshape(-1), rows[..., 7].reshape(-1)
        local = rotation(swing, nod, torch.zeros_like(nod)).view(-1, count, 3, 3)
        centre = (frame[:, None] @ rows[..., :3, None])[..., 0] * zoom[:, None, None] + origin[:, None]
        return project(centre, frame[:, None] @ local, rows[..., 3:6] * zoom[:, None, None])


def _skin(t: Traits) -> _Parts:
    p = _Parts(t["yaw"])
    wide = 0.026 * t["head_width"] + 0.012 * t["weight"]
    jaw = 0.034 * t["jaw_width"] + 0.022 * t["weight"]
    full = 0.030 * t["cheek_fullness"] + 0.030 * t["weight"] + 0.02 * t["smile"]
    high = 0.035 * t["head_height"]
    chin_y = 0.90 + 0.042 * t["chin_length"] + 0.05 * t["mouth_open"].clamp(min=0)
    nose_y = 0.38 + 0.036 * t["nose_length"]
    nose_z = 0.875 + 0.042 * t["nose_projection"]
    tip = 0.120 + 0.012 * t["nose_width"]
    bridge = 0.02 * t["nose_bridge"] + 0.022 * t["nose_projection"]
    ear = 1 + 0.10 * t["ear_size"]
    flare = 0.38 + 0.16 * t["ear_angle"]
    # skull, mid face, jaw
    p.add((0, -0.34 - high, -0.10), (0.735 + wide, 0.84 + high, 0.95 + 0.03 * t["head_depth"] + 0.02 * t["forehead"]))
    p.add((0, 0.20, 0.17), (0.615 + wide, 0.86, 0.69))
    p.add((0, 0.58 + 0.02 * t["jaw_height"], 0.15), (0.515 + jaw, 0.50 + 0.02 * t["jaw_height"], 0.59))
    p.add((0, chin_y, 0.47 + 0.045 * t["chin_projection"]), (0.28 + 0.035 * t["chin_width"], 0.25, 0.30))
    p.pair((0.27 + 0.02 * t["cheekbone_width"] + wide, 0.19, 0.40), (0.32, 0.30, 0.36 + 0.02 * t["cheekbone_width"]))
    p.pair((0.19 + 0.3 * jaw, 0.56, 0.33), (0.30 + full, 0.42, 0.37 + full))
    # brow ridge, muzzle
    p.add((0, -0.22, 0.50 + 0.022 * t["brow_ridge"]), (0.52, 0.20, 0.335))
    p.add((0, 0.70, 0.47), (0.36, 0.34, 0.365))
    # nose: bridge, tip, wings
    p.add((0, 0.13 + 0.4 * (nose_y - 0.38), 0.745 + bridge), (0.10, 0.40, 0.165), nod=0.30)
    p.add((0, nose_y + 0.015 - 0.02 * t["nose_tip"], nose_z), (tip, 0.135, 0.165), nod=0.15 * t["nose_tip"])
    p.pair((0.115 + 0.026 * t["nose_width"], nose_y + 0.055, 0.78 + 0.02 * t["nose_projection"]),
           (0.080 + 0.006 * t["nose_width"], 0.082, 0.13))  # fmt: skip
    # ears, neck
    p.pair((0.675 + wide + 0.10 * flare, 0.09, -0.10), (0.065, 0.30 * ear, 0.19 * ear), swing=-flare, nod=-0.12)
    neck = 0.44 + 0.05 * t["male"] + 0.03 * t["weight"]
    p.add((0, 1.25, -0.22), (neck, 1.1, neck), nod=-0.15)
    return p


def _hair(t: Traits) -> _Parts:
    p = _Parts(t["yaw"])
    wide = 0.026 * t["head_width"]
    high = 0.035 * t["head_height"]
    long = torch.sigmoid(2.2 * t["hair_length"])
    curl = t["hair_curl"].clamp(min=0)
    top = (0.09 + 0.05 * t["hair_volume"] + 0.05 * curl + 0.05 * long) * (1 - 0.75 * t["bald"])
    side = (0.015 + 0.02 * t["hair_volume"] + 0.05 * curl + 0.07 * long) * (1 - 0.5 * t["bald"])
    p.add((0, -0.36 - high, -0.13), (0.745 + wide + side, 0.84 + high + top, 0.96 + 0.03 * t["head_depth"] + 0.7 * top))
    # the fall of long hair, behind face and neck; short hair keeps it inside the head
    p.add(
        (0, -0.02 + 0.40 * long, -0.26 - 0.04 * long),
        (0.66 + wide + 1.3 * side + 0.06 * long, 0.86 + 0.75 * long, 0.62),
    )
    return p


def build(t: Traits) -> Body:
    """Pose the head of every picture and project its ellipsoids; the result is float32 whatever the traits are."""
    radians = math.pi / 180
    turn = rotation(t["yaw"] * radians, t["pitch"] * radians, t["roll"] * radians)
    zoom = torch.exp(t["zoom"])
    zero = torch.zeros_like(zoom)
    shift = torch.stack([t["shift_x"], t["shift_y"] + PIN_Y, zero], 1)
    origin = shift - (turn @ turn.new_tensor(PIN)) * zoom[:, None]
    # the body follows the head by a third
    half = rotation(t["yaw"] * (0.35 * radians), zero, t["roll"] * (0.3 * radians))
    pivot = (turn @ turn.new_tensor(PIVOT)) * zoom[:, None] + origin
    body = pivot - (half @ half.new_tensor(PIVOT)) * zoom[:, None]
    torso = _Parts(zoom)
    broad = 1.75 + 0.18 * t["male"] + 0.06 * t["weight"]
    torso.add((0, 2.45, -0.35), (broad, 0.98, 0.80))
    return Body(
        Pose(turn.float(), shift.float(), zoom.float()),
        _skin(t).project(turn, origin, zoom).single(),
        _hair(t).project(turn, origin, zoom).single(),
        torso.project(half, body, zoom).single(),
    )
