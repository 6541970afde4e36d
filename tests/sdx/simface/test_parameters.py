"""Names, ranges and phenotype groups of the latent."""

import math

import pytest
import torch

from sdx.errors import ConfigError, SdxError
from sdx.simface import parameters as p


def normals(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, p.DIMENSION, generator=torch.Generator().manual_seed(seed))


def test_blocks_and_names() -> None:
    assert p.IDENTITY_SIZE >= 30
    assert len(set(p.NAMES)) == p.DIMENSION == p.IDENTITY_SIZE + len(p.NUISANCES)
    assert [p.position(n) for n in p.NAMES] == list(range(p.DIMENSION))


@pytest.mark.parametrize("nuisance", ["wild", "portrait"])
def test_values_are_bounded_monotone_and_centred(nuisance: p.Nuisance) -> None:
    line = torch.linspace(-40, 40, 81)[:, None].expand(-1, p.DIMENSION).contiguous()
    values = p.physical(line, nuisance)
    for name, value in values.items():
        assert torch.isfinite(value).all(), name
        assert (value.diff() >= 0).all(), name
    middle = p.physical(torch.zeros(1, p.DIMENSION), nuisance)
    assert abs(float(values["yaw"].max())) < 90
    assert float(middle["yaw"]) == 0
    assert float(values["age"].min()) > -10


def test_portrait_is_calmer_than_wild() -> None:
    z = normals(2000)
    wild, portrait = p.physical(z, "wild"), p.physical(z, "portrait")
    assert portrait["yaw"].std() < 0.4 * wild["yaw"].std()
    assert portrait["capture_size"].mean() > wild["capture_size"].mean() + 0.5


def test_coordinate_inverts_physical() -> None:
    for name, value in (("yaw", -65.0), ("age", 20.0), ("capture_size", -2.0)):
        z = torch.zeros(1, p.DIMENSION)
        z[0, p.position(name)] = p.coordinate(name, value)
        assert abs(float(p.physical(z, "wild")[name]) - value) < 1e-3


@pytest.mark.parametrize(
    "call", [lambda: p.coordinate("yaw", 95.0), lambda: p.coordinate("nose", 0.0), lambda: p.position("nose")]
)
def test_impossible_values_and_unknown_names_are_one_line(call) -> None:
    with pytest.raises(SdxError) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("expected")


@pytest.mark.parametrize("nuisance", ["wild", "portrait"])
def test_group_shares(nuisance: p.Nuisance) -> None:
    z = normals(40_000, 1)
    share = torch.bincount(p.group(z, nuisance), minlength=p.GROUPS) / len(z)
    for got, want in zip(share.tolist(), p.SHARES[nuisance], strict=True):
        assert abs(got - want) < 5 * math.sqrt(want * (1 - want) / len(z))


def test_group_is_the_largest_weight_and_weights_mix_in_the_middle() -> None:
    z = normals(5000, 2)
    for nuisance in ("wild", "portrait"):
        weights = p.ancestry(z, nuisance)
        assert torch.allclose(weights.sum(1), torch.ones(len(z)), atol=1e-5)
        far = torch.linalg.vector_norm(z[:, :2], dim=1) > 0.01
        assert (weights.argmax(1) == p.group(z, nuisance))[far].float().mean() > 0.999
    assert torch.allclose(p.ancestry(torch.zeros(1, p.DIMENSION), "wild"), torch.full((1, p.GROUPS), 0.2))


def test_check_names_what_it_wants() -> None:
    with pytest.raises(ConfigError, match=r"float32 \[B, \d+\], got torch.float64"):
        p.check(torch.zeros(2, p.DIMENSION, dtype=torch.float64), "wild")
    with pytest.raises(ConfigError, match="got 'studio'"):
        p.check(torch.zeros(2, p.DIMENSION), "studio")
