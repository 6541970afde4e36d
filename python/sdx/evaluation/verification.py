"""Verification (1:1): accuracy by the ten-fold protocol, and error rates at fixed false-accept rates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from sdx import _core
from sdx.errors import ConfigError, DataError
from sdx.evaluation.datasets import VerificationSet
from sdx.evaluation.embed import BATCH, embed
from sdx.teachers import Embedder

Protocol = Literal["exact", "insightface"]
"""``exact``: every distinct distance is a candidate threshold. ``insightface``: the field's grid of 400 thresholds."""

FARS = {"1e-1": 1e-1, "1e-2": 1e-2, "1e-3": 1e-3}
"""False-accept rates at which the true-accept rate is reported, by the name they have in reports."""

SUPPORT = 30
"""A rate is well supported where at least so many errors are expected (Doddington's rule of 30)."""

_PAIRS_AT_ONCE = 4096


@dataclass(frozen=True)
class Result:
    """One model on one verification set; rates are fractions.

    Args:
        model: the model's name.
        dataset: the set's name.
        protocol: how thresholds were chosen, see `Protocol`.
        options: ``flip`` ("sum" of both mirror images' raw embeddings, or "none") and what ``threshold`` and ``std``
            are.
        pairs: comparisons, of which ``mated`` are of one person and ``nonmated`` of two.
        mated: see ``pairs``.
        nonmated: see ``pairs``.
        accuracy: mean of the ten folds.
        std: population standard deviation of the ten folds, as the field prints it behind its plus-minus sign.
        threshold: mean of the ten folds' thresholds on the squared Euclidean distance of unit embeddings, in [0, 4].
        tar_at_far: true-accept rate at a false-accept rate of at most the key, over all pairs, whatever the protocol.
        eer: equal error rate.
        auc: area under the curve of true accepts over false accepts.
        model_sha256: of the model.
        data_sha256: of the set.
    """

    model: str
    dataset: str
    protocol: Protocol
    options: dict[str, str]
    pairs: int
    mated: int
    nonmated: int
    accuracy: float
    std: float
    threshold: float
    tar_at_far: dict[str, float]
    eer: float
    auc: float
    model_sha256: str
    data_sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the keys being the fields."""
        return asdict(self)

    def low_support(self) -> frozenset[str]:
        """Return the keys of ``tar_at_far`` at which fewer than `SUPPORT` false accepts can occur."""
        # the tolerance lets 3,000 pairs at 1e-2 count as the 30 that they are
        return frozenset(name for name, far in FARS.items() if self.nonmated * far < SUPPORT - 1e-6)


def evaluate(
    model: Embedder,
    dataset: VerificationSet,
    *,
    protocol: Protocol = "exact",
    flip: bool = False,
    batch: int = BATCH,
    device: torch.device | str = "cpu",
) -> Result:
    """Return how well ``model`` tells mated from non-mated pairs; each distinct image is embedded once.

    Args:
        model: what embeds.
        dataset: at least ten pairs, mated and non-mated ones among them.
        protocol: see `Protocol`; both take ten contiguous folds, choose a threshold on nine and apply it to the tenth.
        flip: add the mirror image's raw embedding before normalising, as the field's figures for real faces have it.
        batch: images at once.
        device: where ``model`` wants its faces.

    Raises DataError for a set that cannot be scored and ArtefactError for embeddings that are not finite.
    Source: InsightFace ``recognition/_evaluation_/`` and ``arcface_torch/eval/verification.py`` (protocol only).
    """
    if protocol not in get_args(Protocol):
        raise ConfigError(f"expected protocol {' or '.join(get_args(Protocol))}, got {protocol!r}")
    mated = int(dataset.mated.sum())
    nonmated = len(dataset.mated) - mated
    if len(dataset.mated) < 10 or not mated or not nonmated:
        raise DataError(
            f"{dataset.name}: expected at least 10 pairs, mated and non-mated, got {mated} mated and {nonmated} "
            "non-mated: accuracy says nothing there"
        )
    embedding = embed(model, dataset.images, dataset.frame, flip=flip, batch=batch, device=device)
    distance = pair_distance(unit_descriptors(embedding), dataset.pairs)
    folds = _core.tenfold_accuracy(distance, dataset.mated, protocol)
    curve = _core.Curve(-distance, dataset.mated)
    equal = curve.equal_error()
    return Result(
        model=model.name,
        dataset=dataset.name,
        protocol=protocol,
        options={"flip": "sum" if flip else "none", "threshold": "squared distance", "std": "population"},
        pairs=len(distance),
        mated=mated,
        nonmated=nonmated,
        accuracy=float(np.mean(folds.accuracy)),
        std=float(np.std(folds.accuracy)),
        threshold=float(np.mean(folds.threshold)),
        tar_at_far={name: (mated - curve.at_fmr(far).false_non_matches) / mated for name, far in FARS.items()},
        eer=(equal.fmr + equal.fnmr) / 2,
        auc=curve.auc(),
        model_sha256=model.sha256,
        data_sha256=dataset.sha256,
    )


def unit_descriptors(embedding: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sum over views, scaled to unit length, float64 [M, D], of raw embeddings float32 [V, M, D].

    A sum of zero stays zero: its distance to every other is then 1.
    """
    total = np.sum(embedding, axis=0, dtype=np.float64)
    norm = np.linalg.norm(total, axis=1, keepdims=True)
    unit: NDArray[np.float64] = total / np.where(norm == 0, 1, norm)
    return unit


def pair_distance(descriptor: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return squared Euclidean distances, float64 [P], of the rows of ``descriptor`` [M, D] that ``pairs`` name."""
    distance = np.empty(len(pairs))
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        distance[part] = np.square(descriptor[pairs[part, 0]] - descriptor[pairs[part, 1]]).sum(1)
    return distance
