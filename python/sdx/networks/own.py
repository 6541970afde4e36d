"""Networks of the user's own, asked for as ``module:Name`` by the user and by nobody else.

A model file names its architecture. Were ``module:Name`` built because a file says so, opening a file would run code;
so a process builds those alone that its user has named: in a run's students, or for `sdx eval` with ``--own``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import nn

from sdx import plugins
from sdx.errors import ConfigError

Builder = Callable[[int, int], nn.Module]

_FORM = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_allowed: dict[str, Builder] = {}


def is_own(architecture: str) -> bool:
    """Return whether ``architecture`` has the form of a user's own; ``timm:NAME`` is timm's."""
    return _FORM.fullmatch(architecture) is not None and not architecture.startswith("timm:")


def allow(architecture: str) -> None:
    """Let `build` make ``module:Name``, called with (embedding, size), from now on.

    Raises ConfigError where the module cannot be imported or has no such name.
    """
    _allowed[architecture] = plugins.load(architecture)


def build(architecture: str, embedding: int, size: int) -> nn.Module:
    """Return a network of the user's own, [B, 3, size, size] -> [B, embedding].

    Raises ConfigError for one that the user has not named, that cannot be built, or that returns another shape.
    """
    if architecture not in _allowed:
        raise ConfigError(
            f"architecture {architecture!r} is code outside of sdx, which no file may ask for: "
            f"if you trust it, name it yourself with --own {architecture}"
        )
    try:
        network = _allowed[architecture](embedding, size)
        if not isinstance(network, nn.Module):
            raise TypeError(f"expected a torch.nn.Module, got {type(network).__name__}")
        is_training = network.training
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        with torch.no_grad():
            shape = list(network.eval()(torch.zeros(2, 3, size, size, device=device)).shape)
        network.train(is_training)
    except Exception as error:  # the user's code may raise anything; its traceback hangs on this error
        raise ConfigError(f"{architecture}: cannot be made ({type(error).__name__}: {error})") from error
    if shape != [2, embedding]:
        raise ConfigError(f"{architecture}: expected embeddings [2, {embedding}] of two faces, got {shape}")
    return network
