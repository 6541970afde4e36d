"""Who lives in the SimFace world: identities in families, captures of them, in identity-disjoint splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdx.errors import ConfigError
from sdx.simface import parameters
from sdx.simface.parameters import DIMENSION, IDENTITY, IDENTITY_SIZE, SHARES, Nuisance
from sdx.types import Random, Stream

Split = Literal["G", "T", "E-dev", "E-test"]
"""G makes generators, T teaches teachers, E-dev is tuned on, E-test is reported: no person is in two of them."""

SPLITS: tuple[Split, ...] = get_args(Split)

FAMILY_SIZE = 6
"""Consecutive identities that resemble each other."""

_KINSHIP = 0.40  # share of a coordinate's variance that a family has in common
_ANCESTRY_KINSHIP = 0.75
_MIX_1, _MIX_2, _STEP = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)


def _scramble(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele et al. 2014): a bijection of 64 bits that mixes all of them."""
    key = key + _STEP
    key = (key ^ (key >> np.uint64(30))) * _MIX_1
    key = (key ^ (key >> np.uint64(27))) * _MIX_2
    return key ^ (key >> np.uint64(31))


def _kinship() -> NDArray[np.float32]:
    share = np.full(IDENTITY_SIZE, _KINSHIP, np.float32)
    share[[IDENTITY.index("ancestry_a"), IDENTITY.index("ancestry_b")]] = _ANCESTRY_KINSHIP
    share[IDENTITY.index("dimorphism")] = 0.0
    return share


@dataclass(frozen=True)
class Population:
    """The people of one split, and the captures of them; every value is a function of (seed, split, identity, view).

    Args:
        split: "G", "T", "E-dev" or "E-test".
        nuisance: the world their captures come from.
        random: `sdx.random.Philox` of the world's seed.

    Raises:
        ConfigError: for an unknown split or nuisance.
    """

    split: Split
    nuisance: Nuisance
    random: Random

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ConfigError(f"expected a split out of {', '.join(SPLITS)}, got {self.split!r}; choose one of them")
        if self.nuisance not in SHARES:
            raise ConfigError(f"expected nuisance 'wild' or 'portrait', got {self.nuisance!r}; choose one of the two")

    @property
    def dimension(self) -> int:
        """Number of coordinates of a latent."""
        return DIMENSION

    @property
    def identity_size(self) -> int:
        """Number of leading coordinates that belong to the person."""
        return IDENTITY_SIZE

    def latent(self, identity: Tensor, view: Tensor) -> Tensor:
        """Return latents, float32 [B, DIMENSION], every coordinate standard normal over the population.

        Args:
            identity: int64 [B], >= 0, any number of people; consecutive ones are family.
            view: int64 [B], >= 0, which capture of that person.

        Raises:
            ConfigError: for arguments of another shape, type or range.
        """
        for name, value in (("identity", identity), ("view", view)):
            if value.dtype != torch.int64 or value.shape != identity.shape or value.ndim != 1:
                got = f"{value.dtype} {list(value.shape)}"
                raise ConfigError(f"expected {name} int64 [B], got {got}; pass two int64 vectors of one length")
            if value.numel() and int(value.min()) < 0:
                raise ConfigError(f"expected {name} >= 0, got {int(value.min())}; count from 0")
        person = identity.cpu().numpy()
        share = _kinship()
        own = self.random.normals(Stream.IDENTITY, self._key(person), IDENTITY_SIZE)
        family = self.random.normals(Stream.FAMILY, self._key(person // FAMILY_SIZE), IDENTITY_SIZE)
        coordinates = np.sqrt(share) * family + np.sqrt(1 - share) * own
        nuisance = self.random.normals(Stream.VIEW, self.key(identity, view), DIMENSION - IDENTITY_SIZE)
        return torch.from_numpy(np.concatenate([coordinates, nuisance], 1).astype(np.float32, copy=False))

    def group(self, latent: Tensor) -> Tensor:
        """Return phenotype groups, int64 [B] in [0, parameters.GROUPS), of latents float32 [B, DIMENSION]."""
        parameters.check(latent, self.nuisance)
        return parameters.group(latent, self.nuisance)

    def key(self, identity: Tensor, view: Tensor) -> NDArray[np.int64]:
        """Return the capture's number, int64 [B] >= 0: what keys its nuisance and its sensor noise."""
        person = self._key(identity.cpu().numpy()).astype(np.uint64)
        mixed = _scramble(_scramble(person) + view.cpu().numpy().astype(np.uint64))
        return (mixed >> np.uint64(1)).astype(np.int64)

    def _key(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of a split: the top bits hold the split, so that no person is in two."""
        return index | np.int64(SPLITS.index(self.split) << 56)
