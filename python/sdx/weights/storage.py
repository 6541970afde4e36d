"""What all model files share: safetensors with a JSON header, written whole or not at all, no code in it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import safetensors
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from sdx.errors import ArtefactError
from sdx.files import write_atomically

Storage = Literal["fp32", "fp16"]


def write(path: Path, kind: str, version: int, meta: str, state: dict[str, Tensor]) -> str:
    """Write weights and metadata (JSON) so that ``path`` holds either the old file or all of the new one.

    The same weights and metadata make the same bytes. Returns the file's sha256; raises ArtefactError where it cannot
    be written.
    """
    data = _in_order(to_bytes(state, {"format": kind, "version": str(version), "meta": meta}))
    try:
        write_atomically(path, data)
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be written ({error.strerror or error}): check folder and space") from error
    return hashlib.sha256(data).hexdigest()


def read(path: Path, kind: str, version: int) -> tuple[str, dict[str, Tensor]]:
    """Return metadata and weights of a file `write` made.

    Raises ArtefactError for a file that is missing, truncated, of another kind or of another version.
    """
    if not path.is_file():
        raise ArtefactError(f"{path}: expected a model file, got {'a folder' if path.is_dir() else 'nothing there'}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (safetensors.SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ArtefactError(f"{path}: not a safetensors file or damaged ({reason}): get the file again") from error
    if header.get("format") != kind:
        origin = header.get("format") or "safetensors of another origin"
        raise ArtefactError(f"{path}: expected {_SAID[kind]} saved by sdx, got {_SAID.get(origin, origin)}")
    if header.get("version") != str(version):
        raise ArtefactError(
            f"{path}: expected format version {version}, got {header.get('version')}: use the sdx that wrote it"
        )
    return header.get("meta", ""), state


def _in_order(data: bytes) -> bytes:
    """Return a safetensors file with its metadata sorted by key: safetensors puts them in another order every time."""
    start, length = 8, int.from_bytes(data[:8], "little")
    header = json.loads(data[start : start + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # as the format has it, so that tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data[start + length :]


_SAID = {"sdx-model": "a model", "sdx-generator": "a generator"}
"""Kinds of files in words."""


def stored(network: nn.Module, storage: Storage) -> dict[str, Tensor]:
    """Return the network's state as it is stored: ``fp16`` rounds matrices and kernels, vectors stay as they are."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return {
        name: t.half() if storage == "fp16" and t.is_floating_point() and t.ndim > 1 else t.clone()
        for name, t in state.items()
    }


def compare(path: Path, network: str, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Raise ArtefactError where ``state`` lacks weights of ``network``, has others, or has them in another shape."""
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    wrong = [
        f"{name} {list(state[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    for what, names in (("lacks", missing), ("has unknown", extra), ("has mis-shaped", wrong)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ArtefactError(f"{path}: {what} weights of {network}: {names[0]}{more}: a file of another network")


def digest(path: Path) -> str:
    """Return the sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what writes a file now."""
    return {name: _version(name) for name in ("sdx", "torch", "timm")}


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return "not installed"
