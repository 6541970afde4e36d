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
from sdx.evaluation.support import Support, support
from sdx.teachers import Embedder
from sdx.weights.metadata import OperatingThreshold

Protocol = Literal["exact", "insightface"]
"""``exact``: every distinct distance is a candidate threshold. ``insightface``: the field's grid of 400 thresholds."""

FARS = {"1e-1": 1e-1, "1e-2": 1e-2, "1e-3": 1e-3}
"""False-accept rates at which the true-accept rate is reported, by the name they have in reports."""

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

    def support(self) -> dict[str, Support]:
        """Return for each key of ``tar_at_far`` how well it is supported by the false accepts that can occur there."""
        return {name: support(self.nonmated * far) for name, far in FARS.items()}


@dataclass(frozen=True, eq=False)
class Scores:
    """What one model makes of the pairs of a set.

    Args:
        model: the model's name.
        model_sha256: of the model.
        operating: the threshold that the model brings along, None where it brings none.
        dataset: whose pairs.
        flip: whether embeddings are the sum of both mirror images' raw ones.
        distance: squared Euclidean distance of unit embeddings, float64 [P], in [0, 4]; 2 - 2 x cosine.
    """

    model: str
    model_sha256: str
    operating: OperatingThreshold | None
    dataset: VerificationSet
    flip: bool
    distance: NDArray[np.float64]


def evaluate(
    model: Embedder,
    dataset: VerificationSet,
    *,
    protocol: Protocol = "exact",
    flip: bool = False,
    batch: int = BATCH,
    device: torch.device | str = "cpu",
) -> Result:
    """Return how well ``model`` tells mated from non-mated pairs: `rates` of its `score`, with their errors."""
    _check(protocol)
    return rates(score(model, dataset, flip=flip, batch=batch, device=device), protocol)


def score(
    model: Embedder,
    dataset: VerificationSet,
    *,
    flip: bool = False,
    batch: int = BATCH,
    device: torch.device | str = "cpu",
) -> Scores:
    """Return the distances of a set's pairs; each distinct image is embedded once.

    Args:
        model: what embeds.
        dataset: at least ten pairs, mated and non-mated ones among them.
        flip: add the mirror image's raw embedding before normalising, as the field's figures for real faces have it.
        batch: images at once.
        device: where ``model`` wants its faces.

    Raises DataError for a set that cannot be scored and ArtefactError for embeddings that are not finite.
    """
    mated = int(dataset.mated.sum())
    nonmated = len(dataset.mated) - mated
    if len(dataset.mated) < 10 or not mated or not nonmated:
        raise DataError(
            f"{dataset.name}: expected at least 10 pairs, mated and non-mated, got {mated} mated and {nonmated} "
            "non-mated: accuracy says nothing there"
        )
    embedding = embed(model, dataset.images, dataset.frame, flip=flip, batch=batch, device=device)
    distance = pair_distance(unit_descriptors(embedding), dataset.pairs)
    operating = getattr(model, "threshold", None)
    return Scores(model.name, model.sha256, operating, dataset, flip, distance)


def rates(scores: Scores, protocol: Protocol = "exact") -> Result:
    """Return the figures of scores.

    Args:
        scores: of ten pairs at least, mated and non-mated.
        protocol: see `Protocol`; both take ten contiguous folds, choose a threshold on nine and apply it to the tenth.

    Raises ConfigError for another protocol.
    Source: InsightFace ``recognition/_evaluation_/`` and ``arcface_torch/eval/verification.py`` (protocol only).
    """
    _check(protocol)
    dataset, distance = scores.dataset, scores.distance
    folds = _core.tenfold_accuracy(distance, dataset.mated, protocol)
    curve = _core.Curve(-distance, dataset.mated)
    equal = curve.equal_error()
    mated = curve.mated
    return Result(
        model=scores.model,
        dataset=dataset.name,
        protocol=protocol,
        options={"flip": "sum" if scores.flip else "none", "threshold": "squared distance", "std": "population"},
        pairs=len(distance),
        mated=mated,
        nonmated=curve.nonmated,
        accuracy=float(np.mean(folds.accuracy)),
        std=float(np.std(folds.accuracy)),
        threshold=float(np.mean(folds.threshold)),
        tar_at_far={name: (mated - curve.at_fmr(far).false_non_matches) / mated for name, far in FARS.items()},
        eer=(equal.fmr + equal.fnmr) / 2,
        auc=curve.auc(),
        model_sha256=scores.model_sha256,
        data_sha256=dataset.sha256,
    )


def decisions(scores: Scores, protocol: Protocol) -> NDArray[np.bool_]:
    """Return which pairs are decided rightly, bool [P], each at the threshold chosen on the nine other folds."""
    threshold = _core.tenfold_accuracy(scores.distance, scores.dataset.mated, protocol).threshold
    sizes = [len(fold) for fold in np.array_split(scores.distance, len(threshold))]
    right: NDArray[np.bool_] = (scores.distance < np.repeat(threshold, sizes)) == scores.dataset.mated
    return right


def _check(protocol: str) -> None:
    if protocol not in get_args(Protocol):
        raise ConfigError(f"expected protocol {' or '.join(get_args(Protocol))}, got {protocol!r}")


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
