"""Hair: where it grows on the scalp, what the hair shell shows, its colour and strands."""

from __future__ import annotations

import torch
from torch import Tensor

from sdx.simface.paint import Painter, Painting
from sdx.simface.traits import Traits, gate


def paint_hair(t: Traits, pixel: float) -> Painting:
    """Return where hair grows, white on black, so that its colour is coverage; `pixel` in decimetres.

    The same painting serves the scalp and the hair shell around it: no gap opens between the two.
    """
    p = Painter(t["yaw"], pixel)
    long = torch.sigmoid(2.2 * t["hair_length"])
    bald = t["bald"]
    fringe = gate(t["fringe"] + 0.35 * t["hair_length"] + 0.35 * t["hair_change"], 0.75, 1.6) * (1 - bald)
    line = 0.60 + 0.035 * t["hairline"] + 0.03 * t["forehead"] + 0.05 * t["head_height"] + 0.75 * bald.square()
    line = line * (1 - fringe) + (0.27 + 0.03 * t["hairline"]) * fringe
    recess = (0.10 + 0.05 * t["hair_peak"] + 0.10 * t["male"] + 0.2 * t["old"] * t["male"]).clamp(-0.15, 0.5)
    recess = recess * (1 - fringe)
    side_at = -0.20
    bend = (line + side_at + recess * 0.62) / 0.62**2 - 0.25 * fringe
    part = 0.26 * t["hair_part"] * (0.45 + 0.55 * fringe)
    curl = t["hair_curl"].clamp(min=0)
    rough = 0.007 + 0.009 * curl
    front = p.curve(False, 0.0, -line, -recess, bend, tilt=part, rough=rough, soft=2.6)
    # in profile: the hair starts behind this line, in front of the ear for short hair, over it for long
    start = 0.16 - 0.40 * bald + 0.22 * long + 0.02 * t["hair_peak"]
    lean = 0.62 - 0.50 * long
    side = p.poly(2.4, one=start, y=-lean, yy=-0.5 * (1 - long), z=-1.0, weave=rough)
    length = 0.22 + 1.38 * long
    end = p.poly(3.0, one=length, y=-1.0, weave=0.04)
    crown = p.poly(2.0, one=0.30 + 1.2 * (1 - bald), y=1.0)
    white = torch.ones_like(t["skin"])
    thin = 1 - 0.25 * bald
    p.layer(white, thin, front)
    p.layer(white, thin, side, end, crown)
    # ears stand out of short hair
    ear = p.poly(2.0, one=0.15 - 1.3 * 0.09**2 - 2.0 * 0.1**2, yy=-1.3, y=2.6 * 0.09, zz=-2.0, z=-4.0 * 0.1)
    p.layer(0 * white, (1.5 - 2.2 * long).clamp(0, 1), ear, p.poly(2.0, one=-0.655 - 0.026 * t["head_width"], a=1.0))
    return p.finish(torch.zeros_like(t["skin"]))


def shell_back(t: Traits) -> tuple[Tensor, Tensor]:
    """Return what of the shell's inside is seen behind the neck: its lower end in decimetres and its opacity, [B]."""
    long = torch.sigmoid(2.2 * t["hair_length"])
    return 0.22 + 1.38 * long, ((long - 0.25) * 4).clamp(0, 1)
