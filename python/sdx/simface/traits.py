"""From a latent to the traits of a person at one moment: ancestry, sex, age and style resolved into plain values."""

from __future__ import annotations

import torch
from torch import Tensor

from sdx.simface.parameters import Nuisance, ancestry, physical

Traits = dict[str, Tensor]
"""Values by name, float32 [B]; colours are float32 [B, 3], sRGB in [0, 1]."""

# What the phenotype groups differ in, a row a group; in standard deviations but for the shades, which lie in [0, 1].
_GROUP_TRAITS = ("melanin", "hair_shade", "iris_shade", "eye_fold", "eye_tilt", "nose_width", "nose_projection", "lips",
                 "hair_curl", "head_width", "brow_ridge")  # fmt: skip
_GROUP_TABLE = (
    (0.10, 0.62, 0.75, -0.6, -0.2, -0.6, 0.6, -0.5, -0.2, -0.4, 0.3),
    (0.34, 0.26, 0.34, -0.2, 0.1, 0.0, 0.7, 0.0, 0.3, 0.0, 0.3),
    (0.22, 0.06, 0.08, 1.6, 0.9, 0.3, -0.9, 0.0, -0.9, 0.8, -0.8),
    (0.58, 0.08, 0.12, 0.0, 0.1, 0.3, 0.3, 0.3, 0.2, -0.2, 0.1),
    (0.86, 0.03, 0.05, 0.1, 0.0, 1.5, -0.6, 1.3, 1.7, 0.1, 0.0),
)

_SKIN = ((243, 208, 188), (228, 184, 152), (198, 146, 106), (142, 94, 64), (80, 52, 39))
_HAIR = ((20, 17, 17), (44, 31, 25), (82, 56, 39), (130, 96, 64), (198, 164, 112))
_IRIS = ((40, 25, 18), (84, 54, 32), (112, 94, 58), (96, 118, 92), (98, 132, 162))


def ramp(stops: tuple[tuple[int, int, int], ...], at: Tensor) -> Tensor:
    """Interpolate linearly between equidistant sRGB colours; at float32 [B] in [0, 1] → float32 [B, 3] in [0, 1]."""
    table = torch.tensor(stops, dtype=at.dtype, device=at.device) / 255
    knots = torch.arange(len(stops), device=at.device)
    hats = (1 - (at.clamp(0, 1)[:, None] * (len(stops) - 1) - knots).abs()).clamp(min=0)
    return hats @ table


def mix(a: Tensor, b: Tensor | tuple[float, float, float], amount: Tensor) -> Tensor:
    """Blend two colours [B, 3] by amount [B] in [0, 1]."""
    other = b if isinstance(b, Tensor) else a.new_tensor(b)
    return a + (other - a) * amount[:, None]


def gate(z: Tensor, threshold: float, slope: float = 6.0) -> Tensor:
    """Return 0 below the threshold, 1 a little above it: presence of a thing that is there or not."""
    return ((z - threshold) * slope).clamp(0, 1)


