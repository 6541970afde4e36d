"""SimFace's latent: names of the standard-normal coordinates and the fixed map to physical values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sdx.errors import ConfigError

Nuisance = Literal["wild", "portrait"]
"""``wild`` = any pose, light and camera, equal group shares; ``portrait`` = frontal, sharp, unequal group shares."""

IDENTITY: tuple[str, ...] = (
    "ancestry_a", "ancestry_b", "dimorphism",
    "head_width", "head_height", "head_depth", "forehead", "cheekbone_width", "cheek_fullness", "weight",
    "jaw_width", "jaw_height", "chin_width", "chin_length", "chin_projection",
    "skin_tone", "skin_redness", "skin_warmth", "skin_mottle",
    "hair_shade", "hair_red", "hairline", "hair_peak", "hair_volume", "hair_length", "hair_curl", "hair_part", "fringe",
    "brow_height", "brow_thickness", "brow_arch", "brow_tilt", "brow_gap", "brow_ridge",
    "eye_spacing", "eye_width", "eye_opening", "eye_tilt", "eye_fold", "eye_depth", "iris_shade", "iris_hue",
    "nose_length", "nose_width", "nose_bridge", "nose_projection", "nose_tip",
    "mouth_width", "mouth_height", "upper_lip", "lower_lip", "lip_colour",
    "ear_size", "ear_angle",
    "asymmetry_tilt", "asymmetry_nose",
    "mark_x", "mark_y", "mark_size", "freckles",
)  # fmt: skip
"""Names of the identity coordinates, in order: what stays with a person."""


@dataclass(frozen=True)
class Range:
    """Mean and spread of a nuisance value in its own unit, for both worlds; `limit` spreads are never passed."""

    name: str
    wild: tuple[float, float]
    portrait: tuple[float, float]
    limit: float = 3.0


NUISANCES: tuple[Range, ...] = (
    Range("yaw", (0.0, 27.0), (0.0, 7.0)),  # degrees, positive = towards the image's right
    Range("pitch", (0.0, 10.0), (0.0, 4.0)),  # degrees, positive = upwards
    Range("roll", (0.0, 5.0), (0.0, 2.0)),  # degrees, what the alignment left over
    Range("shift_x", (0.0, 0.03), (0.0, 0.012)),  # decimetres
    Range("shift_y", (0.0, 0.03), (0.0, 0.012)),
    Range("zoom", (0.0, 0.035), (0.0, 0.015)),  # log scale
    Range("light_azimuth", (0.0, 48.0), (0.0, 24.0)),  # degrees
    Range("light_elevation", (28.0, 20.0), (30.0, 9.0)),  # degrees
    Range("light_contrast", (0.0, 1.0), (-0.5, 0.5)),
    Range("light_warmth", (0.0, 1.0), (0.0, 0.4)),
    Range("exposure", (0.10, 0.20), (0.08, 0.08)),  # log gain
    Range("smile", (0.2, 0.9), (0.4, 0.7)),
    Range("mouth_open", (-0.4, 0.9), (-0.7, 0.6)),
    Range("brow_raise", (0.0, 1.0), (0.0, 0.5)),
    Range("eye_closure", (0.0, 1.0), (-0.1, 0.5)),
    Range("gaze_x", (0.0, 1.0), (0.0, 0.4)),
    Range("gaze_y", (0.0, 1.0), (0.0, 0.4)),
    Range("age", (40.0, 15.0), (36.0, 10.0)),  # years
    Range("beard", (0.0, 1.0), (0.0, 0.8)),
    Range("make_up", (0.0, 1.0), (0.1, 0.9)),
    Range("glasses", (0.0, 1.0), (-0.4, 0.9)),
    Range("glasses_style", (0.0, 1.0), (0.0, 1.0)),
    Range("occlusion", (0.0, 1.0), (-0.2, 0.7)),
    Range("occlusion_place", (0.0, 1.0), (0.0, 1.0)),
    Range("background_hue", (0.0, 1.0), (0.0, 1.0)),
    Range("background_shade", (0.0, 1.0), (0.4, 0.7)),
    Range("background_slope", (0.0, 1.0), (0.0, 0.6)),
    Range("hair_change", (0.0, 1.0), (0.0, 0.6)),
    Range("capture_size", (0.0, 1.0), (1.4, 0.5)),  # see `capture.effective_size`
    Range("blur", (0.0, 1.0), (-1.0, 0.5)),
    Range("jpeg", (0.0, 1.0), (-1.2, 0.6)),
    Range("noise", (0.0, 1.0), (-1.0, 0.5)),
    Range("colour_cast", (0.0, 1.0), (0.0, 0.35)),
)
"""The nuisance coordinates, in order, behind the identity block: what changes from capture to capture."""

NAMES: tuple[str, ...] = IDENTITY + tuple(r.name for r in NUISANCES)
IDENTITY_SIZE = len(IDENTITY)
DIMENSION = len(NAMES)
POSITION = {name: i for i, name in enumerate(NAMES)}

GROUPS = 5
"""Number of phenotype groups."""

SHARES: dict[str, tuple[float, ...]] = {
    "wild": (0.2, 0.2, 0.2, 0.2, 0.2),
    "portrait": (0.46, 0.22, 0.15, 0.10, 0.07),
}
"""Expected share of each phenotype group."""

_IDENTITY_LIMIT = 2.8
_PURITY = 2.2  # how fast a group's traits take over away from the centre of the ancestry plane


def position(name: str) -> int:
    """Return the column of a coordinate; raises ConfigError for a name that is none."""
    if name not in POSITION:
        raise ConfigError(f"expected a SimFace coordinate, got {name!r}; choose one of {', '.join(NAMES)}")
    return POSITION[name]


def check(latent: Tensor, nuisance: str) -> None:
    """Raise ConfigError unless `latent` is float32 [B, DIMENSION] and `nuisance` names a world."""
    if nuisance not in SHARES:
        raise ConfigError(f"expected nuisance 'wild' or 'portrait', got {nuisance!r}; choose one of the two")
    if latent.ndim != 2 or latent.shape[1] != DIMENSION or latent.dtype != torch.float32:
        got = f"{latent.dtype} {list(latent.shape)}"
        raise ConfigError(
            f"expected a SimFace latent float32 [B, {DIMENSION}], got {got}; draw it with Population.latent"
        )


def coordinate(name: str, value: float, nuisance: Nuisance = "wild") -> float:
    """Return the normal coordinate at which nuisance `name` takes `value` (its own unit).

    Raises ConfigError for an unknown name or a value beyond the reach of the coordinate.
    """
    ranges = {r.name: r for r in NUISANCES}
    if name not in ranges:
        raise ConfigError(f"expected a SimFace nuisance, got {name!r}; choose one of {', '.join(ranges)}")
    entry = ranges[name]
    mean, spread = entry.wild if nuisance == "wild" else entry.portrait
    ratio = (value - mean) / (spread * entry.limit)
    if not -1 < ratio < 1:
        reach = f"{mean - spread * entry.limit:g}..{mean + spread * entry.limit:g}"
        raise ConfigError(f"expected {name} within {reach} ({nuisance}), got {value:g}; ask for less")
    return entry.limit * math.atanh(ratio)


def _table(nuisance: str) -> tuple[Tensor, Tensor, Tensor]:
    pairs = [r.wild if nuisance == "wild" else r.portrait for r in NUISANCES]
    mean = [0.0] * IDENTITY_SIZE + [p[0] for p in pairs]
    spread = [1.0] * IDENTITY_SIZE + [p[1] for p in pairs]
    limit = [_IDENTITY_LIMIT] * IDENTITY_SIZE + [r.limit for r in NUISANCES]
    return torch.tensor(mean), torch.tensor(spread), torch.tensor(limit)


_TABLES = {nuisance: _table(nuisance) for nuisance in SHARES}


def physical(latent: Tensor, nuisance: Nuisance) -> dict[str, Tensor]:
    """Map a latent to values by name, float32 [B] each.

    Identity values stay in (smoothly limited) standard deviations; nuisance values are in the unit of `NUISANCES`.
    Every value is finite and bounded for every finite latent.
    """
    mean, spread, limit = (t.to(latent) for t in _TABLES[nuisance])
    value = mean + spread * limit * torch.tanh(latent / limit)
    return dict(zip(NAMES, value.unbind(1), strict=True))


def _sector_angle(latent: Tensor, nuisance: str) -> Tensor:
    """Angle in the ancestry plane, warped so that group g fills [2πg/G, 2π(g+1)/G) with its share."""
    turn = torch.atan2(latent[:, POSITION["ancestry_b"]], latent[:, POSITION["ancestry_a"]]) / (2 * math.pi)
    turn = turn - torch.floor(turn)
    warped = torch.zeros_like(turn)
    start = 0.0
    for share in SHARES[nuisance]:
        warped = warped + ((turn - start) / share).clamp(0, 1) / GROUPS
        start += share
    return warped * (2 * math.pi)


def ancestry(latent: Tensor, nuisance: Nuisance) -> Tensor:
    """Return the mixing weights of the phenotype groups, float32 [B, GROUPS], rows sum to one.

    The two ancestry coordinates span a plane: its sectors are the groups, its centre is an even mixture.
    """
    angle = _sector_angle(latent, nuisance)
    a, b = latent[:, POSITION["ancestry_a"]], latent[:, POSITION["ancestry_b"]]
    radius = torch.sqrt(a * a + b * b).clamp(max=3.0)
    centre = (torch.arange(GROUPS, device=latent.device) + 0.5) * (2 * math.pi / GROUPS)
    return torch.softmax(_PURITY * radius[:, None] * torch.cos(angle[:, None] - centre), dim=1)


def group(latent: Tensor, nuisance: Nuisance) -> Tensor:
    """Return the phenotype group (that of the largest weight), int64 [B] in [0, GROUPS)."""
    return (_sector_angle(latent, nuisance) * (GROUPS / (2 * math.pi))).floor().clamp(0, GROUPS - 1).to(torch.int64)
