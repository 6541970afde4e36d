"""Reader of EdgeFace's published weights, a plain torch state dict (George et al., arXiv 2307.01838)."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import torch
from torch import Tensor

from sdx import networks
from sdx.errors import ArtefactError
from sdx.types import InputSpec
from sdx.weights.licence import NON_COMMERCIAL
from sdx.weights.metadata import Origin
from sdx.weights.model import LoadedModel

ARCHITECTURE = "timm:edgenext_x_small"
EMBEDDING = 512
SPEC = InputSpec(112)


def load(path: Path) -> LoadedModel:
    """Return EdgeFace-XS, the plain one: RGB of 112 pixels in [-1, 1] to a raw embedding of 512.

    Raises ArtefactError for a file that is no state dict, or one of another size of EdgeFace.
    """
    if not path.is_file():
        raise ArtefactError(
            f"{path}: expected EdgeFace weights, got {'a folder' if path.is_dir() else 'nothing there'}"
        )
    state = {name.removeprefix("model."): tensor for name, tensor in _read(path).items()}
    if any(".linear1." in name or ".linear2." in name for name in state):
        raise ArtefactError(f"{path}: expected EdgeFace-XS, got a low-rank EdgeFace (gamma), which sdx does not read")
    with torch.random.fork_rng(devices=[]):
        network = networks.build(ARCHITECTURE, EMBEDDING, SPEC.size)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        wrong = " ".join(str(error).splitlines()[1:2]).strip()[:160]
        raise ArtefactError(f"{path}: expected EdgeFace-XS, got other weights ({wrong})") from error
    return LoadedModel(
        name=path.stem,
        network=network.eval().requires_grad_(False),
        spec=SPEC,
        licence=NON_COMMERCIAL,
        provenance=(
            Origin(
                role="network",
                name="EdgeFace-XS",
                licence=NON_COMMERCIAL,
                data="trained by its authors on photographs of real people",
            ),
        ),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        embedding=EMBEDDING,
    )


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, "cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise ArtefactError(f"{path}: expected a torch state dict, got a damaged or foreign file ({reason})") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) and isinstance(k, str) for k, v in state.items()):
        raise ArtefactError(
            f"{path}: expected a torch state dict of tensors, got {type(state).__name__} of other things"
        )
    return state
