"""The Rust core against what people use today, and against a bare matrix product on the same machine.

    python -m pytest benches/bench_core.py [--full] [--peer-python PATH] [--threads N] [--rows FILE] [-k NAME]

Each party is a process of its own; they take turns, round by round. See benches/README.md.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import core_data
from core_data import Sizes
from parties import Recipe, gathered

POOL = {"capacity": 1_000_000, "batch": 128, "steps": 200}
NEAREST = 20


@dataclass(frozen=True)
class Workload:
    """A comparison.

    Args:
        write: writes the input into a folder.
        recipes: of the parties, "ours" among them, for a folder, sizes and the peers' interpreter.
        size: what is printed for it.
        check: raises AssertionError for answers, ours and another's, that differ.
        rounds: turns of each party that count.
        useful: share of the bare product's operations that ours needs, where that is a peer.
    """

    write: Callable[[Path, Sizes], Any]
    recipes: Callable[[Path, Sizes, Path | None], dict[str, Recipe]]
    size: Callable[[Sizes], str]
    check: Callable[[str, Any, Any], None]
    rounds: int = 5
    useful: Callable[[Sizes], float] | None = None


def _products(folder: Path, first: str, second: str) -> dict[str, Recipe]:
    arguments = {"folder": str(folder), "first": first, "second": second}
    return {
        f"bare product, {library}": Recipe("peers.matmul", "product", {**arguments, "library": library})
        for library in ("numpy", "torch")
    }


def _pool(folder: Path, sizes: Sizes, python: Path | None) -> dict[str, Recipe]:
    peers = {name: Recipe("peers.replay", name, POOL, python) for name in ("cpprb", "torchrl")}
    return {"ours": Recipe("core_workloads", "pool", POOL), **peers}


def _script(function: str, file: str) -> Callable[[Path, Sizes, Path | None], dict[str, Recipe]]:
    def recipes(folder: Path, sizes: Sizes, python: Path | None) -> dict[str, Recipe]:
        parties = {"ours": "core_workloads", "field script": "peers.field_script"}
        return {name: Recipe(module, function, {"path": str(folder / file)}) for name, module in parties.items()}

    return recipes


def _pairs(order: str) -> Callable[[Path, Sizes, Path | None], dict[str, Recipe]]:
    def recipes(folder: Path, sizes: Sizes, python: Path | None) -> dict[str, Recipe]:
        where: dict[str, Any] = {"folder": str(folder), "order": order}
        step = sizes.field_step
        name = "field script" if step == 1 else f"field script (1/{step} of the pairs, times {step})"
        script = Recipe("peers.field_script", "pairs", {**where, "step": step}, times=step)
        return {
            "ours": Recipe("core_workloads", "pairs", where),
            **_products(folder, "gallery", "probe"),
            name: script,
        }

    return recipes


def _images(folder: Path, sizes: Sizes, python: Path | None) -> dict[str, Recipe]:
    parties = {"ours": "core_workloads", "field script": "peers.field_script"}
    return {name: Recipe(module, "images", {"folder": str(folder)}) for name, module in parties.items()}


def _all_pairs(folder: Path, sizes: Sizes, python: Path | None) -> dict[str, Recipe]:
    ours = Recipe("core_workloads", "all_pairs", {"folder": str(folder)})
    return {"ours": ours, **_products(folder, "embedding", "embedding")}


def _search(folder: Path, sizes: Sizes, python: Path | None) -> dict[str, Recipe]:
    arguments = {"folder": str(folder), "count": NEAREST}
    faiss = Recipe("peers.search", "faiss", arguments, python)
    ours = Recipe("core_workloads", "search", arguments)
    return {"ours": ours, "faiss": faiss, **_products(folder, "probe", "gallery")}


def _same(name: str, ours: Any, other: Any) -> None:
    """Equal numbers, but for rounding; the bare product and a script that had a part of the pairs answer nothing."""
    if other is None or "times" in name:
        return
    if isinstance(other, int):
        assert ours == other, name
        return
    for key in {*ours} & {*other}:
        np.testing.assert_allclose(ours[key], other[key], rtol=0, atol=1e-6, err_msg=f"{name}: {key}")


def _same_faces(name: str, ours: Any, other: Any) -> None:
    """The same faces in the same order, but where their cosines are equal up to rounding."""
    if other is None:
        return
    (place, score), (other_place, other_score) = ([np.array(each) for each in answer] for answer in (ours, other))
    np.testing.assert_allclose(score, other_score, atol=2e-6)
    moved = place != other_place
    close = np.abs(np.diff(score, axis=1, append=-2.0)) < 2e-6
    beside = close | np.roll(close, 1, axis=1)
    assert not (moved & ~beside).any(), name


def _nothing(folder: Path, sizes: Sizes) -> None:
    pass


def _whole(sizes: Sizes) -> float:
    return 1.0


def _each_once(sizes: Sizes) -> float:
    return (sizes.all_pairs - 1) / (2 * sizes.all_pairs)


def _list_size(sizes: Sizes) -> str:
    return f"{sizes.gallery:,} x {sizes.probes:,}, {sizes.pairs:,} pairs"


WORKLOADS = {
    "pool": Workload(_nothing, _pool, lambda sizes: "1,000,000, batch 128", _same, rounds=15),
    "tenfold": Workload(core_data.write_lfw, _script("tenfold", "lfw.npz"), lambda sizes: "6,000 pairs", _same),
    "curve": Workload(core_data.write_scores, _script("curve", "scores.npz"), lambda s: f"{s.pairs:,} scores", _same),
    "pairs by template": Workload(core_data.write_list, _pairs("major"), _list_size, _same, useful=_whole),
    "pairs shuffled": Workload(core_data.write_list, _pairs("shuffled"), _list_size, _same, useful=_whole),
    "images to rates": Workload(
        core_data.write_images, _images, lambda s: f"{s.images:,} images, {_list_size(s)}", _same, rounds=1
    ),
    "all pairs": Workload(
        core_data.write_all_pairs, _all_pairs, lambda s: f"{s.all_pairs:,} x 512", _same, useful=_each_once
    ),
    "search": Workload(
        core_data.write_gallery,
        _search,
        lambda s: f"{s.enrolled:,} x {s.searches:,}, nearest {NEAREST}",
        _same_faces,
        useful=_whole,
    ),
}


@pytest.fixture(scope="module")
def written(request: pytest.FixtureRequest) -> Iterator[Callable[[Workload], Path]]:
    """Write an input once for all who share it; gigabytes, which pytest's own folders would keep."""
    with tempfile.TemporaryDirectory() as top:
        folders: dict[Any, Path] = {}

        def write(work: Workload) -> Path:
            if work.write not in folders:
                folder = Path(top, str(len(folders)))
                folder.mkdir()
                work.write(folder, _sizes(request.config))
                folders[work.write] = folder
            return folders[work.write]

        yield write


