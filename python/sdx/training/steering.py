"""Whose similarity a sampler goes by."""

from __future__ import annotations

from torch import Tensor


def steer(similarity: Tensor, how: str, students: list[str]) -> Tensor:
    """Return the similarity [B] that counts out of [students, B]: their mean, the lowest, or one student's own."""
    if how == "mean":
        return similarity.mean(0)
    return similarity.amin(0) if how == "hardest" else similarity[students.index(how)]
