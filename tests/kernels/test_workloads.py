"""The workloads of the kernel benches compute what their oracle does: a bench of a wrong call would be worthless."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from kernel_calls import Sizes, Workload, distance
from kernel_workloads import WORKLOADS
from layer_workloads import LAYERS, SEED, STREAM, layer
from peers import nvidia
from sdx_kernels import NoiseKey
from sdx_kernels.compat import nvidia as compat

OTHERS = [name for name in WORKLOADS if not name.startswith("styled_layer")]


def _sizes(dtype: torch.dtype) -> Sizes:
    return Sizes(3, 3, torch.device("cpu"), prototypes=40, side=16, dtype=dtype)


def _check(work: Workload, tolerance: float) -> None:
    assert work.error() < tolerance
    assert 0 < work.cost.bytes_min <= work.cost.bytes_kernel
    assert 0 < work.kernels.bytes_min <= work.kernels.bytes_kernel <= work.cost.bytes_kernel
    assert work.cost.flops > 0
    assert {*work.absent} in ({"NVIDIA"}, set())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", OTHERS)
def test_the_other_ops(name: str, dtype: torch.dtype) -> None:
    tolerance = 2e-6 if dtype == torch.float32 else 2e-3
    with torch.no_grad():
        work = WORKLOADS[name](_sizes(dtype))
        _check(work, tolerance)
        assert distance(work.peers["eager"](), work.oracle()) < tolerance


@pytest.mark.parametrize("up", [1, 2])
def test_a_layer(up: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.no_grad():
        work = layer(_sizes(torch.float32), 8, 5, 7, up)
        _check(work, 2e-6)
        noise = NoiseKey(SEED, torch.arange(3), STREAM).image(8, 8)
        monkeypatch.setattr(torch, "randn", lambda *shape, device: noise.view(shape))
        (peer,) = work.peers.values()
        assert distance(peer(), work.oracle()) < 2e-6
        noise.zero_()
        assert distance(peer(), work.oracle()) > 1e-2


def test_peers_that_are_nvidias_do_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    ops = nvidia.Ops(compat.modulated_conv2d, compat.bias_act.bias_act, compat.upfirdn2d.upfirdn2d, torch.nn.Identity)
    monkeypatch.setattr(nvidia, "load", lambda path: ops)
    with torch.no_grad():
        for name in OTHERS:
            work = WORKLOADS[name](_sizes(torch.float32))
            theirs = [peer for party, peer in work.peers.items() if party in nvidia.FORMS]
            assert len(theirs) == (2 if name.startswith(("bias_act", "upfirdn2d")) else 0)
            assert all(distance(peer(), work.oracle()) < 2e-6 for peer in theirs)
        for up in (1, 2):
            work = layer(_sizes(torch.float16), 8, 5, 7, up)
            # Theirs scale the input themselves and leave the colours: as much work, other values.
            assert {work.peers[name]().shape for name in nvidia.FORMS} == {work.ours()[0].shape}


def test_a_peer_without_a_checkout_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nvidia.load(None) == "no --peer-stylegan3"
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("requests", "pkg_resources"):  # not installed
        monkeypatch.setitem(sys.modules, name, None)
    assert str(nvidia.load(tmp_path)).startswith("ModuleNotFoundError: No module named 'training")
    assert not {"requests", "pkg_resources"} & sys.modules.keys()  # whoever looks later finds no stand-in


def test_every_layer_has_a_name() -> None:
    assert len(LAYERS) + len(OTHERS) == len(WORKLOADS)
