"""The sampler `pool`: what it remembers, where it steps, and that it goes on where it stopped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sdx import sources
from sdx.config import SamplerConfig, SourceConfig
from sdx.errors import ConfigError, DataError
from sdx.random import Philox
from sdx.sources import LatentSource
from sdx.training import sampling
from sdx.training.pool import Lineage, Pool
from sdx.types import Proposal, Stream

RANDOM = Philox(5)


@pytest.fixture
def source() -> LatentSource:
    made = sources.build(SourceConfig(size=32), RANDOM)
    assert isinstance(made, LatentSource)
    return made


def _pool(source: LatentSource, students: int = 2, **keys: Any) -> Pool:
    config = SamplerConfig.model_validate({"kind": "pool", "unit": "absolute", "exploration": 0.0, **keys})
    made = sampling.build(config, source, ["a", "b", "c"][:students], RANDOM)
    assert isinstance(made, Pool)
    return made


def _similarity(proposal: Proposal, students: int = 2) -> Tensor:
    """Cosines that depend on the image's number alone."""
    return torch.from_numpy(RANDOM.uniforms(Stream.SHUFFLE, proposal.index.numpy(), students).T.copy())


def _steps(sampler: Pool, batches: int, n: int = 8, seen: int = 0) -> list[Proposal]:
    found = []
    for _ in range(batches):
        proposal = sampler.propose(n, seen)
        sampler.observe(proposal, _similarity(proposal))
        seen += len(proposal)
        found.append(proposal)
    return found


def test_the_first_batch_is_fresh_and_later_ones_are_mixed(source: LatentSource) -> None:
    first, second, *_ = _steps(_pool(source, revisit=0.25), 3)
    assert bool((first.parent == -1).all())
    assert second.parent.tolist()[:6] == [-1] * 6
    assert bool((second.parent[6:] >= 0).all())
    assert torch.equal(second.index, torch.arange(8, 16))
    assert first.latent is not None
    assert torch.equal(first.latent, source.root(first.index))


def test_a_step_leads_from_a_hard_face_by_the_size_of_resample(source: LatentSource) -> None:
    first, second = _steps(_pool(source, scale=0.7), 2)
    assert first.latent is not None
    assert second.latent is not None
    cosine = _similarity(first).mean(0)
    for place in range(4, 8):
        parent = int(second.parent[place])
        scale = 0.7 * (cosine[parent] + 1) / 2
        torch.testing.assert_close(second.scale[place], scale)
        noise = RANDOM.normals(Stream.PERTURBATION, second.index[place : place + 1].numpy(), first.latent.shape[1])
        torch.testing.assert_close(second.latent[place], first.latent[parent] + scale * torch.from_numpy(noise[0]))


def test_hard_faces_are_drawn_far_more_often_than_easy_ones(source: LatentSource) -> None:
    sampler = _pool(source, students=1, revisit=0.1)
    proposal = sampler.propose(200, 0)
    similarity = torch.where(torch.arange(200) % 2 == 0, 0.98, 0.2)[None]
    sampler.observe(proposal, similarity)
    parents = sampler.propose(200, 200).parent
    drawn = parents[parents >= 0]
    assert len(drawn) == 20
    assert (drawn % 2 == 1).sum() >= 17  # chances of 0.8 against 0.02


def test_a_face_that_was_left_is_out_of_the_pool_and_chains_grow(source: LatentSource) -> None:
    found = _steps(_pool(source, capacity=16, revisit=1.0), 40, n=4)
    assert bool((found[0].parent == -1).all())
    seen: set[int] = set()
    for proposal in found:
        parents = [int(parent) for parent in proposal.parent if parent >= 0]
        assert not seen & set(parents)  # nobody is left twice
        seen |= set(parents)
    depth = {-1: -1}
    for proposal in found:
        for index, parent in zip(proposal.index.tolist(), proposal.parent.tolist(), strict=True):
            depth[index] = depth[parent] + 1
    assert max(depth.values()) > 8  # steps go on beyond what a lineage holds


def test_a_lineage_is_its_roots_latent_and_the_noise_of_its_hops(source: LatentSource) -> None:
    lineage = Lineage.roots(np.array([3, 7]))
    lineage = lineage.child(np.array([10, 11]), np.array([0.5, 0.25], np.float32))
    lineage = lineage.child(np.array([20, 21]), np.array([0.1, 0.0], np.float32))
    got = lineage.latent(source, RANDOM)
    width = got.shape[1]

    def noise(index: int) -> Tensor:
        return torch.from_numpy(RANDOM.normals(Stream.PERTURBATION, np.array([index]), width)[0])

    expected = source.root(torch.tensor([3, 7])).clone()
    expected[0] += 0.5 * noise(10)
    expected[0] += 0.1 * noise(20)
    expected[1] += 0.25 * noise(11)
    torch.testing.assert_close(got, expected)
    for hop in range(30, 40):
        lineage = lineage.child(np.array([hop, hop]), np.ones(2, np.float32))
    assert lineage.hops.tolist() == [8, 8]
    assert lineage.index[0].tolist() == [10, 20, 30, 31, 32, 33, 34, 39]


def test_stopped_and_resumed_is_uninterrupted(source: LatentSource) -> None:
    whole = _steps(_pool(source, exploration=0.3), 12)
    first = _pool(source, exploration=0.3)
    _steps(first, 5)
    resumed = _pool(source, exploration=0.3)
    resumed.load_state_dict(first.state_dict())
    for one, other in zip(whole[5:], _steps(resumed, 7, seen=40), strict=True):
        for name in ("index", "latent", "parent", "scale"):
            assert torch.equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("steer", ["mean", "hardest", "b"])
def test_who_steers(source: LatentSource, steer: str) -> None:
    sampler = _pool(source, revisit=0.5, steer=steer)
    proposal = sampler.propose(2, 0)
    sampler.observe(proposal, torch.tensor([[1.0, 0.0], [0.5, 0.9]]))
    step = sampler.propose(2, 2)
    cosine = {"mean": (0.75, 0.45), "hardest": (0.5, 0.0), "b": (0.5, 0.9)}[steer][int(step.parent[1])]
    assert step.scale[1].item() == pytest.approx((cosine + 1) / 2)


def test_it_needs_latents_and_a_sound_state(source: LatentSource) -> None:
    class Index:
        name, classes = "folder", 0

    with pytest.raises(ConfigError, match="pool steers a latent source"):
        sampling.build(SamplerConfig(kind="pool"), Index(), ["a"], RANDOM)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        _pool(source).load_state_dict({"pool": torch.zeros(100, dtype=torch.uint8)})
