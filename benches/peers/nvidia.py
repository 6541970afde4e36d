"""NVIDIA's own ops out of a checkout of their stylegan3 (non-commercial licence), which stays where it is.

    python -m peers.nvidia PATH

compiles their CUDA plugins, which takes a minute and more and is kept on disk.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import parse

from gpu_timing import first_line

NAME = "NVIDIA"
FORMS = {"NVIDIA, fused": (True, False), "NVIDIA": (False, False), "NVIDIA, channels_last": (False, True)}
"""How their layers run: whether modulation is part of the weight, and the memory format; the first is their default."""


@dataclass(frozen=True)
class Ops:
    """What is compared with."""

    modulated_conv2d: Callable[..., Any]
    bias_act: Callable[..., Any]
    upfirdn2d: Callable[..., Any]
    network: Callable[..., Any]
    """Their synthesis network."""


@cache
def load(path: Path | None) -> Ops | str:
    """Return their ops with the CUDA plugins in them, or why there are none."""
    if path is None:
        return "no --peer-stylegan3"
    try:
        networks, bias_act, upfirdn2d = _modules(path)
        for module in (bias_act, upfirdn2d):
            if not module._init():
                return f"{module.__name__} has no CUDA plugin"
    except Exception as error:  # their code is older than this torch, and nvcc may be missing
        return first_line(error)
    return Ops(networks.modulated_conv2d, bias_act.bias_act, upfirdn2d.upfirdn2d, networks.SynthesisNetwork)


def _modules(path: Path) -> list[Any]:
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))
    names = ("training.networks_stylegan2", "torch_utils.ops.bias_act", "torch_utils.ops.upfirdn2d")
    with _stand_ins():
        return [importlib.import_module(name) for name in names]


@contextmanager
def _stand_ins() -> Iterator[None]:
    """While their code is imported, stand in for what it needs a name of; others would take a stand-in for real."""
    made = []
    for name, content in (("requests", {}), ("pkg_resources", {"parse_version": parse})):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            sys.modules[name] = types.ModuleType(name)
            vars(sys.modules[name]).update(content)
            made.append(name)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


if __name__ == "__main__":
    found = load(Path(sys.argv[1]))
    print(f"{NAME}: {found if isinstance(found, str) else 'ready'}")
