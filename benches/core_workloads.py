"""What the Rust core is timed at, each a party of `parties`: the work, and a function that makes JSON of its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from peers.field_script import FARS, PAIR_COLUMNS
from peers.replay import BATCHES, FILL, columns
from sdx import _core

Work = tuple[Callable[[], Any], Callable[[Any], Any]]


def pool(capacity: int, batch: int, steps: int) -> Work:
    """Steps of a full pool: draw and read entries, observe them, push new ones."""
    made = _core.LatentPool(capacity, 1, seed=1, stream=0, steer="mean", smoothing=0.5, eviction="oldest")

    def entries(seed: int, n: int) -> dict[str, Any]:
        found = columns(seed, n)
        found["similarity"] = 1 - found.pop("hardness")[None]
        return {**found, "reliability": np.ones(n, np.float32), "images_seen": 0}

    batches = [entries(number, batch) for number in range(BATCHES)]
    for start in range(0, capacity, FILL):
        made.push(**entries(start, min(FILL, capacity - start)))
    number = 0

    def work() -> int:
        nonlocal number
        for step in range(steps):
            new = batches[step % BATCHES]
            number += 1
            drawn = made.draw(batch, number)
            made.entries(drawn)  # what the peers return of a sample
            made.observe(drawn, new["similarity"], number)
            made.push(**new)
        return len(made)

    return work, lambda held: held


def table(curve: Any) -> Any:
    """The rates that are asked of a curve: exact ones, the field's, EER and AUC."""
    rates = [curve.at_fmr(far, policy) for policy in ("at most", "nearest") for far in FARS]
    return rates, curve.equal_error(), curve.auc()


def tenfold(path: str) -> Work:
    """Ten-fold accuracy, TAR and the table of distances and labels in an .npz file."""
    file = np.load(path)
    distance, mated = file["distance"], file["mated"]

    def work() -> Any:
        return _core.tenfold_accuracy(distance, mated, "insightface"), table(_core.Curve(-distance, mated))

    return work, lambda result: {"accuracy": float(np.mean(result[0].accuracy)), "tar": result[0].tar}


def curve(path: str) -> Work:
    """The table of scores and labels in an .npz file."""
    file = np.load(path)
    score, mated = file["score"], file["mated"]
    return lambda: table(_core.Curve(score, mated)), lambda result: {"auc": result[2]}


def pairs(folder: str, order: str) -> Work:
    """Scores and rates of a list of pairs of templates."""
    rate = _core.rate_pairs
    embedding = np.load(Path(folder, "template.npy"))
    first, second, mated = (np.load(Path(folder, f"{order}_{name}.npy")) for name in PAIR_COLUMNS)

    def describe(result: Any) -> dict[str, Any]:
        return {"auc": result.auc, "mated": result.mated, "nonmated": result.nonmated}

    return lambda: rate(embedding, first, second, mated, list(FARS)), describe


def images(folder: str) -> Work:
    """Images to templates to the rates of the list."""
    image, template, media = (np.load(Path(folder, f"image{part}.npy")) for part in ("", "_template", "_media"))
    first, second, mated = (np.load(Path(folder, f"major_{name}.npy")) for name in PAIR_COLUMNS)
    count = int(template.max()) + 1

    def work() -> Any:
        made = _core.aggregate_templates(image, template, media, count, norm_weighting=True, flip="none")
        return _core.rate_pairs(made, first, second, mated, list(FARS))

    return work, lambda result: {"auc": result.auc, "mated": result.mated, "nonmated": result.nonmated}


def all_pairs(folder: str) -> Work:
    """Rates over each embedding with each."""
    rate = _core.rate_all_pairs
    embedding, subject = (np.load(Path(folder, f"{name}.npy")) for name in ("embedding", "subject"))
    return lambda: rate(embedding, subject, list(FARS)), lambda result: [result.mated, result.nonmated]


def search(folder: str, count: int) -> Work:
    """The nearest of a gallery for each probe."""
    find = _core.search
    gallery, probe = (np.load(Path(folder, f"{name}.npy")) for name in ("gallery", "probe"))
    return lambda: find(gallery, probe, count), lambda result: [result[0].tolist(), result[1].tolist()]