def _sizes(config: pytest.Config) -> Sizes:
    return core_data.FULL if config.getoption("--full") else core_data.QUICK


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", WORKLOADS)
def test_core(benchmark: Any, name: str, written: Callable[[Workload], Path], request: pytest.FixtureRequest) -> None:
    work, sizes = WORKLOADS[name], _sizes(request.config)
    recipes = work.recipes(written(work), sizes, request.config.getoption("--peer-python"))
    threads = request.config.getoption("--threads")
    with gathered(recipes, threads) as (parties, absent):
        ours = parties.pop("ours")

        def peers() -> None:
            for party in parties.values():
                party.turn()
                party.rest()

        benchmark.group = name
        about = {"part": name, "sizes": work.size(sizes), "threads": threads or len(os.sched_getaffinity(0))}
        benchmark.extra_info = {**about, "absent": absent}
        benchmark.pedantic(ours.turn, setup=peers, teardown=ours.rest, rounds=work.rounds, warmup_rounds=1)
        for peer, party in parties.items():
            work.check(peer, ours.answer, party.answer)
        seconds = {peer: party.seconds[1:] for peer, party in parties.items()}  # the first round warmed up
        benchmark.extra_info |= {
            "peers": seconds,
            "device_times": ours.seconds[1:],
            "bytes": {"ours": ours.bytes, **{peer: party.bytes for peer, party in parties.items()}},
        }
        if work.useful is not None:
            benchmark.extra_info["of_product_rate"] = _of_product(work.useful(sizes), ours.seconds[1:], seconds)


def _of_product(useful: float, ours: list[float], peers: dict[str, list[float]]) -> float:
    """The rate of ours over that of the faster bare product."""
    products = [times for peer, times in peers.items() if peer.startswith("bare product")]
    best = min(products, key=statistics.median)
    return round(useful * statistics.median(b / o for b, o in zip(best, ours, strict=True)), 3)
