"""What limits a teacher on a CPU: ``python docs/studies/convolution_rates.py [THREADS]``.

Prints GFLOP/s, in float32 and bfloat16 in turns, of 3x3 convolutions of IResNet's widths, of IResNet-100 the plain way
(float32, NCHW, BatchNorm as it is), and of the same network as a `Teacher`. ``ATEN_CPU_CAPABILITY=avx2
ONEDNN_MAX_CPU_ISA=AVX2`` holds torch to AVX2, where bfloat16 is left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch.nn.functional import conv2d
from torch.utils.flop_counter import FlopCounterMode

from sdx import networks, precision
from sdx.precision import FULL, Policy
from sdx.teachers import Teacher
from sdx.types import InputSpec
from sdx.weights.registry import LoadedModel

_SHAPES = ((8, 64, 112), (8, 64, 56), (8, 128, 28), (8, 256, 14), (8, 512, 7))
_ROUNDS = 7


def main() -> None:
    """Measure and print."""
    if len(sys.argv) > 1:
        torch.set_num_threads(int(sys.argv[1]))
    policies = [FULL] if torch.backends.cpu.get_cpu_capability() == "AVX2" else [FULL, Policy("bf16", "measured")]
    for images, channels, side in _SHAPES:
        calls = {policy.name: _convolution(images, channels, side, policy.convolutions) for policy in policies}
        _print(f"3x3, {channels} channels, {side} x {side}, {images} images", calls)
    network = networks.build("iresnet100", 512, 112).eval().requires_grad_(False)
    face = torch.rand(8, 3, 112, 112) * 2 - 1
    model = LoadedModel("iresnet100", network, InputSpec(112), "", (), "", 512)
    calls = {f"teacher {policy.name}": _teacher(model, face, policy) for policy in policies}
    _print("IResNet-100, 8 images", {"plain way fp32": lambda: network(face)} | calls)


def _convolution(images: int, channels: int, side: int, dtype: torch.dtype) -> Callable[[], object]:
    x = torch.randn(images, channels, side, side).to(dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
    return lambda: conv2d(x, weight, padding=1)


def _teacher(model: LoadedModel, face: torch.Tensor, policy: precision.Policy) -> Callable[[], object]:
    teacher = Teacher(model, policy=policy)
    return lambda: teacher.embed(face, "aligned")


@torch.inference_mode()
def _print(what: str, calls: dict[str, Callable[[], object]]) -> None:
    with FlopCounterMode(display=False) as counter:
        next(iter(calls.values()))()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(2 + _ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    rates = {name: counter.get_total_flops() / median(found[2:]) / 1e9 for name, found in seconds.items()}
    print(f"{what}: " + ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()) + " GFLOP/s", flush=True)


if __name__ == "__main__":
    main()
