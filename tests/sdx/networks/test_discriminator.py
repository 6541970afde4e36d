"""The discriminator against a copy in plain steps, in float64, and what a GAN trainer asks of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, pad

from sdx.networks.discriminator import Convolution, Discriminator, group_deviation
from sdx.networks.stylegan2 import GeneratorConfig, low_pass

CONFIG = GeneratorConfig(16, z_dim=4, w_dim=4, mapping_layers=2, channel_base=64, channel_max=6)


def _discriminator() -> Discriminator:
    torch.manual_seed(1)
    discriminator = Discriminator(CONFIG).double()
    with torch.no_grad():
        for name, parameter in discriminator.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    return discriminator


def _plain(layer: Convolution, x: Tensor, gain: float = 1.0) -> Tensor:
    """FIR first, then the convolution, each by its definition."""
    size = layer.weight.shape[2]
    weight = layer.weight / math.sqrt(layer.weight.shape[1] * size**2)
    if layer.down == 2:
        taps = low_pass().double().expand(x.shape[1], 1, 4, 4)
        before, after = size // 2 + 1, size // 2 + 1
        x = conv2d(pad(x, (before, after, before, after)), taps, groups=x.shape[1])
        y = conv2d(x, weight)[:, :, ::2, ::2]
    else:
        y = conv2d(x, weight, padding=size // 2)
    if layer.bias is not None:
        y = y + layer.bias[:, None, None]
    if layer.act == "lrelu":
        y = leaky_relu(y, 0.2) * math.sqrt(2)
    return y * gain


def test_against_plain_steps() -> None:
    discriminator = _discriminator()
    image = torch.randn(8, 3, 16, 16).double()
    first = discriminator.get_submodule("b16.fromrgb")
    assert isinstance(first, Convolution)
    x = _plain(first, image)
    for block in discriminator.blocks():
        half = math.sqrt(0.5)
        x = _plain(block.skip, x, half) + _plain(block.conv1, _plain(block.conv0, x), half)
    x = _plain(discriminator.b4.conv, torch.cat([x, group_deviation(x)], 1)).flatten(1)
    fc, out = discriminator.b4.fc, discriminator.b4.out
    x = leaky_relu(x @ fc.weight.T / math.sqrt(fc.weight.shape[1]) + fc.bias, 0.2) * math.sqrt(2)
    wanted = x @ out.weight[0] / math.sqrt(out.weight.shape[1]) + out.bias[0]
    torch.testing.assert_close(discriminator(image), wanted, rtol=1e-11, atol=1e-11)


def test_names_of_weights_are_nvidias() -> None:
    names = set(_discriminator().state_dict())
    for name in ("b16.fromrgb.weight", "b16.conv0.bias", "b8.conv1.weight", "b8.skip.weight", "b4.conv.weight"):
        assert name in names
    assert {"b4.fc.weight", "b4.fc.bias", "b4.out.weight", "b4.out.bias"} <= names
    assert "b8.skip.bias" not in names
    assert "b8.fromrgb.weight" not in names


def test_group_deviation_by_hand() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 5, 2, 2).double()
    got = group_deviation(x)
    assert got.shape == (8, 1, 2, 2)
    for n in range(2):
        members = x[n::2]  # image n and every second one after it
        spread = members.var(0, unbiased=False).add(1e-8).sqrt().mean()
        for member in got[n::2]:
            torch.testing.assert_close(member, spread.expand(1, 2, 2))
    same = x[:1].expand(4, -1, -1, -1)
    torch.testing.assert_close(group_deviation(same), torch.full((4, 1, 2, 2), 1e-4).double())
    assert group_deviation(x[:3]).shape == (3, 1, 2, 2)


def test_second_order_gradients_for_r1() -> None:
    discriminator = _discriminator()
    image = torch.randn(4, 3, 16, 16).double().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(image).sum(), image, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in discriminator.named_parameters():
        if name.endswith("weight"):
            assert parameter.grad is not None, name
            assert bool(parameter.grad.any()), name
