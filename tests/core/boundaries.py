"""Every public callable of `sdx._core`: arguments that it takes, and what it refuses beside wrongly shaped arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from pools import KEY, columns, filled

from sdx import _core
from sdx.errors import ConfigError, DataError

Case = tuple[dict[str, Any], type[Exception] | tuple[type[Exception], ...]]


@dataclass
class Entry:
    """One callable.

    Args:
        call: takes the arguments by name.
        good: arguments that it takes.
        bad: replacements among them, and the error each is.
        free: arrays whose number of rows no other argument fixes, by ``name``; ``name.columns`` for that of columns.
    """

    call: Callable[..., Any]
    good: dict[str, Any]
    bad: list[Case]
    free: tuple[str, ...] = ()


def public() -> Iterator[str]:
    """Every function, class and method that the extension shows."""
    for name, value in vars(_core).items():
        if name.startswith("_"):
            continue
        yield name
        methods = vars(value) if inspect.isclass(value) else {}
        yield from (f"{name}.{each}" for each, held in methods.items() if each[0] != "_" and callable(held))


MATED = np.arange(20) % 2 == 0
SCORE = np.linspace(0, 1, 20)
NO_BOOLS = [({"mated": np.where(MATED, byte, 0).astype(np.uint8).view(np.bool_)}, DataError) for byte in (2, 255)]
ONE_KIND = [({"mated": np.full(20, kind)}, DataError) for kind in (True, False)] + NO_BOOLS
OVERFLOW = OverflowError
ID = filled()[1]


def _draws(function: Callable[..., Any]) -> Entry:
    good = {"seed": 1, "stream": 2, "index": np.arange(4), "count": 3}
    bad: list[Case] = [({"seed": value}, OVERFLOW) for value in (-1, 2**64)]
    bad += [({"stream": value}, OVERFLOW) for value in (-1, 2**32)]
    return Entry(function, good, [*bad, ({"count": -1}, OVERFLOW), ({"count": 2**62}, ConfigError)], free=("index",))


def _pool(name: str, good: dict[str, Any], bad: list[Case], free: tuple[str, ...] = ()) -> Entry:
    return Entry(lambda **arguments: getattr(filled()[0], name)(**arguments), good, bad, free)


def _curve(name: str, good: dict[str, Any], bad: list[Case]) -> Entry:
    return Entry(lambda **arguments: getattr(_core.Curve(SCORE, MATED), name)(**arguments), good, bad)


def _at(values: np.ndarray[Any, Any], place: Any, value: float) -> np.ndarray[Any, Any]:
    changed = values.copy()
    changed[place] = value
    return changed


PUSHED = {**columns(5, vector=3), "hops": np.full(5, 3)}
PICKED = {
    "priority": np.linspace(0.1, 1, 12, dtype=np.float32),
    "count": 4,
    "group": np.arange(12) % 3,
    "quota": {0: 2},
    "vector": np.eye(12, 5, dtype=np.float32) + np.float32(0.1),
    "cosine": 0.5,
}
NOT_PICKED: list[Case] = [
    ({"priority": _at(PICKED["priority"], 2, -0.5)}, DataError),
    ({"vector": _at(PICKED["vector"], 3, 0.0)}, DataError),
    ({"group": None}, ConfigError),
    ({"quota": None}, ConfigError),
    ({"vector": None}, ConfigError),
    ({"cosine": None}, ConfigError),
    ({"cosine": 1.5}, ConfigError),
    ({"cosine": float("nan")}, ConfigError),
    ({"count": -1}, OVERFLOW),
    ({"quota": {0: -1}}, OVERFLOW),
]
COLUMNS = ("vector.columns",)
ABOVE = {**PICKED, "threshold": 0.3}
SAMPLED = {**PICKED, "seed": 1, "stream": 2, "number": 3, "temperature": 0.5}

RESULTS = ("OperatingPoint", "PoolEntries", "PoolStatistics", "TenFold", "VerificationBin")
"""Classes that Python cannot make."""

TABLE: dict[str, Entry] = {
    "Curve": Entry(_core.Curve, {"score": SCORE, "mated": MATED}, ONE_KIND),
    "Curve.at_fmr": _curve(
        "at_fmr",
        {"fmr": 0.1, "policy": "nearest"},
        [({"fmr": value}, DataError) for value in (-0.1, 1.1, float("nan"))] + [({"policy": "lowest"}, ConfigError)],
    ),
    "Curve.at_threshold": _curve("at_threshold", {"threshold": 0.5}, [({"threshold": float("nan")}, DataError)]),
    "Curve.auc": _curve("auc", {}, []),
    "Curve.equal_error": _curve("equal_error", {}, []),
    "Curve.points": _curve("points", {"count": 5}, [({"count": -1}, OVERFLOW)]),
    "LatentPool": Entry(
        _core.LatentPool,
        {"capacity": 4, "students": 2, **KEY, "smoothing": 0.5, "eviction": "oldest", "vector": 3},
        [({"capacity": value}, ConfigError) for value in (0, 2**28 + 1)]
        + [({"students": value}, ConfigError) for value in (0, 65)]
        + [({"smoothing": value}, ConfigError) for value in (-0.1, 1.0, float("nan"))]
        + [({"steer": value}, ConfigError) for value in ("median", 2)]
        + [({"eviction": "hardest"}, ConfigError), ({"seed": -1}, OVERFLOW), ({"stream": 2**32}, OVERFLOW)]
        + [({"vector": 2**16 + 1}, ConfigError), ({"vector": -1}, OVERFLOW)],
    ),
    "LatentPool.draw": _pool(
        "draw",
        {"count": 3, "number": 1, "exploration": 0.5},
        [({"count": 21}, ConfigError), ({"number": -1}, ConfigError), ({"count": -1}, OVERFLOW)]
        + [({"exploration": value}, ConfigError) for value in (-0.1, 1.1, float("nan"))],
    ),
    "LatentPool.entries": _pool("entries", {"id": ID[:3]}, [({"id": np.array([-1])}, DataError)], free=("id",)),
    "LatentPool.evict": _pool("evict", {"id": ID[:3]}, [], free=("id",)),
    "LatentPool.hardest": _pool("hardest", {"count": 3}, [({"count": -1}, OVERFLOW)]),
    "LatentPool.ids": _pool("ids", {}, []),
    "LatentPool.observe": _pool(
        "observe",
        {"id": ID[:3], "similarity": np.zeros((2, 3), np.float32), "images_seen": 5},
        [({"similarity": np.full((2, 3), 1.5, np.float32)}, DataError), ({"images_seen": -1}, DataError)],
    ),
    "LatentPool.priorities": _pool("priorities", {}, []),
    "LatentPool.push": Entry(
        lambda **arguments: filled(vector=3)[0].push(**arguments),
        PUSHED,
        [
            ({"vector": None}, DataError),
            ({"vector": _at(PUSHED["vector"], (0, 0), 65520)}, DataError),
            ({"root": _at(PUSHED["root"], 0, -1)}, DataError),
            ({"hops": _at(PUSHED["hops"], 0, 9)}, DataError),
            ({"index": _at(PUSHED["index"], (0, 0), -1)}, DataError),
            ({"scale": _at(PUSHED["scale"], (0, 0), -1)}, DataError),
            ({"similarity": _at(PUSHED["similarity"], (0, 0), 1.5)}, DataError),
            ({"reliability": _at(PUSHED["reliability"], 0, -1.5)}, DataError),
            ({"group": _at(PUSHED["group"], 0, 2**31)}, DataError),
            ({"images_seen": -1}, DataError),
        ],
    ),
    "LatentPool.restore": Entry(
        _core.LatentPool.restore,
        {"snapshot": filled()[0].snapshot()},
        [({"snapshot": np.zeros(0, np.uint8)}, DataError), ({"snapshot": np.zeros(99, np.uint8)}, DataError)],
    ),
    "LatentPool.snapshot": _pool("snapshot", {}, []),
    "LatentPool.statistics": _pool("statistics", {"images_seen": 200}, [({"images_seen": 2**63}, OVERFLOW)]),
    "LatentPool.vectors": _pool("vectors", {"id": ID[:3]}, [({"id": np.array([-1])}, DataError)], free=("id",)),
    "normals": _draws(_core.normals),
    "philox": _draws(_core.philox),
    "priorities": Entry(
        _core.priorities,
        {"similarity": np.zeros(3, np.float32), "reliability": np.ones(3, np.float32)},
        [({name: np.full(3, 1.5, np.float32)}, DataError) for name in ("similarity", "reliability")],
    ),
    "read_verification_bin": Entry(
        _core.read_verification_bin,
        {"path": "set.bin"},
        [
            ({"path": "nowhere/set.bin"}, DataError),
            ({"path": "cut.bin"}, DataError),
            ({"path": 3}, TypeError),
            ({"max_bytes": 3}, DataError),
            ({"max_bytes": -1}, OVERFLOW),
        ],
    ),
    "select_above": Entry(
        _core.select_above, ABOVE, [*NOT_PICKED, ({"threshold": float("nan")}, ConfigError)], COLUMNS
    ),
    "select_sample": Entry(
        _core.select_sample,
        SAMPLED,
        [
            *NOT_PICKED,
            ({"number": -1}, ConfigError),
            ({"seed": -1}, OVERFLOW),
            ({"stream": 2**32}, OVERFLOW),
            *(({"alpha": value}, ConfigError) for value in (-1.0, float("nan"))),
            *(({"temperature": value}, ConfigError) for value in (0.0, -1.0, float("nan"))),
            *(({"exploration": value}, ConfigError) for value in (-0.1, 1.1, float("nan"))),
        ],
        COLUMNS,
    ),
    "select_top": Entry(_core.select_top, PICKED, NOT_PICKED, COLUMNS),
    "tenfold_accuracy": Entry(
        _core.tenfold_accuracy,
        {"distance": SCORE, "mated": MATED, "protocol": "exact"},
        [*ONE_KIND, ({"distance": SCORE[:9], "mated": MATED[:9]}, DataError), ({"protocol": "lfw"}, ConfigError)],
    ),
    "uniforms": _draws(_core.uniforms),
    "wilson": Entry(
        _core.wilson,
        {"errors": 1, "trials": 5, "z": 1.96},
        [({"errors": 6}, DataError), ({"trials": 0, "errors": 0}, DataError), ({"errors": -1}, OVERFLOW)]
        + [({"z": value}, DataError) for value in (0.0, -1.0, float("inf"), float("nan"))],
    ),
}
