"""The camera: sampling, noise, colour and JPEG against slow twins in float64."""

import math

import numpy as np
import torch

from sdx.simface import capture
from sdx.simface import parameters as p
from sdx.simface.traits import Traits, derive


def traits(**values: float) -> Traits:
    z = torch.zeros(1, p.DIMENSION)
    t = derive(z, "wild")
    for name, value in {
        "capture_size": 4.0,
        "blur": -4.0,
        "jpeg": -40.0,
        "noise": -40.0,
        "colour_cast": 0.0,
        **values,
    }.items():
        t[name] = torch.tensor([value])
    return t


def picture(seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(1, 3, 17, 17, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, 64, mode="bilinear")


def dct_block(block: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Quantise one 8x8 block by the textbook's double sum."""
    n = np.arange(8)
    c = np.where(n == 0, math.sqrt(0.5), 1.0)
    wave = np.cos((2 * n[None, :] + 1) * n[:, None] * np.pi / 16)
    spectrum = 0.25 * np.outer(c, c) * np.einsum("ux,vy,xy->uv", wave, wave, block)
    spectrum = np.round(spectrum / step) * step
    return 0.25 * np.einsum("ux,vy,uv->xy", wave, wave, np.outer(c, c) * spectrum)


def test_jpeg_is_the_textbooks() -> None:
    face = picture() * 2 - 1
    for quality in (20, 60, 90):
        got = capture.jpeg(face, torch.tensor([float(quality)]))[0].double().numpy()
        scale = 50 / quality if quality < 50 else 2 - 0.02 * quality
        r, g, b = face[0].double().numpy() * 127.5
        luma = 0.299 * r + 0.587 * g + 0.114 * b
        planes = [luma, (b - luma) / 1.772, (r - luma) / 1.402]
        tables = (capture._LUMA, capture._CHROMA, capture._CHROMA)
        for plane, table in zip(planes, tables, strict=True):
            step = np.clip(np.array(table, float).reshape(8, 8) * scale, 1, 255)
            for i in range(0, 64, 8):
                for j in range(0, 64, 8):
                    plane[i : i + 8, j : j + 8] = dct_block(plane[i : i + 8, j : j + 8], step)
        y, cb, cr = planes
        want = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb]) / 127.5
        # a coefficient on the edge between two steps may round either way
        assert (np.abs(got - want) > 1e-3).mean() < 0.01


def test_jpeg_loses_more_at_lower_quality() -> None:
    face = picture() * 2 - 1
    error = [float((capture.jpeg(face, torch.tensor([q])) - face).square().mean()) for q in (95.0, 75.0, 40.0, 10.0)]
    assert error == sorted(error)
    assert error[0] < 1e-3
    assert error[-1] > 5 * error[0]


def test_a_perfect_capture_is_the_scene() -> None:
    scene = picture()
    assert (capture.apply(scene, traits(), None) - (2 * scene - 1)).abs().max() < 0.08
    assert torch.allclose(capture.optics(traits(), 64), torch.eye(64)[None])


def test_optics_keep_brightness_and_lose_detail_with_the_size() -> None:
    stripes = (torch.arange(64) % 4 < 2).float()
    contrast = []
    for size in (60.0, 40.0, 28.0, 20.0):
        lens = capture.optics(traits(capture_size=(size - 53) / 13), 64)[0]
        assert torch.allclose(lens.sum(1), torch.ones(64), atol=1e-4)
        contrast.append(float((lens @ stripes)[8:-8].std()))
    assert contrast == sorted(contrast, reverse=True)
    assert contrast[-1] < 0.25 * contrast[0]
    blurred = capture.optics(traits(blur=3.0), 64)[0] @ stripes
    assert blurred[8:-8].std() < 0.5 * stripes.std()


def test_captured_size_limits_what_a_picture_can_hold() -> None:
    for size in (20, 32):
        values = torch.linalg.svdvals(capture.optics(traits(capture_size=(size - 53) / 13), 64)[0])
        assert (values > 1e-3).sum() <= size + 2


def test_grain_is_scaled_noise() -> None:
    grey = torch.full((1, 3, 64, 64), 0.5)
    grain = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    quiet, loud = (capture.apply(grey, traits(noise=n), grain) for n in (0.0, 3.0))
    assert 0.02 < quiet.std() < 0.06
    assert loud.std() > 2.5 * quiet.std()
    assert capture.apply(grey, traits(noise=3.0), None).std() < 1e-3


def test_colour_cast_warms_or_cools() -> None:
    grey = torch.full((1, 3, 64, 64), 0.5)
    warm, cool = (capture.apply(grey, traits(colour_cast=c), None).mean((0, 2, 3)) for c in (2.0, -2.0))
    assert warm[0] - warm[2] > 0.08
    assert cool[2] - cool[0] > 0.08
