"""Optimisers from their configuration, and averaged weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sdx.config import OptimizerConfig


def build(config: OptimizerConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Return the configured optimiser of parameter groups; each group has its ``multiplier`` of the learning rate.

    On a GPU a step is one kernel, not several for each kind of operation, which the host needs longer to start than the
    device to run.
    """
    fused = all(parameter.is_cuda for group in groups for parameter in group["params"])
    match config.kind:
        case "adam":
            return torch.optim.Adam(groups, config.lr, config.betas, weight_decay=config.weight_decay, fused=fused)
        case "adamw":
            return torch.optim.AdamW(groups, config.lr, config.betas, weight_decay=config.weight_decay, fused=fused)
        case "sgd":
            return torch.optim.SGD(groups, config.lr, config.momentum, weight_decay=config.weight_decay, fused=fused)


def load(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over an optimiser's state, of the same or of another device.

    Whether a step is fused is the device's matter; moments get the strides of their parameters, which it counts on.
    """
    groups = [
        saved | {"fused": own["fused"]}
        for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict(state | {"param_groups": groups})
    for parameter, entries in optimizer.state.items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                entries[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group to ``rate`` times its multiplier."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["multiplier"]


@torch.no_grad()
def average(averaged: nn.Module, current: nn.Module, keep: float) -> None:
    """Move averaged weights and statistics towards the current ones by the share 1 - keep; counters are copied."""
    old, new = averaged.state_dict(), current.state_dict()
    floats = [name for name, value in old.items() if value.is_floating_point()]
    torch._foreach_lerp_([old[name] for name in floats], [new[name] for name in floats], 1 - keep)
    for name in old.keys() - set(floats):
        old[name].copy_(new[name])
