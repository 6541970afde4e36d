"""The compile gate: what the kernels become on sm_80 and sm_90, checked without either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import triton

pytestmark = pytest.mark.timeout(900)  # it compiles some hundred kernels
HERE = Path(__file__).parent
TABLE = HERE / "compiled.jsonl"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton")), "OMP_NUM_THREADS": "1"}
    gates = [
        subprocess.Popen(
            [sys.executable, HERE / "compile_gate.py", str(arch)], env=environment, stdout=-1, stderr=-1, text=True
        )
        for arch in (80, 90)
    ]
    found = []
    for gate in gates:
        output, errors = gate.communicate(timeout=900)
        assert output, errors[-3000:]
        found += [json.loads(line) for line in output.splitlines()]
    return found


def test_no_kernel_breaks_a_rule(rows: list[dict[str, Any]]) -> None:
    assert {row["arch"] for row in rows} == {80, 90}
    assert [row for row in rows if row["wrong"]] == []


def test_registers_and_resident_warps_are_those_of_the_table(rows: list[dict[str, Any]]) -> None:
    kept = [json.loads(line) for line in TABLE.read_text().splitlines()]
    if triton.__version__ not in {row["triton"] for row in kept}:
        pytest.skip(f"{TABLE.name} has no rows of triton {triton.__version__}")
    assert rows == [row for row in kept if row["triton"] == triton.__version__]
