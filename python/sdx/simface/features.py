"""The face as a painter sees it: eyes, brows, nose, mouth, skin, beard and make-up in head coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from sdx.simface.paint import Painter, Painting
from sdx.simface.traits import Traits, mix


def paint_face(t: Traits, pixel: float) -> Painting:
    """Return the painting of the skin surface; `pixel` in decimetres."""
    p = Painter(t["yaw"], pixel)
    skin = t["skin"]
    shade = skin * skin.new_tensor([0.66, 0.53, 0.50])
    _skin(p, t, skin, shade)
    _nose(p, t, shade)
    _mouth(p, t, skin, shade)
    _beard(p, t)
    _eyes(p, t, skin, shade)
    _brows(p, t)
    return p.finish(skin)


def _skin(p: Painter, t: Traits, skin: Tensor, shade: Tensor) -> None:
    old, weight = t["old"], t["weight"]
    red = (skin * skin.new_tensor([1.03, 0.74, 0.72])).clamp(max=1)
    pale = mix(skin, (1.0, 0.95, 0.9), torch.full_like(old, 0.25))
    p.layer(red, 0.40 + 0.10 * t["skin_redness"] + 0.12 * t["youth"], p.bump(0.36, 0.36, 0.30, 0.28))
    p.layer(red, 0.25 + 0.12 * t["skin_redness"], p.bump(0.0, 0.40, 0.20, 0.20))
    p.layer(pale, 0.35, p.bump(0.0, -0.36, 0.42, 0.25))
    p.layer(shade, 0.10 + 0.5 * old, p.poly(one=-0.35, lines=0.9), p.bump(0.0, -0.38, 0.45, 0.26))
    p.layer(shade, 0.45 * (t["freckles"] - 0.7).clamp(0, 1.3) * (1 - t["melanin"]).clamp(0.15, 1),
            p.poly(one=-0.5, spots=1.6), p.bump(0.0, 0.22, 0.62, 0.5))  # fmt: skip
    p.layer(shade, (0.05 * t["skin_mottle"]).abs() + 0.03, p.poly(one=0.1, spots=0.9))
    # under the chin, and hollow cheeks
    p.layer(shade * 0.75, 0.75, p.poly(one=-4.6, y=4.6), p.poly(one=1.9, z=-3.2))
    hollow = (0.22 - 0.10 * weight - 0.10 * t["cheek_fullness"] + 0.05 * t["cheekbone_width"]).clamp(0.02, 0.6)
    p.layer(shade, hollow, p.bump(0.50, 0.55, 0.17, 0.34, -0.35))
    # fold from nose to mouth corner
    fold = (0.10 + 0.35 * old + 0.14 * t["smile"]).clamp(0.03, 0.7)
    p.layer(shade, fold, p.curve(True, 0.19, 0.38, 2.6, soft=4.0), p.curve(False, 0.14, 0.40, 2.6, soft=4.0),
            p.bump(0.25, 0.58, 0.16, 0.26))  # fmt: skip
    # inside of the ear
    p.layer(shade * 0.8, 0.75, p.poly(one=0.55, z=-7.0, zz=-55.0, yy=-13.0, y=2.6), p.poly(1.0, one=-0.68, a=1.0))
    size = 0.024 + 0.010 * t["mark_size"].clamp(min=0)
    mx, my = 0.22 * t["mark_x"], 0.35 + 0.22 * t["mark_y"]
    w = size.square().reciprocal()
    gain = size / (2 * 0.034)
    mark = p.poly(one=0.5 + gain * (1 - w * (mx * mx + my * my)), x=gain * 2 * w * mx, y=gain * 2 * w * my,
                  aa=-gain * w, yy=-gain * w)  # fmt: skip
    p.layer(shade * 0.55, (0.5 + 0.45 * t["mark_size"]).clamp(0.05, 0.95), mark)


def _nose(p: Painter, t: Traits, shade: Tensor) -> None:
    y = 0.38 + 0.036 * t["nose_length"]
    wide = 0.026 * t["nose_width"]
    p.layer(shade, 0.32 + 0.06 * t["nose_projection"], p.bump(0.145 + 0.5 * wide, y - 0.20, 0.10, 0.26, 0.22))
    p.layer(shade * 0.85, 0.50, p.bump(0.0, y + 0.165, 0.22 + wide, 0.09))
    p.layer(shade * 0.8, 0.55, p.bump(0.200 + wide, y + 0.05, 0.045, 0.10, -0.15))
    up = 0.012 * t["nose_tip"]
    p.layer(
        shade * 0.33,
        0.85,
        p.ellipse(0.072 + 0.7 * wide, y + 0.105 - up, 0.042 + 0.3 * wide, 0.020 + 0.5 * up.clamp(min=0), 0.25),
    )


def _mouth(p: Painter, t: Traits, skin: Tensor, shade: Tensor) -> None:
    smile, opened = t["smile"].clamp(min=-1), t["mouth_open"].clamp(min=0)
    y = 0.715 + 0.023 * t["mouth_height"]
    half = 0.225 + 0.025 * t["mouth_width"] + 0.028 * smile
    bend = (0.15 - 0.55 * smile) / (1 + 0.2 * opened)
    upper = (0.062 + 0.016 * t["upper_lip"] - 0.010 * smile).clamp(min=0.015)
    lower = (0.082 + 0.017 * t["lower_lip"] - 0.008 * smile).clamp(min=0.02)
    gap = 0.012 + 0.085 * opened + 0.03 * (smile - 0.9).clamp(min=0)
    inv = half.square().reciprocal()
    lip = mix(skin * skin.new_tensor([0.86, 0.60, 0.58]), (0.62, 0.20, 0.22), 0.20 + 0.09 * t["lip_colour"])
    lip = mix(lip, (0.70, 0.10, 0.16), 0.65 * t["painted"])
    bow = 0.14 + 0.03 * t["upper_lip"]
    top = p.curve(True, 0.0, y - upper, -bow, bend + upper * inv + bow / half)
    between = p.curve(False, 0.0, y + 0.004, 0.0, bend)
    under = p.curve(True, 0.0, y, 0.0, bend)
    bottom = p.curve(False, 0.0, y + gap + lower, 0.0, bend - (lower + gap) * inv)
    inner = p.curve(False, 0.0, y + gap, 0.0, bend - gap * inv)
    ends = p.ellipse(0.0, y + bend * half * half * 0.5, half * 1.04, 0.40)
    p.layer(shade * 0.85, 0.50, p.bump(0.0, y + gap + lower + 0.055, 0.20, 0.07))
    p.layer(shade, 0.30, p.bump(half + 0.02, y + bend * half * half, 0.07, 0.08))
    p.layer(lip, 0.85, under, bottom, ends)
    p.layer((lip * 1.18).clamp(max=1), 0.35, p.bump(0.0, y + gap + 0.5 * lower, 0.14, 0.035))
    p.layer(lip * 0.80, 0.85, top, between, ends)
    p.layer(skin.new_tensor([0.20, 0.07, 0.07]), 0.92, under, inner, ends)
    teeth = gap * 0.55 * (opened + smile - 0.5).clamp(0, 1)
    p.layer(skin.new_tensor([0.88, 0.84, 0.78]), (opened + smile - 0.5).clamp(0, 1) * 0.9, under, inner,
            p.curve(False, 0.0, y + teeth, 0.0, bend - teeth * inv), p.bump(0.0, y, half * 1.05, 0.3))  # fmt: skip


def _beard(p: Painter, t: Traits) -> None:
    hair = mix(t["hair"] * 0.85, (0.55, 0.54, 0.53), 0.45 * t["grey"])
    skin = t["skin"]
    y = 0.715 + 0.023 * t["mouth_height"]
    jaw = p.curve(True, 0.0, y + 0.17, 0.25, -2.1, rough=0.02, soft=4.0)
    front = p.poly(2.0, one=0.05, z=1.0)
    moustache = p.ellipse(0.0, y - 0.125, 0.27, 0.07, rough=0.12, soft=2.2)
    low = p.poly(2.0, one=1.42, y=-1.0)
    blue = skin * skin.new_tensor([0.78, 0.74, 0.75])
    p.layer(blue, 0.40 * t["stubble"], jaw, front, low)
    p.layer(blue, 0.40 * t["stubble"], moustache)
    p.layer(hair, 0.88 * t["bearded"], jaw, front, low)
    p.layer(hair, 0.85 * (t["bearded"] * 1.5).clamp(max=1), moustache)


def _eyes(p: Painter, t: Traits, skin: Tensor, shade: Tensor) -> None:
    at = 0.318 + 0.017 * t["eye_spacing"]
    half = 0.150 + 0.013 * t["eye_width"]
    inv = half.square().reciprocal()
    closed = (t["eye_closure"] + 0.25 * t["smile"] - 0.6).clamp(0, 2.6) * 0.024
    up = (0.058 + 0.011 * t["eye_opening"] - closed).clamp(min=0.012)
    down = (0.037 + 0.004 * t["eye_opening"] - 0.010 * t["smile"].clamp(min=0)).clamp(min=0.012)
    tilt = -0.07 - 0.055 * t["eye_tilt"]
    skew = -0.25 * up * inv / half * 0.6
    fold = t["eye_fold"]
    lid = (0.040 - 0.010 * fold + 0.02 * closed).clamp(0.012, 0.09)
    dark = skin.new_tensor([0.10, 0.07, 0.06])
    deep = 0.36 + 0.13 * t["eye_depth"] - 0.12 * fold + 0.06 * t["brow_ridge"]
    p.layer(shade, deep.clamp(0.05, 0.8), p.bump(at - 0.03, -0.075, 0.27, 0.16, -0.1))
    p.layer(
        shade * 0.9, (0.38 - 0.10 * fold + 0.06 * t["eye_depth"]).clamp(0.05, 0.7), p.bump(at - 0.17, -0.01, 0.08, 0.14)
    )
    p.layer(
        shade,
        (0.22 + 0.40 * t["old"] + 0.05 * t["eye_depth"]).clamp(0.02, 0.8),
        p.bump(at - 0.01, 0.115, 0.19, 0.075, 0.08),
    )
    p.layer(
        mix(shade, (0.35, 0.22, 0.30), torch.full_like(at, 0.55)),
        0.6 * t["painted"],
        p.bump(at, -0.06, 0.23, 0.11, -0.15),
    )
    crease = (0.62 - 0.45 * fold.clamp(min=-0.5)).clamp(0.05, 0.8)
    p.layer(shade * 0.62, crease, p.curve(True, at, -up - lid - 0.016, tilt, 0.7 * up * inv),
            p.curve(False, at, -up - lid + 0.014, tilt, 0.7 * up * inv),
            p.bump(at, -0.06, half * 1.25, 0.16))  # fmt: skip
    lash = 0.020 + 0.016 * t["painted"] - 0.006 * t["male"]
    above = p.curve(True, at, -up - lash, tilt, (up + 0.6 * lash) * inv, skew)
    beneath = p.curve(False, at, down + 0.008, tilt, -(down + 0.004) * inv)
    around = p.ellipse(at, 0.0, half * 1.06, 0.3)
    p.layer(dark, 0.75 + 0.15 * t["painted"], above, p.curve(False, at, 0.3 * down, tilt, -0.3 * down * inv), around)
    p.layer(mix(shade, (0.75, 0.45, 0.42), torch.full_like(at, 0.4)), 0.55, beneath, above, around)
    lids = (p.curve(True, at, -up, tilt, up * inv, skew), p.curve(False, at, down, tilt, -down * inv))
    p.layer(skin.new_tensor([0.87, 0.84, 0.81]), 0.92, *lids, around)
    gx, gy = 0.030 * t["gaze_x"], -0.004 + 0.010 * t["gaze_y"]
    iris = p.ellipse(at, gy, 0.061, 0.061, shift=gx)
    p.layer(t["iris"] * 0.45, 1.0, iris, *lids, around)
    p.layer((t["iris"] * 1.15).clamp(max=1), 0.95, p.ellipse(at, gy + 0.004, 0.050, 0.050, shift=gx), *lids, around)
    p.layer(dark * 0.3, 0.95, p.ellipse(at, gy, 0.027, 0.027, shift=gx), *lids, around)
    # the brow's shadow on the eyeball, and the light's reflection on it
    p.layer(dark, 0.40, p.curve(False, at, -up + 0.022, tilt, up * inv, skew), *lids, around)
    side = 0.022 * torch.sin(t["light_azimuth"] * 0.0175)
    p.layer(torch.ones_like(skin), 0.8, p.ellipse(at, gy - 0.022, 0.017, 0.017, shift=gx + side), *lids, around)


def _brows(p: Painter, t: Traits) -> None:
    at = 0.325 + 0.020 * t["brow_gap"]
    y = -0.208 - 0.025 * t["brow_height"] - 0.03 * t["brow_raise"].clamp(min=-1)
    thick = (0.050 + 0.015 * t["brow_thickness"]).clamp(min=0.022)
    length = 0.225
    arch = 0.75 + 0.45 * t["brow_arch"]
    slope = -0.02 - 0.09 * t["brow_tilt"] - 0.06 * t["eye_tilt"].clamp(min=-1, max=1)
    rise = -1.6 - 0.8 * arch.clamp(min=-0.5)
    inv = 1 / length**2
    upper = p.curve(True, at, y - 0.55 * thick, slope, arch + 0.75 * thick * inv, -rise, rough=0.005, soft=1.3)
    lower = p.curve(False, at, y + 0.45 * thick, slope, arch - 0.35 * thick * inv, -rise, rough=0.005, soft=1.3)
    ends = p.ellipse(at + 0.01, y, length + 0.02, 0.4, soft=1.6)
    density = 0.74 + 0.09 * t["brow_thickness"] - 0.2 * t["grey"] + 0.1 * t["painted"]
    p.layer(t["brow"], density.clamp(0.25, 0.95), upper, lower, ends)
