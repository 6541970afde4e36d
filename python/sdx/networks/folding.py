"""BatchNorm and input scale folded into the weights of a frozen network, only where the result is the same function."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from timm.layers import BatchNormAct2d
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

NORMS: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d, BatchNormAct2d)


class Tracer(fx.Tracer):
    """Follows calls of modules down to torch's own and to every BatchNorm, timm's with activation included."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether calls of ``m`` are followed no further."""
        return isinstance(m, _BatchNorm) or super().is_leaf_module(m, module_qualified_name)


def fold_batchnorm(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode with each BatchNorm that directly follows a convolution or linear layer folded.

    A BatchNorm *before* a zero-padded convolution (`iresnet.Block.bn1`) stays: its shift would have to be zero in the
    padding. A network whose flow of data cannot be followed by torch.fx is returned as an unfolded copy.
    """
    folded = copy.deepcopy(network).eval()
    for source, name in _pairs(folded):
        layer, norm = folded.get_submodule(source), folded.get_submodule(name)
        with torch.no_grad():
            if isinstance(layer, nn.Linear) and isinstance(norm, _BatchNorm):
                folded.set_submodule(source, fuse_linear_bn_eval(layer, norm))
            elif isinstance(layer, nn.Conv2d) and isinstance(norm, _BatchNorm):
                folded.set_submodule(source, fuse_conv_bn_eval(layer, norm))
        # timm's BatchNormAct2d carries its activation, which stays behind.
        activation = getattr(norm, "act", None)
        folded.set_submodule(name, activation if isinstance(activation, nn.Module) else nn.Identity())
    return folded


def fold_input_scale(convolution: nn.Conv2d, scale: float, *, swap_channels: bool) -> None:
    """Make ``convolution`` take x where it took scale * x, with the channels of x in reverse order if asked.

    Exact with zero padding, which neither changes; a shift would not be, so there is none.
    """
    with torch.no_grad():
        weight = convolution.weight * scale
        convolution.weight.copy_(weight.flip(1) if swap_channels else weight)


def _pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Return (layer, BatchNorm) names where the norm alone reads the layer's output and both are called once."""
    if not any(isinstance(module, _BatchNorm) for module in network.modules()):
        return []
    try:
        graph = Tracer().trace(network)
    except Exception:  # whatever a user's forward raises when handed proxies instead of tensors; unfolded is right too
        return []
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    return [
        (str(source.target), str(node.target))
        for node in graph.nodes
        if is_call(node, network, NORMS)
        and is_call(source := node.args[0], network, (nn.Conv2d, nn.Linear))
        and len(source.users) == calls[str(source.target)] == calls[str(node.target)] == 1
        and _fits(network.get_submodule(str(source.target)), network.get_submodule(str(node.target)))
        and not _is_shared(network, str(source.target), str(node.target))
    ]


def is_call(node: Any, network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> bool:
    """Return whether ``node`` calls a module of one of ``kinds``.

    Subclasses do not count: they may treat the weight first, as a weight-standardised convolution does.
    """
    is_call = isinstance(node, fx.Node) and node.op == "call_module"
    return is_call and type(network.get_submodule(str(node.target))) in kinds


def _fits(layer: nn.Module, norm: nn.Module) -> bool:
    """Without running statistics a BatchNorm uses the batch's own even in evaluation mode."""
    outputs = getattr(layer, "out_channels", None) or getattr(layer, "out_features", None)
    return getattr(norm, "running_mean", None) is not None and getattr(norm, "num_features", None) == outputs


def _is_shared(network: nn.Module, *names: str) -> bool:
    """Return whether a weight of one of the modules also stands under a second name."""
    weights = Counter(id(parameter) for _, parameter in network.named_parameters(remove_duplicate=False))
    return any(weights[id(p)] > 1 for name in names for p in network.get_submodule(name).parameters())
