"""Checkpoints: named objects' state as one safetensors file with its checksum beside it, written atomically."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import safetensors
import safetensors.torch
from torch import Tensor

from sdx import config as configuration
from sdx import files
from sdx.config import Settings
from sdx.errors import CheckpointError, ConfigError
from sdx.files import check_writable, write_atomically

KEEP = 2
"""Checkpoints kept: the newest, and the one before in case the newest is damaged."""

_log = logging.getLogger(__name__)


class Stateful(Protocol):
    """Anything with a state of tensors, numbers, strings and containers of them."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state."""

    def load_state_dict(self, state: Any) -> Any:
        """Take over the state."""


def save(folder: Path, images_seen: int, objects: Mapping[str, Stateful]) -> None:
    """Write the state of ``objects`` and drop all but the newest `KEEP`; raises CheckpointError if it cannot.

    The JSON with the checksum is written last: without it a file does not count.
    """
    tensors: dict[str, Tensor] = {}
    tree = {name: _take_apart(thing.state_dict(), name, tensors) for name, thing in objects.items()}
    data = safetensors.torch.save(tensors, metadata={"state": json.dumps(tree)})
    path = folder / f"{images_seen:012d}.safetensors"
    note = {"images_seen": images_seen, "sha256": hashlib.sha256(data).hexdigest()}
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
        write_atomically(path.with_suffix(".json"), json.dumps(note).encode())
        for old in sorted(folder.glob("*.json"))[:-KEEP]:
            old.unlink()
            old.with_suffix(".safetensors").unlink(missing_ok=True)


def load(folder: Path, objects: Mapping[str, Stateful]) -> int:
    """Restore ``objects`` from the newest sound checkpoint and return its images seen, 0 if there is none at all.

    A damaged checkpoint is named in a warning and the one before is taken; CheckpointError if none is sound.
    """
    notes = sorted(folder.glob("*.json"), reverse=True)
    for note in notes:
        try:
            images_seen, tree, tensors = _read(note)
        except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
            _log.warning("%s: damaged checkpoint (%s), trying the one before", note.with_suffix(".safetensors"), error)
            continue
        if tree.keys() != objects.keys():
            raise CheckpointError(
                f"{note}: expected the state of {sorted(objects)}, got {sorted(tree)}; use a new run folder"
            )
        for name, thing in objects.items():
            thing.load_state_dict(_put_together(tree[name], tensors))
        return images_seen
    if notes:
        raise CheckpointError(f"{folder}: expected a sound checkpoint, got {len(notes)} damaged; use a new run folder")
    return 0


def _read(note: Path) -> tuple[int, dict[str, Any], dict[str, Tensor]]:
    facts = json.loads(note.read_text())
    path = note.with_suffix(".safetensors")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise ValueError("checksum differs")
    with safetensors.safe_open(path, "pt") as file:
        tree = json.loads(file.metadata()["state"])
    return int(facts["images_seen"]), tree, safetensors.torch.load(data)


def _take_apart(state: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return ``state`` as JSON with its tensors moved to ``tensors`` under their path.

    A mapping becomes a list of pairs, for JSON has no integer keys, and an optimiser's state has.
    """
    if isinstance(state, Tensor):
        tensors[name] = state.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(state, Mapping):
        return {"map": [[key, _take_apart(value, f"{name}/{key}", tensors)] for key, value in state.items()]}
    if isinstance(state, list | tuple):
        return [_take_apart(value, f"{name}/{place}", tensors) for place, value in enumerate(state)]
    if state is None or isinstance(state, bool | int | float | str):
        return state
    raise TypeError(f"{name}: expected a state of tensors, numbers, strings and containers, got {type(state).__name__}")


def _put_together(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_put_together(item, tensors) for item in tree]
    if isinstance(tree, dict):
        if "tensor" in tree:
            return tensors[tree["tensor"]]
        return {key: _put_together(value, tensors) for key, value in tree["map"]}
    return tree


def check(config: Settings, folder: Path) -> None:
    """Raise an SdxError unless ``folder`` is new, empty, or holds a run of this configuration; nothing is written."""
    path = folder / "config.toml"
    if path.exists():
        if drift := configuration.differences(configuration.load(path, type(config)), config):
            raise ConfigError(
                f"{folder} holds a run with another configuration ({'; '.join(drift)}); use a new --run-dir"
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise CheckpointError(f"{folder}: expected an empty or a run folder, got other files; use a new --run-dir")


@contextlib.contextmanager
def claim(config: Settings, folder: Path) -> Iterator[None]:
    """Make the run folder if it is not there and write its configuration; while entered, no other run can claim it.

    Raises CheckpointError if that cannot be, or another run goes on there, and what `check` does.
    """
    writable(folder)
    taken = f"{folder}: expected a run folder that nobody writes, got one where a run goes on"
    with files.alone(folder, CheckpointError(f"{taken}; wait for it or use another --run-dir")):
        check(config, folder)  # for another run may have begun and ended since the caller looked
        with writing(path := folder / "config.toml"):
            write_atomically(path, configuration.dump(config).encode())
        yield


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """While entered, an OSError means that ``path``, of a run folder, cannot be written: a CheckpointError says so."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path}: cannot be written ({reason}); free space or use --run-dir") from error


def writable(folder: Path) -> None:
    """Raise CheckpointError unless files can be created in ``folder`` (made if it is not there)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder / "config.toml")
    except OSError as error:
        raise CheckpointError(
            f"{folder}: expected a writable run folder, got: {error.strerror}; use --run-dir"
        ) from error
