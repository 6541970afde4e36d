"""Scores of made-up models on made-up people."""

from __future__ import annotations

import numpy as np

from sdx.evaluation.datasets import VerificationSet
from sdx.evaluation.images import PixelImages
from sdx.evaluation.verification import Scores
from sdx.weights.metadata import OperatingThreshold


def people(seed=0, subjects=80, count=1500, known=True):
    """A set of pairs of people, three images each; its images are not looked at."""
    rng = np.random.default_rng(seed)
    identity = np.repeat(np.arange(subjects) * 10, 3)
    mated = rng.permutation(count) % 2 == 0
    first = rng.integers(0, len(identity), count)
    away = (first + 3 * rng.integers(1, subjects, count)) % len(identity)
    pairs = np.stack([first, np.where(mated, first // 3 * 3 + (first + 1) % 3, away)], 1)
    images = PixelImages(np.zeros((len(identity), 2, 2, 3), np.uint8))
    return VerificationSet("people", "aligned", images, pairs, mated, identity if known else None, "cd" * 32)


def scores(dataset, seed=0, noise=0.25, mate=0.9, name="model", operating=None, flip=False):
    """Distances with an effect of each person and of each pair; ``seed`` is of the pairs' alone."""
    effect = np.random.default_rng(99).normal(0, 0.2, len(dataset.images) // 3)[dataset.pairs // 3].sum(1)
    rng = np.random.default_rng(seed)
    centre = np.where(dataset.mated, mate, 1.9) + effect
    distance = np.clip(centre + rng.normal(0, noise, len(centre)), 0, 4)
    return Scores(name, "ab" * 32, operating, dataset, flip, distance)


def threshold(cosine=0.3, flip=False):
    """A threshold as a model file holds it."""
    return OperatingThreshold(
        threshold=cosine,
        flip=flip,
        asked_fmr=0.01,
        attained_fmr=0.0095,
        interval=(0.006, 0.014),
        interval_kind="subjects",
        false_matches=19,
        pairs=2000,
        data="sim@dev",
        data_sha256="ef" * 32,
    )
