"""Noise by number in torch against the project's own host numbers and against published words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdx import _core
from sdx_kernels import KernelError, NoiseKey, modulated_conv2d
from sdx_kernels.random import normals, philox


def test_published_words() -> None:
    # Random123 1.14, kat_vectors, philox4x32 10: counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0.
    index = torch.tensor([0x13198A2E85A308D3])
    got = philox(0x299F31D0A4093822, 0x03707344, index, 4, offset=4 * 0x243F6A88)
    assert got.tolist() == [[0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]]


@pytest.mark.parametrize("offset", [0, 1, 16, 1023])
@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_the_host_draws_the_same(seed: int, offset: int) -> None:
    index = np.array([0, 5, 2**40 + 3, -2], np.int64)
    count = 4099
    words = _core.philox(seed, 3, index, offset + count)[:, offset:]
    assert np.array_equal(philox(seed, 3, torch.from_numpy(index), count, offset=offset).numpy(), words)
    wanted = _core.normals(seed, 3, index, offset + count)[:, offset:]
    assert np.array_equal(normals(seed, 3, torch.from_numpy(index), count, offset=offset).numpy(), wanted)


def test_strength_gets_a_gradient_and_no_image_depends_on_its_neighbours() -> None:
    strength = torch.tensor(0.5, requires_grad=True)
    key = NoiseKey(3, torch.arange(4), 3, offset=16, strength=strength)
    image = key.image(8, 8)
    assert image.shape == (4, 1, 8, 8)
    assert torch.equal(NoiseKey(3, torch.arange(2, 4), 3, offset=16, strength=0.5).image(8, 8), image[2:])
    (gradient,) = torch.autograd.grad(image.sum(), strength)
    torch.testing.assert_close(gradient, image.detach().sum() / 0.5)


def test_a_convolution_takes_a_key_for_its_noise() -> None:
    torch.manual_seed(0)
    x, weight, styles = torch.randn(2, 3, 4, 4), torch.randn(5, 3, 3, 3), torch.randn(2, 3)
    key = NoiseKey(9, torch.tensor([4, 2]), 3, strength=0.5)
    options = {"padding": 1, "act": "lrelu", "roi": (1, 0, 3, 4)}
    got = modulated_conv2d(x, weight, styles, noise=key, **options)  # type: ignore[arg-type]  # one dict, several types
    wanted = modulated_conv2d(x, weight, styles, noise=key.image(4, 4), **options)  # type: ignore[arg-type]  # as above
    assert torch.equal(got, wanted)
    with pytest.raises(KernelError, match=r"noise key with int64 index \[2\]"):
        modulated_conv2d(x, weight, styles, padding=1, noise=NoiseKey(9, torch.arange(3), 3))


def test_a_window_has_the_noise_of_the_whole() -> None:
    index = torch.tensor([4, 2**40])
    whole = NoiseKey(9, index, 3, offset=5, strength=0.5).image(6, 7)
    window = NoiseKey(9, index, 3, offset=5 + 2 * 7 + 3, strength=0.5, pitch=7)
    assert torch.equal(window.image(4, 3), whole[:, :, 2:6, 3:6])
    with pytest.raises(KernelError, match="expected a pitch of at least 8, the width drawn, got 7"):
        window.image(4, 8)


@pytest.mark.parametrize("roi", [None, (1, 2, 4, 3)])
def test_a_convolution_takes_a_window_of_the_noise(roi: tuple[int, int, int, int] | None) -> None:
    x, weight, styles = torch.randn(2, 3, 4, 4), torch.randn(5, 3, 3, 3), torch.randn(2, 3)
    key = NoiseKey(9, torch.tensor([4, 2]), 3, offset=11, strength=0.5, pitch=9)
    got = modulated_conv2d(x, weight, styles, noise=key, padding=1, roi=roi)
    assert torch.equal(got, modulated_conv2d(x, weight, styles, noise=key.image(4, 4), padding=1, roi=roi))
