"""``sdx info``: versions, devices and what is built in."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from typing import Any

import click
import torch

from sdx import networks, precision, recipes
from sdx.evaluation import datasets
from sdx.weights import registry


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def info(as_json: bool) -> None:
    """Show versions, devices, recipes, built-in models, architectures and verification sets."""
    policy, ratio = precision.resolve(), precision.probe()
    facts: dict[str, Any] = {
        "sdx": version("sdx"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu": f"{os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "precision": f"{policy.name}: {policy.reason}; a bf16 convolution is {ratio:.2f} times as quick as one in fp32",
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "recipes": recipes.descriptions(),
        "models": sorted(registry.builtin()),
        "architectures": list(networks.ARCHITECTURES),
        "sets": list(datasets.NAMES),
    }
    if (remark := precision.disagreement(policy, ratio)) is not None:
        facts["remark"] = remark
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            click.echo(f"{name}:")
            for key, text in value.items():
                click.echo(f"  {key}: {text}")
        else:
            click.echo(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
