"""Imports are pure: the kernels need torch alone, nothing brings Triton in, and no device is looked for."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import sdx

# What an import may not touch: looking for a device already costs a driver's start, and fails on a broken one.
NO_PROBE = """
import torch
def probed(*args, **kwargs):
    raise SystemExit("an import looked for a device")
for name in ("is_available", "device_count", "init", "current_device", "get_device_capability", "_lazy_init"):
    setattr(torch.cuda, name, probed)
"""

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked)", name=name)
sys.meta_path.insert(0, Block())
"""

# timm and torchvision are free to import what they like: what counts is what sdx adds to them.
LIBRARIES = "import timm, torchvision, safetensors.torch, huggingface_hub"


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)


def _check(code: str) -> None:
    done = _run(code)
    assert done.returncode == 0, done.stderr


def _modules() -> list[str]:
    found = pkgutil.walk_packages(sdx.__path__, "sdx.")
    return ["sdx", *sorted(module.name for module in found if not module.name.endswith("__main__"))]


def test_kernels_work_where_only_torch_is_installed() -> None:
    _check(
        BLOCK.format(blocked=["sdx", "triton", "numpy", "timm", "torchvision", "pydantic"])
        + """
import torch
from sdx_kernels import bias_act, crop_resize, embedding_loss, modulated_conv2d, upfirdn2d
image = torch.ones(1, 3, 8, 8)
assert torch.allclose(crop_resize(image, 4, antialias=True), torch.ones(1, 3, 4, 4))
assert torch.allclose(upfirdn2d(image, torch.ones(2) / 2, down=2), torch.ones(1, 3, 4, 4))
assert torch.allclose(bias_act(image, torch.ones(3), act="relu", gain=1.0), 2 * image)
flat = modulated_conv2d(image, torch.ones(2, 3, 1, 1), torch.ones(1, 3))
assert torch.allclose(flat, torch.full((1, 2, 8, 8), 3**0.5))
assert embedding_loss(torch.eye(3), torch.eye(3), cosine=1.0)[0].item() == 0.0
assert "sdx" not in sys.modules and "triton" not in sys.modules
"""
    )


def test_kernels_import_nothing_but_torch() -> None:
    _check(
        """
import sys, torch
before = set(sys.modules)
import sdx_kernels, sdx_kernels.compat.nvidia, sdx_kernels.compat.rosinality
added = {name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
assert added == {"sdx_kernels"}, added
"""
    )


@pytest.mark.parametrize("blocked", ["sdx_kernels", "torch"])
def test_the_block_holds(blocked: str) -> None:
    done = _run(BLOCK.format(blocked=[blocked]) + "import sdx_kernels")
    assert done.returncode != 0
    assert "(blocked)" in done.stderr


def test_the_probe_is_seen() -> None:
    done = _run(NO_PROBE + "torch.zeros(1).to('cuda' if torch.cuda.is_available() else 'cpu')")
    assert done.returncode != 0
    assert "an import looked for a device" in done.stderr


@pytest.mark.parametrize(
    "package", ["sdx", "sdx_kernels", "sdx_kernels.compat.nvidia", "sdx_kernels.compat.rosinality"]
)
def test_a_package_imports_no_triton_and_probes_nothing(package: str) -> None:
    _check(
        NO_PROBE
        + f"""
import sys
before = {{name for name in sys.modules if name.split(".")[0] == "triton"}}
import {package}
assert {{name for name in sys.modules if name.split(".")[0] == "triton"}} == before
assert not torch.cuda.is_initialized()
"""
    )


def test_every_module_imports_no_triton_and_probes_nothing() -> None:
    modules = _modules()
    assert "sdx._core" in modules
    assert "sdx.training.run" in modules
    _check(
        f"{LIBRARIES}\n"
        + NO_PROBE
        + f"""
import importlib, sys
before = {{name for name in sys.modules if name.split(".")[0] == "triton"}}
for name in {modules!r}:
    importlib.import_module(name)
assert {{name for name in sys.modules if name.split(".")[0] == "triton"}} == before
assert not torch.cuda.is_initialized()
"""
    )
