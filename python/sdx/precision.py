"""Number formats: a pure function of what the processor or GPU has, resolved once a run and stored in it.

Without bfloat16 instructions a processor emulates the format at a hundredth of its speed; with them a convolution takes
half the time. What is small or decides alone stays in float32 everywhere: mapping, styles, dcoef, colours, the last
fully connected layer, losses and optimisers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.functional import conv2d, prelu

from sdx_kernels import layout

Name = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Policy:
    """What a run computes in.

    Args:
        name: ``fp32`` everywhere, or ``bf16`` for the convolutions of what is frozen and, on a CPU, of students.
        reason: why, in words.
    """

    name: Name
    reason: str

    @property
    def convolutions(self) -> torch.dtype:
        """Format of the convolutions."""
        return torch.bfloat16 if self.name == "bf16" else torch.float32


_BF16_CAPABILITY = (8, 0)

FULL = Policy("fp32", "asked for")
"""float32 everywhere: what references, evaluation and files use."""


def resolve(capabilities: dict[str, Any] | None = None) -> Policy:
    """Return the policy of a processor with ``capabilities``, those of this one unless given."""
    found = torch.cpu.get_capabilities() if capabilities is None else capabilities
    if found.get("amx_bf16"):
        return Policy("bf16", "the processor has AMX for bfloat16")
    if found.get("avx512_bf16"):
        return Policy("bf16", "the processor has AVX-512 for bfloat16")
    return Policy("fp32", "the processor has no instructions for bfloat16")


def of(device: torch.device) -> Policy:
    """Return the policy of a device."""
    return of_gpu(torch.cuda.get_device_capability(device)) if device.type == "cuda" else resolve()


def of_gpu(capability: tuple[int, int]) -> Policy:
    """Return the policy of a GPU of a compute capability."""
    name = "{}.{}".format(*capability)
    if capability >= _BF16_CAPABILITY:
        return Policy("bf16", f"a GPU of compute capability {name} has bfloat16")
    return Policy("fp32", f"a GPU of compute capability {name} has no bfloat16")


def of_students(policy: Policy, device: torch.device) -> Policy:
    """Return the policy of students: the run's on a CPU, float32 on a GPU, where half of it has not been measured."""
    return policy if device.type == "cpu" else FULL


def probe(seconds: float = 0.1) -> float:
    """Return how many times quicker a bfloat16 convolution is than a float32 one here, measured for ``seconds``."""
    spent = {}
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(4, 64, 16, 16).to(dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.randn(64, 64, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
        best, end = float("inf"), time.perf_counter() + seconds / 2
        with torch.inference_mode():
            conv2d(x, weight)
            while time.perf_counter() < end or best == float("inf"):
                start = time.perf_counter()
                conv2d(x, weight)
                best = min(best, time.perf_counter() - start)
        spent[dtype] = best
    return spent[torch.float32] / spent[torch.bfloat16]


def disagreement(policy: Policy, ratio: float) -> str | None:
    """Return in words where the machine does not do what the policy expects of it, None where it does."""
    if policy.name == "bf16" and ratio < 1.0:
        return f"bf16 should be quicker here, but a convolution took {1 / ratio:.1f} times as long: use precision=fp32"
    if policy.name == "fp32" and ratio > 1.2:
        return f"fp32 should be quicker here, but bf16 took {1 / ratio:.2f} of its time: use precision=bf16"
    return None


def convert(network: nn.Module, policy: Policy) -> nn.Module:
    """Put the convolutions of a frozen network, and what lies between them, into the policy's format, in place.

    Linear layers and what follows them stay in float32. A network with other layers than convolutions, BatchNorm, PReLU
    and fully connected ones is left as it is: what its formats may be is not known.
    """
    if policy.name == "fp32" or not all(isinstance(module, _KNOWN) for module in network.modules() if _is_leaf(module)):
        return network
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.PReLU):
            network.set_submodule(name, _PReLU(module.weight.detach().to(policy.convolutions)))
        elif isinstance(module, nn.Conv2d):
            module.to(policy.convolutions)
        elif isinstance(module, nn.Linear):
            module.register_forward_pre_hook(_to_float)
    network.register_forward_pre_hook(_to_half)
    return network


class _PReLU(nn.Module):
    """A frozen PReLU over rows of several pixels: with few channels torch's own runs value by value in half formats."""

    def __init__(self, slope: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("slope", slope)
        self.slope: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, C, H, W] in channels_last."""
        x = x.contiguous(memory_format=torch.channels_last)
        rows, k = layout.rows(x)
        y = prelu(rows.flatten(0, 1), self.slope.expand(rows.shape[2] // k).repeat(k))
        return y.view(len(x), *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)


_KNOWN = (
    nn.Conv2d,
    nn.BatchNorm2d,
    nn.BatchNorm1d,
    nn.PReLU,
    nn.ReLU,
    nn.Identity,
    nn.Linear,
    nn.Flatten,
)


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def _to_half(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(x.to(torch.bfloat16) for x in inputs)


def _to_float(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(x.float() for x in inputs)
