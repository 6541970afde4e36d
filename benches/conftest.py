"""Rows of results: one JSON line for each benchmark, with the machine it ran on."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from sdx import precision


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows", type=Path, help="append one JSON line for each benchmark to this file")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    path: Path | None = session.config.getoption("--rows")
    plugin = getattr(session.config, "_benchmarksession", None)
    if path is None or plugin is None:
        return
    with path.open("a", encoding="utf-8") as file:
        for bench in plugin.benchmarks:
            times = sorted(bench.stats.data)
            at = {f"p{q}": times[min(int(q / 100 * len(times)), len(times) - 1)] for q in (20, 50, 80)}
            row = {**bench.extra_info, **at, "unit": "s", "rounds": len(times), **_machine()}
            file.write(json.dumps(row) + "\n")


def _machine() -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "cpu": torch.cpu.get_capabilities().get("cpu_name", platform.processor()),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "precision": precision.resolve().name,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
    }
