"""Samplers propose the same latents whatever the batch size, and resampling is what SynthDistill says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sdx import sources
from sdx.config import SamplerConfig, SourceConfig
from sdx.errors import ConfigError
from sdx.random import Philox
from sdx.sources import LatentSource
from sdx.training import sampling
from sdx.training.steering import steer
from sdx.types import Stream

RANDOM = Philox(5)


@pytest.fixture
def source() -> LatentSource:
    made = sources.build(SourceConfig(size=32), RANDOM)
    assert isinstance(made, LatentSource)
    return made


def _resample(source: LatentSource, **keys: object) -> sampling.Sampler:
    return sampling.build(
        SamplerConfig.model_validate({"kind": "resample", "unit": "absolute", **keys}), source, ["a", "b"], RANDOM
    )


def _latents(sampler: sampling.Sampler, sizes: list[int], cosine: float = 0.5) -> tuple[Tensor, Tensor]:
    """Return index and latent of all proposals, in order of index."""
    index, latent, seen = [], [], 0
    for n in sizes:
        proposal = sampler.propose(n, seen)
        assert proposal.latent is not None
        sampler.observe(proposal, torch.full((2, len(proposal.index)), cosine))
        index.append(proposal.index)
        latent.append(proposal.latent)
        seen += len(proposal.index)
    order = torch.cat(index).argsort()
    return torch.cat(index)[order], torch.cat(latent)[order]


@pytest.mark.parametrize("kind", ["fresh", "resample"])
def test_latents_do_not_depend_on_the_batch_size(source: LatentSource, kind: str) -> None:
    whole = _latents(_resample(source, kind=kind), [12, 12])
    parts = _latents(_resample(source, kind=kind), [4] * 6)
    assert torch.equal(whole[0], torch.arange(24))
    assert torch.equal(whole[0], parts[0])
    assert torch.equal(whole[1], parts[1])


def test_neighbours_are_parents_plus_scaled_noise(source: LatentSource) -> None:
    sampler = _resample(source, scale=0.7)
    roots = sampler.propose(4, 0)
    assert roots.latent is not None
    assert bool((roots.parent == -1).all())
    cosine = torch.tensor([[1.0, -1.0, 0.0, 0.5], [0.0, -1.0, 0.0, -0.5]])
    sampler.observe(roots, cosine)
    near = sampler.propose(4, 4)
    assert near.latent is not None
    assert torch.equal(near.parent, roots.index)
    noise = RANDOM.normals(Stream.PERTURBATION, near.index.numpy(), near.latent.shape[1]).astype(np.float64)
    size = 0.7 * (cosine.double().numpy().mean(0) + 1) / 2
    np.testing.assert_allclose(near.latent.numpy(), roots.latent.numpy() + size[:, None] * noise, atol=1e-6)
    assert torch.equal(near.latent[1], roots.latent[1])  # a student that agrees not at all: no noise
    sampler.observe(near, cosine)
    assert bool((sampler.propose(4, 8).parent == -1).all())


def test_state_in_the_middle_of_a_pair(source: LatentSource) -> None:
    one, other = _resample(source), _resample(source)
    roots = one.propose(3, 0)
    one.observe(roots, torch.rand(2, 3))
    other.load_state_dict(one.state_dict())
    for seen in (3, 6):
        a, b = one.propose(3, seen), other.propose(3, seen)
        assert a.latent is not None
        assert b.latent is not None
        assert torch.equal(a.latent, b.latent)
        assert torch.equal(a.index, b.index)
        assert torch.equal(a.parent, b.parent)


def test_whose_similarity_steers() -> None:
    similarity = torch.tensor([[0.5, 0.25], [1.0, -0.25]])
    assert steer(similarity, "mean", ["a", "b"]).tolist() == [0.75, 0.0]
    assert steer(similarity, "hardest", ["a", "b"]).tolist() == [0.5, -0.25]
    assert steer(similarity, "b", ["a", "b"]).tolist() == [1.0, -0.25]


def test_resample_on_a_folder_is_refused(tmp_path: Path) -> None:
    for n in range(3):
        Image.new("RGB", (32, 32), (n, n, n)).save(tmp_path / f"{n}.png")
    folder = sources.build(SourceConfig(kind="folder", path=str(tmp_path), size=32), RANDOM)
    with pytest.raises(ConfigError, match="use sampler=fresh"):
        sampling.build(SamplerConfig(kind="resample"), folder, ["a"], RANDOM)
    proposal = sampling.build(SamplerConfig(kind="fresh"), folder, ["a"], RANDOM).propose(2, 6)
    assert proposal.latent is None
    assert proposal.index.tolist() == [6, 7]


def test_unknown_sampler() -> None:
    with pytest.raises(ConfigError, match=r"did you mean resample\?"):
        sampling.build(SamplerConfig(kind="resampel"), sources.build(SourceConfig(size=32), RANDOM), ["a"], RANDOM)
