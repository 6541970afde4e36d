"""The tables of kernels/README.md are what the cost model and the rows of the benches say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def _study(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(name, ROOT / f"docs/studies/{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look for it there
    specification.loader.exec_module(module)
    return module


def test_the_readme_has_the_rows_of_the_cost_model() -> None:
    study = _study("kernel_layers")
    readme = (ROOT / "kernels" / "README.md").read_text(encoding="utf-8")
    assert f"| {' | '.join(study.COLUMNS)} |" in readme
    for layer in study.layers():
        assert study.row(layer) in readme
    assert study.sums() in readme


def test_the_readme_has_the_rows_of_the_benches() -> None:
    study = _study("gpu_table")
    readme = (ROOT / "kernels" / "README.md").read_text(encoding="utf-8")
    for columns, lines in ((study.COLUMNS, study.kernels()), (study.STEP, study.steps())):
        assert f"| {' | '.join(columns)} |" in readme
        assert lines
        assert [line for line in lines if line not in readme] == []
