"""Verification as the field's common evaluation scripts go about it, in our own words: loops in Python over thresholds,
folds, templates and batches of pairs. Needs NumPy, SciPy and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import interp1d
from sklearn.metrics import auc, roc_curve
from sklearn.model_selection import KFold

PAIR_COLUMNS = ("first", "second", "mated")
FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_BATCH = 100_000

Floats = NDArray[np.float64]
Work = tuple[Callable[[], Any], Callable[[Any], Any]]


def rates_at(threshold: float, distance: Floats, mated: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Share of mated and of non-mated pairs accepted, and accuracy, at one threshold."""
    accepted = np.less(distance, threshold)
    hits = np.sum(np.logical_and(accepted, mated))
    false_alarms = np.sum(np.logical_and(accepted, np.logical_not(mated)))
    rejections = np.sum(np.logical_and(np.logical_not(accepted), np.logical_not(mated)))
    misses = np.sum(np.logical_and(np.logical_not(accepted), mated))
    tpr = hits / (hits + misses) if hits + misses else 0.0
    fpr = false_alarms / (false_alarms + rejections) if false_alarms + rejections else 0.0
    return float(tpr), float(fpr), float((hits + rejections) / distance.size)


def accuracy(distance: Floats, mated: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Accuracy and threshold of each of ten folds, on the grid 0, 0.01, ..., 3.99."""
    grid = np.arange(0, 4, 0.01)
    found, chosen = np.zeros(10), np.zeros(10)
    roc = np.zeros((10, len(grid), 2))
    for fold, (train, test) in enumerate(KFold(n_splits=10, shuffle=False).split(distance)):
        on_train = np.zeros(len(grid))
        for place, threshold in enumerate(grid):
            on_train[place] = rates_at(threshold, distance[train], mated[train])[2]
        best = np.argmax(on_train)
        for place, threshold in enumerate(grid):
            roc[fold, place] = rates_at(threshold, distance[test], mated[test])[:2]
        chosen[fold] = grid[best]
        found[fold] = rates_at(grid[best], distance[test], mated[test])[2]
    return found, chosen


def tar_at_far(distance: Floats, mated: NDArray[np.bool_], far: float = 1e-3) -> tuple[float, float, float]:
    """Mean and standard deviation over ten folds of TAR, and mean FAR, on the grid 0, 0.001, ..., 3.999.

    The threshold lies between the last point of the stair below the rate and the first of the next. The scripts ask
    SciPy for ``slinear``, which refuses stairs since 1.9; ``linear`` takes them and means the same.
    """
    grid = np.arange(0, 4, 0.001)
    tars, fars = np.zeros(10), np.zeros(10)
    for fold, (train, test) in enumerate(KFold(n_splits=10, shuffle=False).split(distance)):
        on_train = np.zeros(len(grid))
        for place, threshold in enumerate(grid):
            on_train[place] = rates_at(threshold, distance[train], mated[train])[1]
        threshold = 0.0
        if on_train.max() >= far:
            threshold = float(interp1d(on_train, grid, kind="linear")(far))
        tars[fold], fars[fold], _ = rates_at(threshold, distance[test], mated[test])
    return float(np.mean(tars)), float(np.std(tars)), float(np.mean(fars))


def table(score: Floats, mated: NDArray[np.bool_], *, drop: bool = True) -> dict[str, Any]:
    """TAR at six FARs, each read off the nearest vertex of the ROC curve, and the area under it.

    With ``drop``, as the scripts have it, scikit-learn leaves out vertices on straight lines: the nearest of the rest
    may be far away.
    """
    fpr, tpr, _ = roc_curve(mated, score, drop_intermediate=drop)
    area = auc(fpr, tpr)
    fpr, tpr = np.flipud(fpr), np.flipud(tpr)
    tars = []
    for far in FARS:
        _, place = min(zip(abs(fpr - far), range(len(fpr)), strict=True))
        tars.append(float(tpr[place]))
    return {"tar_at_far": tars, "auc": float(area)}


def pair_scores(embedding: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """Cosines of pairs of unit embeddings, a batch of pairs at a time, both sides gathered in float64."""
    exact = embedding.astype(np.float64)
    score = np.zeros(len(first))
    for start in range(0, len(first), _BATCH):
        part = slice(start, start + _BATCH)
        score[part] = np.sum(exact[first[part]] * exact[second[part]], -1)
    return score


def templates(image: NDArray[Any], template: NDArray[Any], media: NDArray[Any]) -> Floats:
    """Unit templates, float64: for each, its images are looked up, each medium's mean taken, and the means added."""
    ids = np.unique(template)
    found = np.zeros((len(ids), image.shape[1]))
    for row, number in enumerate(ids):
        (place,) = np.where(template == number)
        own, of_media = image[place], media[place]
        means = []
        for medium, count in zip(*np.unique(of_media, return_counts=True), strict=True):
            (within,) = np.where(of_media == medium)
            means.append(own[within] if count == 1 else np.mean(own[within], axis=0, keepdims=True))
        found[row] = np.sum(np.concatenate(means), axis=0)
    unit: Floats = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def tenfold(path: str) -> Work:
    """Ten-fold accuracy, TAR at FAR 1e-3 and the table, of distances and labels in an .npz file."""
    file = np.load(path)
    distance, mated = file["distance"], file["mated"]

    def work() -> Any:
        return accuracy(distance, mated), tar_at_far(distance, mated), table(-distance, mated)

    return work, lambda result: {"accuracy": float(np.mean(result[0][0])), "tar": result[1][0]}


def curve(path: str) -> Work:
    """The table of scores and labels in an .npz file."""
    file = np.load(path)
    score, mated = file["score"], file["mated"]
    return lambda: table(score, mated), lambda result: result


def pairs(folder: str, order: str, step: int = 1) -> Work:
    """Scores and table of every ``step``-th pair of templates; see `core_data.write_list`."""
    embedding = np.load(Path(folder, "template.npy"))
    first, second, mated = (np.load(Path(folder, f"{order}_{name}.npy"))[::step].copy() for name in PAIR_COLUMNS)

    def work() -> Any:
        return table(pair_scores(embedding, first, second), mated)

    return work, lambda result: result


def images(folder: str) -> Work:
    """Images to templates to scores and table; see `core_data.write_images`."""
    image, template, media = (np.load(Path(folder, f"image{part}.npy")) for part in ("", "_template", "_media"))
    first, second, mated = (np.load(Path(folder, f"major_{name}.npy")) for name in PAIR_COLUMNS)

    def work() -> Any:
        return table(pair_scores(templates(image, template, media), first, second), mated)

    return work, lambda result: result
