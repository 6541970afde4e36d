"""The generator against a copy that builds every sample's weights, in float64, and NVIDIA's published facts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from peers import original
from sdx.errors import ConfigError
from sdx.networks.stylegan2 import Generator, GeneratorConfig, normalise_z

TINY = GeneratorConfig(16, z_dim=12, w_dim=10, mapping_layers=2, channel_base=96, channel_max=8, conv_clamp=2.0)


def _tiny(config: GeneratorConfig = TINY) -> Generator:
    torch.manual_seed(3)
    generator = Generator(config).double()
    with torch.no_grad():
        for layer in generator.synthesis.layers():
            layer.noise_strength.fill_(0.3)
            layer.bias.normal_()
        for block in generator.synthesis.blocks():
            block.torgb.bias.normal_()
    return generator


def _noise(generator: Generator, n: int) -> list[Tensor]:
    return [torch.randn(n, 1, *layer.noise_const.shape).double() for layer in generator.synthesis.layers()]


@pytest.mark.parametrize(("base", "count"), [(16384, 24_767_458), (32768, 30_034_338)])
def test_ffhq_256_has_as_many_parameters_as_nvidias(base: int, count: int) -> None:
    config = GeneratorConfig(256, channel_base=base)
    with torch.device("meta"):
        generator = Generator(config)
    assert sum(p.numel() for p in generator.parameters()) == count
    assert config.num_ws == 14
    assert [config.channels(side) for side in (4, 64, 128, 256)] == [
        512,
        min(512, base // 64),
        base // 128,
        base // 256,
    ]


def test_names_of_weights_are_nvidias() -> None:
    names = set(_tiny().state_dict())
    layer = {"weight", "bias", "noise_strength", "noise_const", "resample_filter", "affine.weight", "affine.bias"}
    torgb = {"weight", "bias", "affine.weight", "affine.bias"}
    wanted = {"mapping.w_avg", "synthesis.b4.const"}
    wanted |= {f"mapping.fc{i}.{name}" for i in (0, 1) for name in ("weight", "bias")}
    for side in (4, 8, 16):
        wanted |= {f"synthesis.b{side}.resample_filter"} | {f"synthesis.b{side}.torgb.{name}" for name in torgb}
        wanted |= {f"synthesis.b{side}.conv1.{name}" for name in layer}
        wanted |= {f"synthesis.b{side}.conv0.{name}" for name in layer if side > 4}
    assert names == wanted


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("plus", [False, True])
def test_synthesis_against_weights_built_for_each_sample(plus: bool, noisy: bool) -> None:
    generator = _tiny()
    ws = torch.randn(3, TINY.num_ws, TINY.w_dim).double() if plus else torch.randn(3, TINY.w_dim).double()
    noise = _noise(generator, 3) if noisy else None
    wanted = original.draw(generator, ws, noise)
    torch.testing.assert_close(generator.synthesis(ws, noise), wanted, rtol=1e-11, atol=1e-11)
    single = generator.float().synthesis(ws.float(), None if noise is None else [n.float() for n in noise])
    torch.testing.assert_close(single.double(), wanted, rtol=1e-4, atol=1e-5)


def test_mapping_by_hand() -> None:
    generator = _tiny()
    z = torch.randn(4, TINY.z_dim).double()
    x = z / z.square().mean(1, keepdim=True).add(1e-8).sqrt()
    torch.testing.assert_close(normalise_z(z), x)
    for number in (0, 1):
        layer = getattr(generator.mapping, f"fc{number}")
        x = x @ (layer.weight * 0.01 / layer.weight.shape[1] ** 0.5).T + layer.bias * 0.01
        x = torch.where(x > 0, x, 0.2 * x) * 2**0.5
    torch.testing.assert_close(generator.mapping(z), x, rtol=1e-12, atol=1e-12)
    generator.mapping.w_avg.fill_(2.0)
    torch.testing.assert_close(generator.mapping(z, 0.25), 2.0 + 0.25 * (x - 2.0), rtol=1e-12, atol=1e-12)


def test_gradients_of_both_orders_flow_to_every_weight() -> None:
    """A GAN trainer needs them: R1 and path length differentiate a gradient."""
    generator = _tiny(dataclasses.replace(TINY, conv_clamp=None))
    z = torch.randn(2, TINY.z_dim).double().requires_grad_()
    image = generator(z, noise=_noise(generator, 2))
    (gradient,) = torch.autograd.grad(image.square().sum(), z, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name


def test_an_image_does_not_depend_on_its_batch() -> None:
    generator = _tiny()
    z = torch.randn(5, TINY.z_dim).double()
    torch.testing.assert_close(generator(z)[3:4], generator(z[3:4]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("resolution", 48, "48"),
        ("resolution", -64, "-64"),
        ("resolution", 4, "4"),
        ("resolution", 2048, "2048"),
        ("z_dim", 0, "z_dim"),
        ("w_dim", 5000, "w_dim"),
        ("mapping_layers", 0, "mapping_layers"),
        ("mapping_layers", 17, "17"),
        ("channel_base", 8, "channel_base"),
        ("channel_max", 0, "channel_max"),
        ("conv_clamp", 0.0, "conv_clamp"),
        ("conv_clamp", float("nan"), "nan"),
    ],
)
def test_sizes_that_cannot_be(field: str, value: Any, named: str) -> None:
    with pytest.raises(ConfigError, match="generator: expected") as error:
        dataclasses.replace(TINY, **{field: value})
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_shapes_that_do_not_fit() -> None:
    generator = _tiny()
    for shape in ((2, 9), (2, 5, 10), (2, 6, 9), (10,)):
        with pytest.raises(ConfigError, match=r"expected w \[N, 10\] or \[N, 6, 10\]"):
            generator.synthesis(torch.zeros(shape).double())
    with pytest.raises(ConfigError, match="expected 5 noise images"):
        generator.synthesis(torch.zeros(2, 10).double(), [None])
