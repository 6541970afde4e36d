"""How far two sets of faces lie apart as a whole."""

from __future__ import annotations

import torch
from torch import Tensor


def distance(first: Tensor, second: Tensor) -> float:
    """Return the squared Frechet distance between two sets of embeddings, each taken for a Gaussian.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), in float64 (Heusel et al. 2017, there in Inception's space). It is
    biased upwards by a finite number of embeddings: compare it with the distance between two halves of one set.

    Args:
        first: [N, D], N > D for a covariance of full rank.
        second: [M, D].
    """
    a, b = first.double(), second.double()
    root = _root(torch.cov(a.T))
    cross = torch.linalg.eigvalsh(root @ torch.cov(b.T) @ root).clamp_min(0).sqrt().sum()
    spread = torch.cov(a.T).trace() + torch.cov(b.T).trace() - 2 * cross
    return float((a.mean(0) - b.mean(0)).square().sum() + spread)


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root
