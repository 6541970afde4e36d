"""People, families and splits."""

import numpy as np
import pytest
import torch

from sdx.errors import ConfigError
from sdx.random import Philox
from sdx.simface.parameters import DIMENSION, IDENTITY_SIZE
from sdx.simface.population import FAMILY_SIZE, SPLITS, Population

N = 6000


def people(split: str = "T", seed: int = 5) -> Population:
    return Population(split, "wild", Philox(seed))  # hostile splits are a test


def test_latent_is_a_function_of_seed_split_identity_and_view() -> None:
    identity = torch.tensor([3, 3, 9, 123_456_789_012])
    view = torch.tensor([0, 1, 0, 123_456_789_012])
    whole = people().latent(identity, view)
    assert whole.shape == (4, DIMENSION)
    assert whole.dtype == torch.float32
    parts = [people().latent(identity[i : i + 1], view[i : i + 1]) for i in (3, 1, 0, 2)]
    assert torch.equal(torch.cat(parts), whole[[3, 1, 0, 2]])
    assert not torch.equal(people(seed=6).latent(identity, view), whole)


def test_views_share_identity_alone() -> None:
    a, b = people().latent(torch.tensor([7, 7]), torch.tensor([0, 1]))
    assert torch.equal(a[:IDENTITY_SIZE], b[:IDENTITY_SIZE])
    assert (a[IDENTITY_SIZE:] != b[IDENTITY_SIZE:]).all()


def test_splits_are_disjoint_in_people_and_in_captures() -> None:
    index = torch.arange(500)
    latents = [people(split).latent(index, index) for split in SPLITS]
    rows = torch.cat(latents)
    for block in (rows[:, :IDENTITY_SIZE], rows[:, IDENTITY_SIZE:]):
        assert len(torch.unique(block, dim=0)) == len(rows)
    keys = np.concatenate([people(split).key(index, index) for split in SPLITS])
    assert len(np.unique(keys)) == len(keys)
    assert (keys >= 0).all()


def test_coordinates_are_standard_normal() -> None:
    index = torch.arange(N)
    z = people().latent(index * FAMILY_SIZE, index)  # one of a family
    assert z.mean(0).abs().max() < 5 / N**0.5
    assert (z.std(0) - 1).abs().max() < 5 / (2 * N) ** 0.5


def test_family_members_resemble_each_other() -> None:
    family = torch.arange(N) * FAMILY_SIZE
    first = people().latent(family, family)[:, :IDENTITY_SIZE]
    second = people().latent(family + 1, family)[:, :IDENTITY_SIZE]
    stranger = people().latent(family + FAMILY_SIZE, family)[:, :IDENTITY_SIZE]
    kin = (first * second).mean(0)
    assert (kin[3:] - 0.4).abs().max() < 0.08
    assert kin[:2].min() > 0.6
    assert (first * stranger).mean(0).abs().max() < 0.08


def test_groups_differ_by_world() -> None:
    index = torch.arange(3000)
    z = people().latent(index, index)
    wild = people().group(z)
    portrait = Population("T", "portrait", Philox(5)).group(z)
    assert wild.dtype == torch.int64
    assert (portrait == 0).float().mean() > (wild == 0).float().mean() + 0.1


def test_wrong_arguments_are_refused_in_a_line() -> None:
    one = torch.tensor([0])
    with pytest.raises(ConfigError, match="split out of G, T"):
        people("E")
    with pytest.raises(ConfigError, match="got 'studio'"):
        Population("T", "studio", Philox(1))  # on purpose
    for identity, view, text in (
        (one.float(), one, "identity int64"),
        (one, torch.tensor([0, 1]), "view int64"),
        (one[None], one[None], "identity int64"),
        (-one - 1, one, "identity >= 0"),
        (one, one - 4, "view >= 0, got -4"),
    ):
        with pytest.raises(ConfigError, match=text):
            people().latent(identity, view)
    assert people().latent(one[:0], one[:0]).shape == (0, DIMENSION)
