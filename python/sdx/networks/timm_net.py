"""Any image network of timm as an embedding network, and timm's ImageNet weights where this machine holds them."""

from __future__ import annotations

import difflib
import pickle
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sdx.errors import ConfigError

PREFIX = "timm:"


def build(name: str, embedding: int, size: int) -> nn.Module:
    """Return timm's network ``name`` with its classifier replaced by a linear layer to ``embedding`` numbers.

    Raises ConfigError where timm knows no such network or it does not work with ``size`` pixels.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), 3)
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() lists them"
        raise ConfigError(f"timm has no network {name!r}: {hint}")
    fixed = getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False)
    options = {"img_size": size} if fixed else {}
    try:
        # Shapes alone are followed first: what does not fit the size fails here and not in training.
        with torch.device("meta"), torch.no_grad():
            shape = (
                timm.create_model(name, num_classes=embedding, **options).eval()(torch.empty(1, 3, size, size)).shape
            )
        network: nn.Module = timm.create_model(name, num_classes=embedding, **options)
    except Exception as error:  # each of a thousand models has its own way to say that it does not fit
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"timm's {name!r} does not work with {size} pixels ({reason}): take another size") from error
    if shape != (1, embedding):
        raise ConfigError(f"expected [1, {embedding}] from timm's {name!r}, got {list(shape)}: take another network")
    return network


def input_convolution(network: nn.Module) -> nn.Conv2d | None:
    """Return the one convolution through which timm itself adapts a network to other inputs, None if it names none."""
    name = (getattr(network, "pretrained_cfg", None) or {}).get("first_conv")
    module = network.get_submodule(name) if isinstance(name, str) else None
    return module if isinstance(module, nn.Conv2d) else None


def load_imagenet(network: nn.Module) -> str | None:
    """Load timm's ImageNet weights into its ``network``, from this machine's caches alone.

    Returns None when done, otherwise one line saying what was missing and how to get it; the weights are then as they
    were. The classifier, of which an embedding network has none or its own, is left out. Nothing is downloaded.
    """
    config = getattr(network, "pretrained_cfg", None)
    if not config:
        return f"there are no ImageNet weights of {type(network).__name__}, starts from random ones"
    path = _cached(config.get("hf_hub_id"), config.get("url"))
    name = config["architecture"]
    if path is None:
        return (
            f"no ImageNet weights of {name} on this machine, starts from random ones; to get them, once with network: "
            f"python -c \"import timm; timm.create_model('{name}', pretrained=True)\""
        )
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return f"ImageNet weights in {path} cannot be read ({reason}), starts from random ones; delete the file"
    classifier = f"{config.get('classifier')}."
    own, stored = _shapes(network.state_dict(), classifier), _shapes(state, classifier)
    if own != stored:
        return f"ImageNet weights in {path} are not those of {name}, starts from random ones; delete the file"
    network.load_state_dict({key: state[key] for key in own}, strict=False)
    return None


def _shapes(state: Any, classifier: str) -> dict[str, torch.Size]:
    """Return the shapes of a state dict without its classifier, nothing where it is no state dict."""
    entries = state.items() if isinstance(state, dict) else ()
    return {key: value.shape for key, value in entries if not key.startswith(classifier) and isinstance(value, Tensor)}


def _cached(hub_id: str | None, url: str | None) -> Path | None:
    """Return where the weights lie in the cache of the Hugging Face hub or of torch.hub."""
    if hub_id is not None:
        for file in ("model.safetensors", "pytorch_model.bin"):
            found = huggingface_hub.try_to_load_from_cache(hub_id, file)
            if isinstance(found, str):
                return Path(found)
    if url is not None:
        path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
        if path.is_file():
            return path
    return None
