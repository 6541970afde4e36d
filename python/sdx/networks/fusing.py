"""What follows a convolution of a frozen network as one kernel: its bias, then a PReLU or a residual sum.

On CUDA torch adds the bias in a pass over the image of its own, and each of the others is another.
"""

from __future__ import annotations

import operator
from collections import Counter
from typing import Any

import torch
from torch import Tensor, fx, nn

from sdx.networks.folding import Tracer, is_call
from sdx_kernels.channelwise import channelwise

_SUMS = (operator.add, torch.add)


def fuse_endings(network: nn.Module) -> nn.Module:
    """Return ``network`` with the bias of a convolution moved into the PReLU or sum that alone reads its output.

    The same function but for rounding; quicker on CUDA alone. For a network in evaluation mode whose BatchNorm is
    folded; its modules are taken over, and changed. What torch.fx cannot follow, has hooks (they see what modules
    pass on) or nothing to fuse is returned as it is.
    """
    if any(module._forward_hooks or module._forward_pre_hooks for module in network.modules()):
        return network
    try:
        graph = Tracer().trace(network)
    except Exception:  # whatever a user's forward raises when handed proxies instead of tensors
        return network
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    calls.update(str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr")
    endings = {node: found for node in graph.nodes if (found := _biased_arguments(node, network, calls))}
    if not endings:
        return network
    fused = fx.GraphModule(network, graph)
    for number, (node, found) in enumerate(endings.items()):
        _fuse(fused, node, found, f"ending{number}")
    fused.delete_all_unused_submodules()
    fused.recompile()
    return fused


def _biased_arguments(node: fx.Node, network: nn.Module, calls: Counter[str]) -> dict[Any, nn.Conv2d]:
    """Return the convolutions whose bias a PReLU or a sum can take over, by the argument that each comes as."""
    is_sum = node.op == "call_function" and node.target in _SUMS
    if node.kwargs or not (is_sum or is_call(node, network, (nn.PReLU,))):
        return {}
    if not all(isinstance(argument, fx.Node) for argument in node.args) or len(set(node.args)) != 1 + is_sum:
        return {}
    found = {argument: _biased(argument, network, calls) for argument in node.args}
    return {argument: convolution for argument, convolution in found.items() if convolution is not None}


def _biased(node: Any, network: nn.Module, calls: Counter[str]) -> nn.Conv2d | None:
    """Return the convolution with a bias whose output ``node`` is, called once and read once."""
    while len(node.users) == 1 and is_call(node, network, (nn.Identity,)) and isinstance(node.args[0], fx.Node):
        node = node.args[0]
    if len(node.users) != 1 or not is_call(node, network, (nn.Conv2d,)) or calls[str(node.target)] != 1:
        return None
    convolution = network.get_submodule(str(node.target))
    return convolution if isinstance(convolution, nn.Conv2d) and convolution.bias is not None else None


def _fuse(network: fx.GraphModule, node: fx.Node, found: dict[Any, nn.Conv2d], name: str) -> None:
    """Put the fused step in the place of ``node``; what it reads besides images is in float32 or better."""
    (x, first), *others = found.items()
    bias = _taken(first)
    for _, other in others:
        if other.out_channels == first.out_channels:
            bias = bias + _taken(other)
    network.register_buffer(f"{name}_bias", bias)
    with network.graph.inserting_before(node):
        arguments = [x, network.graph.get_attr(f"{name}_bias")]
        if node.op == "call_module":
            slope = network.get_submodule(str(node.target)).weight
            assert isinstance(slope, Tensor)
            network.register_buffer(f"{name}_slope", _wide(slope).expand(first.out_channels).contiguous())
            step = network.graph.call_function(
                channelwise, tuple(arguments), {"slope": network.graph.get_attr(f"{name}_slope")}
            )
        else:
            added = next(argument for argument in node.args if argument is not x)
            step = network.graph.call_function(_summed, (*arguments, added))
    node.replace_all_uses_with(step)
    network.graph.erase_node(node)


def _taken(convolution: nn.Conv2d) -> Tensor:
    """Return the bias of a convolution, which has none afterwards."""
    assert convolution.bias is not None
    bias = _wide(convolution.bias)
    convolution.bias = None
    return bias


def _wide(parameter: Tensor) -> Tensor:
    return parameter.detach().to(torch.promote_types(parameter.dtype, torch.float32))


def _summed(x: Tensor, bias: Tensor, added: Any) -> Any:
    """Return ``x + bias + added``; that both are images alike is not known before they are there."""
    if isinstance(added, Tensor) and added.shape == x.shape and added.dtype == x.dtype:
        return channelwise(x, bias, added=added)
    return channelwise(x, bias) + added
