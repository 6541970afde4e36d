"""A generator as a source: exact, steerable, keyed by image number, and refused in one line where it does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sdx import sources
from sdx.align import view
from sdx.config import SourceConfig, source_values
from sdx.errors import ArtefactError, ConfigError, SdxError
from sdx.networks.stylegan2 import Generator, GeneratorConfig
from sdx.random import Philox
from sdx.sources.stylegan2 import StyleGAN2Source, layer_noise, noise_key
from sdx.sources.synthesis import FrozenSynthesis
from sdx.types import HELD_OUT, InputSpec, Stream
from sdx.weights.generator import GeneratorArtefact, GeneratorMeta, save

CONFIG = GeneratorConfig(32, z_dim=6, w_dim=5, mapping_layers=2, channel_base=256, channel_max=12, conv_clamp=4.0)


def _generator(config: GeneratorConfig = CONFIG) -> Generator:
    torch.manual_seed(0)
    generator = Generator(config)
    with torch.no_grad():
        for number, layer in enumerate(generator.synthesis.layers()):
            layer.noise_strength.fill_(0.1 * number)
            layer.bias.normal_()
        generator.mapping.w_avg.normal_()
    return generator.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("generator") / "tiny.safetensors"
    save(file, GeneratorArtefact(_generator(), GeneratorMeta(name="tiny", licence="MIT")))
    return file


def _source(path: Path, **options: Any) -> StyleGAN2Source:
    given = {"psi": 1.0, "noise": "random", "size": None, "random": Philox(4)} | options
    return StyleGAN2Source(str(path), **given)


@pytest.mark.parametrize("noise", ["random", "const", "none"])
def test_faces_are_the_generators(path: Path, noise: str) -> None:
    source, index = _source(path, noise=noise), torch.tensor([3, 99, 7])
    generator = _generator()
    z = torch.from_numpy(Philox(4).normals(Stream.LATENT, index.numpy(), 6))
    layers = generator.synthesis.layers()
    images: list[Tensor | None] = [None] * len(layers)
    if noise == "const":
        images = [layer.noise_const for layer in layers]
    elif noise == "random":
        pixels = [layer.noise_const.numel() for layer in layers]
        words = torch.from_numpy(Philox(4).normals(Stream.LAYER_NOISE, index.numpy(), sum(pixels)))
        images = [
            part.reshape(3, 1, *layer.noise_const.shape)
            for part, layer in zip(torch.split(words, pixels, 1), layers, strict=True)
        ]
    wanted = generator(z, noise=images).clamp(-1, 1)
    batch = source.draw(index, source.root(index))
    torch.testing.assert_close(batch.face, wanted, rtol=1e-4, atol=1e-4)
    assert batch.face.shape == (3, 3, 32, 32)
    assert not batch.face.is_inference()


def test_nothing_depends_on_the_batch(path: Path) -> None:
    source = _source(path)
    index = torch.arange(40)
    whole = source.draw(index, source.root(index))
    part = source.draw(index[33:36], source.root(index[33:36]))
    torch.testing.assert_close(source.root(index)[33:36], source.root(index[33:36]), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(whole.face[33:36], part.face, rtol=1e-4, atol=1e-5)
    assert torch.equal(part.face, source.draw(index[33:36], source.root(index[33:36])).face)


def test_a_w_for_each_style_input(path: Path) -> None:
    source, index = _source(path), torch.arange(2)
    ws = torch.randn(2, CONFIG.num_ws, CONFIG.w_dim)
    wanted = _generator().synthesis(ws).clamp(-1, 1)
    torch.testing.assert_close(_source(path, noise="none").draw(index, ws).face, wanted, rtol=1e-4, atol=1e-4)
    same = source.root(index)[:, None].expand(-1, CONFIG.num_ws, -1)
    torch.testing.assert_close(source.draw(index, same).face, source.draw(index, source.root(index)).face)


def test_psi_draws_towards_the_mean(path: Path) -> None:
    index = torch.arange(5)
    mean, full = _generator().mapping.w_avg, _source(path).root(index)
    torch.testing.assert_close(_source(path, psi=0.25).root(index), mean + 0.25 * (full - mean))
    torch.testing.assert_close(_source(path, psi=0.0).root(index), mean.expand(5, -1))
    assert _source(path, psi=0.25).latent_rms == _source(path).latent_rms


def test_latent_rms_is_that_of_w(path: Path) -> None:
    source = _source(path)
    w = source.root(torch.arange(4096))
    assert source.latent_rms == pytest.approx(float((w - w.mean(0)).square().mean().sqrt()), rel=0.1)


def test_half_precision_keeps_the_picture() -> None:
    generator = _generator()
    w = generator.mapping(torch.randn(4, 6))
    wanted = generator.synthesis(w)
    got = FrozenSynthesis(generator.synthesis, torch.bfloat16)(w)
    assert got.dtype == torch.float32
    error = (got - wanted).square().mean().sqrt() / wanted.square().mean().sqrt()
    assert float(error) < 0.02


def test_low_precision_of_the_highest_resolutions_alone() -> None:
    """The fewer resolutions have it, the closer the picture; none is float32 to the last bit."""
    generator = _generator()
    w = generator.mapping(torch.randn(16, 6))
    exact = FrozenSynthesis(generator.synthesis)(w)
    whole = FrozenSynthesis(generator.synthesis, torch.bfloat16)(w)
    number = len(generator.config.resolutions)
    error = []
    for low in range(number + 2):
        got = FrozenSynthesis(generator.synthesis, torch.bfloat16, low)(w)
        error.append(float((got - exact).square().mean()))
        assert torch.equal(got, whole) == (low >= number)
    assert error[0] == 0.0
    assert 0 < error[1] < error[number]


@pytest.mark.parametrize("region", [None, (21, 22, 43, 64), (63, 63, 64, 64), (20, 9, 40, 50)])
@pytest.mark.parametrize("slice_size", [2, 64])
def test_keyed_noise_is_the_hosts_to_the_last_bit(region: tuple[int, int, int, int] | None, slice_size: int) -> None:
    """What a GPU draws in its layers is what the host draws for all of them, in windows and slices too."""
    generator = _generator(GeneratorConfig(64, z_dim=6, w_dim=5, mapping_layers=2, channel_base=512, channel_max=8))
    random = Philox(2**63 - 5)
    index = torch.tensor([3, 2**40 + 1, HELD_OUT])
    w = generator.mapping(torch.randn(3, 6))
    synthesis = FrozenSynthesis(generator.synthesis)
    synthesis.slice_size = slice_size
    host = synthesis(w, layer_noise(generator.synthesis, index, random), region)
    assert torch.equal(synthesis(w, noise_key(index, random), region), host)
    assert not torch.equal(synthesis(w, None, region), host)


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize(
    "region", [(0, 0, 64, 64), (21, 22, 43, 64), (0, 30, 33, 31), (63, 63, 64, 64), (20, 9, 40, 50)]
)
def test_a_region_is_that_of_the_whole_picture(region: tuple[int, int, int, int], noise: bool) -> None:
    generator = _generator(GeneratorConfig(64, z_dim=6, w_dim=5, mapping_layers=2, channel_base=512, channel_max=8))
    w = generator.mapping(torch.randn(3, 6))
    images = [torch.randn(3, 1, *layer.noise_const.shape) for layer in generator.synthesis.layers()] if noise else None
    synthesis = FrozenSynthesis(generator.synthesis)
    top, left, bottom, right = region
    got = synthesis(w, images, region)
    torch.testing.assert_close(got, synthesis(w, images)[:, :, top:bottom, left:right], rtol=1e-5, atol=1e-5)


def test_the_crop_of_an_ffhq_frame_is_all_that_is_drawn() -> None:
    """Whoever looks at the face sees the same pixels as in the whole frame."""
    config = GeneratorConfig(256, z_dim=6, w_dim=5, mapping_layers=2, channel_base=1024, channel_max=8)
    generator = _generator(config)
    made = GeneratorArtefact(generator, GeneratorMeta(name="frame", frame="ffhq"))
    source = StyleGAN2Source(made, psi=1.0, noise="none", size=256, random=Philox(0))
    index = torch.arange(2)
    face = source.draw(index, source.root(index)).face
    assert (source.frame, source.size, tuple(face.shape)) == ("aligned", 213, (2, 3, 213, 213))
    whole = generator.synthesis(source.root(index)).clamp(-1, 1)
    torch.testing.assert_close(face, whole[:, :, 21:234, 22:235], rtol=1e-4, atol=1e-4)
    spec = InputSpec(112)
    torch.testing.assert_close(view(face, "aligned", spec), view(whole, "ffhq", spec), rtol=1e-4, atol=1e-4)


def test_it_is_a_latent_source_of_the_configuration(path: Path) -> None:
    config = SourceConfig.model_validate(source_values(f"stylegan2:{path}"))
    built = sources.build(config, Philox(4))
    assert isinstance(built, sources.LatentSource)
    assert sources.samples(built, 3).shape == (3, 3, 32, 32)
    strip = sources.strips(built, 2, 4)
    assert strip.shape == (8, 3, 32, 32)
    index = torch.tensor([0])
    torch.testing.assert_close(strip[:1], built.draw(index, built.root(index)).face)
    assert np.isfinite(built.latent_rms)


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"size": 64}, ConfigError, "expected 32"),
        ({"psi": float("nan")}, ConfigError, "source.psi"),
        ({"psi": 5.0}, ConfigError, "5.0"),
    ],
)
def test_what_does_not_fit(path: Path, options: dict[str, Any], error: type[SdxError], named: str) -> None:
    with pytest.raises(error) as caught:
        _source(path, **options)
    assert named in str(caught.value)


def test_generators_that_are_not_there(tmp_path: Path) -> None:
    for reference, named in (("nobody", "no generator 'nobody'"), ("x.safetensors", "x.safetensors")):
        with pytest.raises(ArtefactError, match=named):
            _source(Path(reference))
    with pytest.raises(ConfigError, match="power of two"):
        _source(Path("random-100"))
