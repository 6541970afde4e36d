"""Networks that turn a face into an embedding: one architecture a file, teacher or student alike.

Every network maps its input [B, 3, S, S] to a raw (un-normalised) embedding [B, D]. A name and two numbers say all
there is to build one, so that a model file needs to hold no code.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sdx.errors import ConfigError
from sdx.networks import iresnet, mobilefacenet, own, small, timm_net, tinyfar

Builder = Callable[[int, int], nn.Module]

ARCHITECTURES: dict[str, Builder] = {
    "small": small.Small,
    "tinyfar-a": lambda embedding, size: tinyfar.TinyFaR("a", embedding, size),
    "tinyfar-b": lambda embedding, size: tinyfar.TinyFaR("b", embedding, size),
    "tinyfar-c": lambda embedding, size: tinyfar.TinyFaR("c", embedding, size),
    "mobilefacenet": mobilefacenet.MobileFaceNet,
    "iresnet-simface": iresnet.simface,
    "iresnet18": lambda embedding, size: iresnet.standard(18, embedding, size),
    "iresnet34": lambda embedding, size: iresnet.standard(34, embedding, size),
    "iresnet50": lambda embedding, size: iresnet.standard(50, embedding, size),
    "iresnet100": lambda embedding, size: iresnet.standard(100, embedding, size),
}

SIZES: dict[str, int] = {"small": 64, "iresnet-simface": 64}
"""Input side in pixels an architecture is made for, where it is not the field's 112."""

MAX_EMBEDDING = 65_536
MIN_SIZE, MAX_SIZE = 16, 1024


def default_size(architecture: str) -> int:
    """Return the input side in pixels that ``architecture`` is made for: 64 for the small ones, else 112."""
    return SIZES.get(architecture, 112)


def build(architecture: str, embedding: int, size: int) -> nn.Module:
    """Return a freshly initialised network [B, 3, size, size] -> [B, embedding], in training mode.

    The weights are drawn from torch's global generator: seed it first. Raises ConfigError for a name that is none of
    `ARCHITECTURES`, ``timm:NAME`` or a ``module:Name`` that the user has named (`sdx.networks.own`), or for sizes that
    cannot be.
    """
    if not 1 <= embedding <= MAX_EMBEDDING:
        raise ConfigError(f"expected an embedding size of 1 to {MAX_EMBEDDING}, got {embedding}")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ConfigError(f"expected an input size of {MIN_SIZE} to {MAX_SIZE} pixels, got {size}")
    if architecture.startswith(timm_net.PREFIX):
        return timm_net.build(architecture.removeprefix(timm_net.PREFIX), embedding, size)
    if own.is_own(architecture):
        return own.build(architecture, embedding, size)
    if architecture not in ARCHITECTURES:
        near = difflib.get_close_matches(architecture, ARCHITECTURES, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"unknown architecture {architecture!r}: {hint}expected one of {', '.join(ARCHITECTURES)}, timm:NAME "
            "or module:Name"
        )
    return ARCHITECTURES[architecture](embedding, size)


def parameters(network: nn.Module) -> int:
    """Return the number of learnt weights (buffers such as BatchNorm statistics do not count)."""
    return sum(parameter.numel() for parameter in network.parameters())


def macs(network: nn.Module, size: int) -> int:
    """Return multiply-accumulates of all convolutions and linear layers for one image [3, size, size].

    The field prints "FLOPs" for this count as often as for its double. Nothing is computed: shapes alone are followed,
    on torch's meta device. Products of attention (activation times activation) do not count.
    """
    count = 0

    def add(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal count
        if isinstance(module, nn.Conv2d):
            count += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            count += output.numel() * module.in_features

    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    state = {name: tensor.to("meta") for name, tensor in [*network.named_parameters(), *network.named_buffers()]}
    try:
        with evaluating(network), torch.no_grad():
            torch.func.functional_call(network, state, torch.empty(1, 3, size, size, device="meta"))
    finally:
        for hook in hooks:
            hook.remove()
    return count


def input_convolution(network: nn.Module) -> nn.Conv2d | None:
    """Return the convolution that alone reads the network's input, or None where that is not known."""
    if isinstance(network, iresnet.IResNet):
        return network.conv1
    if isinstance(network, mobilefacenet.MobileFaceNet):
        return network.conv1.conv
    if isinstance(network, small.Small):
        return network.stem.conv
    return timm_net.input_convolution(network.cnn if isinstance(network, tinyfar.TinyFaR) else network)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode and each back in its own mode afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
