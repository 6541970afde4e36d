"""Rows of results: one JSON line for each thing measured, with the machine it ran on, and a summary of the ratios."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sdx import precision

_OF_PARTIES = ("peers", "device_times", "absent")
_OF_EACH = ("bytes", "host_us", "recorded")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows", type=Path, help="append one JSON line for each result to this file")
    parser.addoption("--peer-stylegan3", type=Path, help="a checkout of NVIDIA's stylegan3, a peer")
    parser.addoption("--batch", type=int, default=64, help="images of the kernel benches")
    parser.addoption("--gpu-batch", type=int, default=128, help="images of a step on a GPU")
    parser.addoption("--full", action="store_true", help="the core's benches at full size, minutes a peer")
    parser.addoption("--peer-python", type=Path, help="interpreter that has cpprb, torchrl and faiss")
    parser.addoption("--threads", type=int, help="threads of each party of the core's benches, else all processors")
    parser.addoption("--held-to-fp32", action="store_true", help="a step as on a processor that has no bfloat16")
    parser.addoption("--embeddings", type=int, default=2**18, help="rows of the loss benches")


@pytest.fixture
def policy(pytestconfig: pytest.Config) -> precision.Policy:
    return _policy(pytestconfig)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    path: Path | None = session.config.getoption("--rows")
    if path is not None:
        rows = list(_rows(session.config))
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for row in _rows(config):
        ratio = f"  {row['ratio']:.2f} of ours" if "ratio" in row else ""
        memory = f"  {row['bytes'] / 1e6:,.0f} MB beyond the input" if "bytes" in row else ""
        terminalreporter.write_line(
            f"{row['sizes']:6} {row['part']:14} {row['impl']:21} {row['p50'] * 1e3:9.2f} ms{ratio}{memory}"
        )
    for bench in _benchmarks(config):
        for peer, reason in bench.extra_info.get("absent", {}).items():
            terminalreporter.write_line(f"{bench.group} {peer}: not measured, {reason}")
        if "of_product_rate" in bench.extra_info:
            share = bench.extra_info["of_product_rate"]
            terminalreporter.write_line(f"{bench.group}: {share:.2f} of the rate of the faster bare product")


def _rows(config: pytest.Config) -> Iterator[dict[str, Any]]:
    machine = _machine(_policy(config))
    for bench in _benchmarks(config):
        about = {key: value for key, value in bench.extra_info.items() if key not in (*_OF_PARTIES, *_OF_EACH)}
        about = {**machine, **about}
        ours = bench.extra_info.get("device_times") or list(bench.stats.data)
        yield {**about, "impl": "ours", **_quantiles(ours), **_of(bench, "ours")}
        for peer, times in bench.extra_info["peers"].items():
            ratio = statistics.median(t / o for t, o in zip(times, ours, strict=True))
            yield {**about, "impl": peer, **_quantiles(times), "ratio": round(ratio, 3), **_of(bench, peer)}


def _of(bench: Any, party: str) -> dict[str, Any]:
    """Return what was measured of a party besides its times."""
    known = {key: bench.extra_info.get(key, {}) for key in _OF_EACH}
    return {key: values[party] for key, values in known.items() if party in values}


def _benchmarks(config: pytest.Config) -> list[Any]:
    return [
        bench
        for bench in getattr(getattr(config, "_benchmarksession", None), "benchmarks", [])
        if "peers" in bench.extra_info  # one that failed has none
    ]


def _quantiles(times: list[float]) -> dict[str, Any]:
    ordered = sorted(times)
    at = {f"p{q}": ordered[min(int(q / 100 * len(ordered)), len(ordered) - 1)] for q in (20, 50, 80)}
    return {**at, "unit": "s", "rounds": len(ordered)}


def _policy(config: pytest.Config) -> precision.Policy:
    """Return what a step on this processor computes in."""
    return precision.FULL if config.getoption("--held-to-fp32") else precision.resolve()


def _machine(policy: precision.Policy) -> dict[str, Any]:
    return {
        "cpu": torch.cpu.get_capabilities().get("cpu_name", platform.processor()),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "precision": policy.name,
        "torch": torch.__version__,
        "triton": importlib.metadata.version("triton"),
        "python": platform.python_version(),
        "commit": _commit(),
    }


def _commit() -> str:
    """Return git's commit, or what COMMIT in the environment says where this is no clone."""
    try:
        found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return os.environ.get("COMMIT", "")
    return found.stdout.strip() or os.environ.get("COMMIT", "")