def derive(latent: Tensor, nuisance: Nuisance) -> Traits:
    """Return the traits of every picture; raises nothing, all values are bounded."""
    t = physical(latent, nuisance)
    weights = ancestry(latent, nuisance)
    table = torch.tensor(_GROUP_TABLE, dtype=latent.dtype, device=latent.device)
    g = dict(zip(_GROUP_TRAITS, (weights @ table).unbind(1), strict=True))

    male = torch.tanh(1.8 * t["dimorphism"])
    t["male"] = male
    years = t["age"]
    t["youth"] = ((26 - years) / 18).clamp(0, 1)
    t["old"] = ((years - 34) / 45).clamp(0, 1)

    for name in ("eye_fold", "eye_tilt", "nose_width", "nose_projection", "hair_curl", "head_width", "brow_ridge"):
        t[name] = 0.8 * t[name] + g[name]
    t["brow_ridge"] = t["brow_ridge"] + 0.8 * male
    t["upper_lip"] = t["upper_lip"] + 0.9 * g["lips"] - 0.35 * male - 1.0 * t["old"]
    t["lower_lip"] = t["lower_lip"] + 0.9 * g["lips"] - 0.25 * male - 0.7 * t["old"]
    t["jaw_width"] = t["jaw_width"] + 0.8 * male - 0.8 * t["youth"]
    t["chin_width"] = t["chin_width"] + 0.6 * male
    t["chin_length"] = t["chin_length"] + 0.4 * male - 0.8 * t["youth"]
    t["brow_thickness"] = t["brow_thickness"] + 0.7 * male - 0.5 * t["old"]
    t["brow_height"] = t["brow_height"] - 0.5 * male + 0.4 * t["brow_raise"]
    t["weight"] = t["weight"] + 1.1 * (t["old"] - 0.3) * (1 - t["old"]) * 2
    t["cheek_fullness"] = t["cheek_fullness"] + 1.2 * t["youth"] - 1.5 * t["old"]
    t["nose_length"] = t["nose_length"] + 1.1 * t["old"] - 0.7 * t["youth"] + 0.2 * male
    t["ear_size"] = t["ear_size"] + 1.1 * t["old"] - 0.3 * t["youth"]
    t["eye_width"] = t["eye_width"] + 0.8 * t["youth"] - 0.2 * male
    t["eye_opening"] = t["eye_opening"] + 0.5 * t["youth"] - 1.0 * t["old"] - 0.2 * male

    melanin = g["melanin"] + 0.065 * t["skin_tone"] + 0.015 * male
    skin = ramp(_SKIN, melanin)
    red = (0.020 * t["skin_redness"])[:, None] * skin.new_tensor([1.0, -0.7, -0.5])
    warm = (0.018 * t["skin_warmth"])[:, None] * skin.new_tensor([0.3, 0.25, -1.2])
    skin = (skin * (1 + 1.6 * (red + warm)) * (1 - 0.05 * t["old"][:, None])).clamp(0.05, 0.97)
    t["melanin"] = melanin
    t["skin"] = skin

    shade = g["hair_shade"] * (1 + 0.35 * t["hair_shade"] + 0.08 * t["youth"]) + 0.03 * t["hair_shade"]
    hair = ramp(_HAIR, shade)
    fair = (g["hair_shade"] * 2).clamp(0, 1)
    hair = mix(hair, (0.58, 0.27, 0.12), 0.6 * gate(t["hair_red"], 0.7, 0.8) * fair)
    grey = ((years - 46 + 5 * t["hair_red"]) / 26).clamp(0, 0.92)
    t["grey"] = grey
    t["hair"] = mix(hair, (0.72, 0.71, 0.70), grey)
    t["brow"] = mix(mix(hair, (0.10, 0.07, 0.06), torch.full_like(grey, 0.35)), (0.55, 0.53, 0.52), 0.6 * grey)

    iris = g["iris_shade"] * (1 + 0.45 * t["iris_shade"]) + 0.04 * t["iris_shade"]
    iris_colour = ramp(_IRIS, iris)
    t["iris"] = (iris_colour * (1 + 0.10 * t["iris_hue"][:, None] * skin.new_tensor([-0.4, 0.5, 0.8]))).clamp(0.03, 0.9)

    t["hair_length"] = t["hair_length"] * 0.7 - 1.15 * male + 0.55 * t["hair_change"] - 0.5 * t["old"] * (0.3 + male)
    t["bald"] = gate(0.55 * t["hairline"] + 0.55 * male + 1.3 * t["old"], 1.0, 0.9)
    growth = t["beard"] + 0.9 * male + 0.25 * t["hair_peak"] - 0.6 * t["youth"]
    t["bearded"] = gate(growth, 0.95, 1.0) * gate(male, 0.0, 4.0)
    t["stubble"] = gate(male, 0.1, 2.0) * (1 - t["youth"])
    t["painted"] = gate(t["make_up"] - 1.0 * male, 0.4, 1.0)
    t["spectacles"] = gate(t["glasses"] + 0.35 * t["old"], 0.95, 8.0)
    return t
