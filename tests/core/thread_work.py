"""What `sdx._core` computes with several threads, or may one day: prints a digest of each result as JSON.

    RAYON_NUM_THREADS=2 python tests/core/thread_work.py

A line in `WORK` is all that a new function needs. Sizes are those at which work is shared out, and no multiples of
anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from pools import KEY, columns

from sdx import _core

SCORE = np.random.default_rng(0).normal(size=200_003).round(4)  # ties
MATED = np.random.default_rng(1).random(200_003) < 0.1
DISTANCE = np.abs(SCORE).clip(0, 4)
PRIORITY = np.random.default_rng(2).random(30_011, np.float32)
VECTOR = np.random.default_rng(3).normal(size=(3001, 33)).astype(np.float32)
LABELS = np.arange(30_011) % 7


def curve() -> Any:
    made = _core.Curve(SCORE, MATED)
    rates = [made.at_fmr(fmr, policy) for fmr in (0.0, 1e-4, 0.3, 1.0) for policy in ("at most", "nearest")]
    return [rates, made.equal_error(), made.auc(), made.points(500), made.at_threshold(0.1)]


def pool() -> Any:
    made = _core.LatentPool(20_011, 2, **KEY)
    for number in range(3):
        made.push(**columns(10_007, seed=number))
        drawn = made.draw(997, number, 0.25)
        made.observe(drawn, np.resize(np.linspace(-1, 1, 101, dtype=np.float32), (2, 997)), 200 + number)
    return [made.snapshot(), made.hardest(99), made.statistics(300), made.priorities(), made.entries(made.ids())]


def select() -> Any:
    limits = {"group": LABELS, "quota": {0: 50, 3: 20}}
    apart = {"vector": VECTOR, "cosine": 0.3}
    keys = {"seed": 1, "stream": 2, "number": 3}
    return [
        _core.select_top(PRIORITY, 5003, **limits),
        _core.select_above(PRIORITY, 0.5, **limits),
        _core.select_sample(PRIORITY, 5003, **keys, alpha=1.5, exploration=0.1, **limits),
        _core.select_top(PRIORITY[:3001], 1003, **apart),
        _core.select_sample(PRIORITY[:3001], 1003, **keys, **apart),
        _core.priorities(1 - PRIORITY, PRIORITY),
    ]


FACES = np.random.default_rng(4).normal(size=(1501, 65)).astype(np.float32)
PEOPLE = np.arange(1501) // 5
ONE, OTHER = np.random.default_rng(5).integers(0, 1501, (2, 200_003))
ASKED = [1e-4, 1e-2, 0.5], [0.1, 0.3]


def resampled() -> Any:
    who = {"mated": PEOPLE[ONE] == PEOPLE[OTHER], "first": PEOPLE[ONE], "second": PEOPLE[OTHER]}
    keys = {"seed": 1, "stream": 2, "replicates": 20}
    score = _core.score_pairs(FACES, ONE, OTHER).astype(np.float64)
    rates = _core.resample_pairs(score, **who, fmrs=ASKED[0], thresholds=ASKED[1], **keys)
    every = _core.rate_all_pairs(FACES, PEOPLE, [], tail=20_000)
    halves = [half.copy() for pairs in (every.mated_pair, every.tail_pair) for half in pairs.T]
    all_pairs = _core.resample_all_pairs(
        PEOPLE, every.mated_score, *halves[:2], every.tail_score, *halves[2:], fmrs=[1e-3], thresholds=[0.5], **keys
    )
    at = _core.resample_at_threshold(FACES, PEOPLE, every.mated_score, *halves[:2], 0.1, **keys)
    return [rates, all_pairs, at, _core.resample_accuracy(2 - 2 * score, **who, protocol="exact", **keys)]


def templates() -> Any:
    options = {"count": 301, "norm_weighting": False, "flip": "none"}
    return _core.aggregate_templates(FACES, PEOPLE, np.arange(1501) // 2, **options)


INDEX = np.arange(-5, 1998)
WORK: dict[str, Callable[[], Any]] = {
    "philox": lambda: _core.philox(1, 2, INDEX, 515),
    "philox, one long row": lambda: _core.philox(1, 2, INDEX[:1], 5_000_011),
    "normals": lambda: _core.normals(1, 2, INDEX, 515),
    "uniforms": lambda: _core.uniforms(1, 2, INDEX, 515),
    "curve": curve,
    "ten folds": lambda: [_core.tenfold_accuracy(DISTANCE, MATED, each) for each in ("exact", "insightface")],
    "pool": pool,
    "selection": select,
    "scores, dense": lambda: _core.score_pairs(FACES, ONE, OTHER, method="dense"),
    "scores, sparse": lambda: _core.score_pairs(FACES, ONE, OTHER, "squared_l2", "sparse"),
    "rates of a list": lambda: _core.rate_pairs(FACES, ONE, OTHER, PEOPLE[ONE] == PEOPLE[OTHER], *ASKED),
    "rates of all pairs": lambda: _core.rate_all_pairs(FACES, PEOPLE, *ASKED, tail=5000),
    "search": lambda: _core.search(FACES, FACES[:333] + 1, 20),
    "resampled": resampled,
    "templates": templates,
}


def parts(result: Any) -> Iterator[bytes]:
    """The bits of arrays and numbers, however nested; attributes of results by name."""
    if isinstance(result, np.ndarray):
        yield f"{result.dtype}{result.shape}".encode() + result.tobytes()
    elif isinstance(result, list | tuple):
        for each in result:
            yield from parts(each)
    elif isinstance(result, int | float | dict):
        yield repr(result).encode()
    else:
        names = [name for name in dir(result) if not name.startswith("_")]
        assert names
        for name in names:
            yield from parts(getattr(result, name))


def digest(result: Any) -> str:
    return hashlib.sha256(b"|".join(parts(result))).hexdigest()


if __name__ == "__main__":
    print(json.dumps({name: digest(work()) for name, work in WORK.items()}))
