"""The table of predicted costs in kernels/README.md is what the cost model says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def _study() -> Any:
    specification = importlib.util.spec_from_file_location("kernel_layers", ROOT / "docs/studies/kernel_layers.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["kernel_layers"] = module  # dataclasses look for it there
    specification.loader.exec_module(module)
    return module


def test_the_readme_has_the_rows_of_the_cost_model() -> None:
    study = _study()
    readme = (ROOT / "kernels" / "README.md").read_text(encoding="utf-8")
    assert f"| {' | '.join(study.COLUMNS)} |" in readme
    for layer in study.layers():
        assert study.row(layer) in readme
    assert study.sums() in readme
