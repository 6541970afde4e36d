"""SimFace's six verification sets, laid out as the field lays out its own: ten folds of mated and non-mated pairs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdx.errors import ConfigError
from sdx.simface.parameters import coordinate, position
from sdx.simface.population import FAMILY_SIZE, Population, Split
from sdx.simface.render import RENDERER_VERSION, render
from sdx.types import Random, Stream

__all__ = ["NAMES", "RENDERER_VERSION", "ProtocolSet", "pairs", "render_set"]

FOLDS = 10
MATED_PER_FOLD = 300
NONMATED_PER_FOLD = 300
SIZE = 64

_RELATIVES = 2  # people of one family in a set: a few impostors are kin


@dataclass(frozen=True)
class _Design:
    """What a set asks of its captures.

    Args:
        number: distinguishes the sets' people and draws.
        people: per fold.
        roles: views of a person by role; a pair takes one image of each role, or any two where there is one role.
        hard: whether impostors share their phenotype group.
        stage: overrides nuisance: latent [M, L], role [M] -> None, in place.
    """

    number: int
    people: int
    roles: tuple[int, ...]
    hard: bool
    stage: Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class ProtocolSet:
    """One verification set before rendering.

    Args:
        name: of the set.
        split: "E-dev" or "E-test".
        identity: int64 [M], who is in each image; images of one person and fold are contiguous.
        view: int64 [M], which capture.
        latent: float32 [M, L], as rendered (nuisance as the set needs it).
        pairs: int64 [P, 2], images; folds are contiguous and equal, mated pairs first in each.
        mated: bool [P].
    """

    name: str
    split: Split
    identity: Tensor
    view: Tensor
    latent: Tensor
    pairs: Tensor
    mated: Tensor


def _uniform(z: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(z / math.sqrt(2)))


def _set(latent: Tensor, name: str, value: Tensor) -> None:
    latent[:, position(name)] = torch.tensor([coordinate(name, v) for v in value.tolist()])


def _calm(latent: Tensor, _role: Tensor) -> None:
    """Ordinary captures: nothing in front of the face, moderate pose."""
    latent[:, position("yaw")] *= 0.75
    latent[:, position("occlusion")] = -latent[:, position("occlusion")].abs()


def _frontal_profile(latent: Tensor, role: Tensor) -> None:
    z = latent[:, position("yaw")].clone()
    side = torch.where(z < 0, -1.0, 1.0)
    _calm(latent, role)
    _set(latent, "yaw", torch.where(role == 0, 6 * torch.tanh(z), side * (52 + 20 * _uniform(3 * z.abs() - 2))))


def _opposite(latent: Tensor, role: Tensor) -> None:
    z = latent[:, position("yaw")].clone()
    side = torch.where(role == 0, -1.0, 1.0)
    _calm(latent, role)
    _set(latent, "yaw", side * (20 + 35 * _uniform(z)))


def _ages(latent: Tensor, role: Tensor) -> None:
    z = latent[:, position("age")].clone()
    _calm(latent, role)
    _set(latent, "age", torch.where(role == 0, 18 + 8 * _uniform(z), 54 + 14 * _uniform(z)))


def _small(latent: Tensor, role: Tensor) -> None:
    z = latent[:, position("capture_size")].clone()
    _calm(latent, role)
    pixels = 20 + 20 * _uniform(z)
    _set(latent, "capture_size", (pixels - 53) / 13)


_DESIGNS = {
    "sim-easy": _Design(0, 60, (4,), False, _calm),
    "sim-pose": _Design(1, 40, (3, 3), False, _frontal_profile),
    "sim-age": _Design(2, 40, (3, 3), False, _ages),
    "sim-hardpose": _Design(3, 40, (3, 3), True, _opposite),
    "sim-hardage": _Design(4, 40, (3, 3), True, _ages),
    "sim-low": _Design(5, 60, (4,), False, _small),
}

NAMES: tuple[str, ...] = tuple(_DESIGNS)
"""The six sets."""


def pairs(name: str, split: Split, random: Random) -> ProtocolSet:
    """Lay out a verification set: 6,000 pairs in ten identity-disjoint folds over at most 2,400 images.

    Args:
        name: out of `NAMES`.
        split: "E-dev" (may be tuned on) or "E-test" (is reported).
        random: `sdx.random.Philox` of the world's seed.

    Raises:
        ConfigError: for another name or split.
    """
    if name not in _DESIGNS:
        raise ConfigError(f"expected a set out of {', '.join(NAMES)}, got {name!r}; choose one of them")
    if split not in ("E-dev", "E-test"):
        raise ConfigError(f"expected split 'E-dev' or 'E-test', got {split!r}; verification has people of its own")
    design = _DESIGNS[name]
    views = sum(design.roles)
    # every third person only, so that a family gives two members and kin do not fill the hard sets
    person = (design.number << 32) + np.arange(FOLDS * design.people, dtype=np.int64) * (FAMILY_SIZE // _RELATIVES)
    identity = torch.from_numpy(np.repeat(person, views))
    view = torch.arange(views).repeat(len(person))
    role = torch.repeat_interleave(torch.arange(len(design.roles)), torch.tensor(design.roles)).repeat(len(person))
    population = Population(split, "wild", random)
    latent = population.latent(identity, view)
    group = population.group(latent).view(-1, views)[:, 0].numpy()
    design.stage(latent, role)
    chosen = [_fold(design, fold, group, random, split) for fold in range(FOLDS)]
    mated = np.tile(np.repeat([True, False], [MATED_PER_FOLD, NONMATED_PER_FOLD]), FOLDS)
    table = torch.from_numpy(np.concatenate(chosen))
    return ProtocolSet(name, split, identity, view, latent, table, torch.from_numpy(mated))


def _view_pairs(design: _Design) -> NDArray[np.int64]:
    """Pairs of views a set compares, [V, 2]."""
    if len(design.roles) == 1:
        return np.array(list(combinations(range(design.roles[0]), 2)), np.int64)
    first, second = design.roles
    return np.array(list(product(range(first), range(first, first + second))), np.int64)


def _fold(design: _Design, fold: int, group: NDArray[np.int64], random: Random, split: Split) -> NDArray[np.int64]:
    """Return a fold's pairs of image numbers, mated first, int64 [600, 2]."""
    views = sum(design.roles)
    people = np.arange(fold * design.people, (fold + 1) * design.people)
    compared = _view_pairs(design)
    mated = (people[:, None, None] * views + compared).reshape(-1, 2)
    one, other = (v.ravel() for v in np.meshgrid(people, people, indexing="ij"))
    keep = one < other
    if design.hard:
        keep &= group[one] == group[other]
    one, other = one[keep], other[keep]
    # both orders, so that either person can take either role
    ways = np.concatenate([np.stack([one, other], 1), np.stack([other, one], 1)])
    nonmated = (ways[:, None, :] * views + compared).reshape(-1, 2)
    index = np.array([2 * fold, 2 * fold + 1], np.int64) + 1000 * design.number + 100_000 * (split == "E-test")
    return np.concatenate(
        [
            _choose(mated, MATED_PER_FOLD, random.uniforms(Stream.PAIRING, index[:1], len(mated))[0]),
            _choose(nonmated, NONMATED_PER_FOLD, random.uniforms(Stream.PAIRING, index[1:], len(nonmated))[0]),
        ]
    )


def _choose(candidates: NDArray[np.int64], count: int, key: NDArray[np.float32]) -> NDArray[np.int64]:
    if len(candidates) < count:
        raise ConfigError(
            f"expected at least {count} candidate pairs in a fold, got {len(candidates)}; change the seed"
        )
    return candidates[np.sort(np.argsort(key, kind="stable")[:count])]


def render_set(protocol_set: ProtocolSet, random: Random, *, batch: int = 96) -> NDArray[np.uint8]:
    """Render a set's images, uint8 [M, 64, 64, 3] RGB.

    Args:
        protocol_set: from `pairs`.
        random: the same as there.
        batch: pictures a pass.
    """
    population = Population(protocol_set.split, "wild", random)
    key = population.key(protocol_set.identity, protocol_set.view)
    out = np.empty((len(key), SIZE, SIZE, 3), np.uint8)
    for start in range(0, len(key), batch):
        rows = slice(start, start + batch)
        normals = random.normals(Stream.GRAIN, key[rows], 3 * SIZE * SIZE)
        grain = torch.from_numpy(normals).view(-1, 3, SIZE, SIZE)
        face = render(protocol_set.latent[rows], nuisance="wild", grain=grain)
        out[rows] = face.add(1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return out
