"""SimFace's verification sets: rendered once, then read from the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sdx.files import write_atomically
from sdx.random import Philox
from sdx.simface import protocols
from sdx.simface.population import Split

SEED = 0
"""Everybody's sets are the same people."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RenderedSet:
    """One rendered verification set.

    Args:
        images: uint8 [M, size, size, 3], RGB, distinct.
        pairs: int64 [P, 2] into ``images``.
        mated: bool [P].
        identity: int64 [M], the person in each image.
    """

    images: NDArray[np.uint8]
    pairs: NDArray[np.int64]
    mated: NDArray[np.bool_]
    identity: NDArray[np.int64]

    def sha256(self) -> str:
        """Return the checksum of names, dtypes, shapes and values, hex."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays by name, in a fixed order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def cache_folder() -> Path:
    """Return where rendered sets are kept: SDX_CACHE, else XDG_CACHE_HOME/sdx, else ~/.cache/sdx."""
    if own := os.environ.get("SDX_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sdx"


def cache_file(name: str, split: Split) -> Path:
    """Return the file of one set; its name changes with whatever would change the pictures."""
    key = json.dumps([name, split, SEED, protocols.RENDERER_VERSION])
    return cache_folder() / "verification" / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.safetensors"


def rendered(name: str, split: Split) -> tuple[RenderedSet, str]:
    """Return one set and its sha256, from the cache where that holds it undamaged.

    A file that is damaged is rendered again. Processes may do this at the same time: each writes a file of its own and
    then gives it the name, all or nothing. A folder that cannot be written costs the time to render, nothing else.

    Args:
        name: one of SimFace's six sets.
        split: "E-dev" or "E-test".
    """
    file = cache_file(name, split)
    found = _read(file)
    if found is not None:
        return found
    _log.info("rendering %s (%s), once: it is kept in %s", name, split, file)
    random = Philox(SEED)
    protocol_set = protocols.pairs(name, split, random)
    images = protocols.render_set(protocol_set, random)
    layout = (tensor.numpy() for tensor in (protocol_set.pairs, protocol_set.mated, protocol_set.identity))
    fresh = RenderedSet(images, *layout)
    checksum = fresh.sha256()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, save(fresh.arrays(), {"sha256": checksum}))
    except OSError as error:
        _log.warning("verification set not kept (%s): set SDX_CACHE to a folder that can be written", error)
    return fresh, checksum


def _read(file: Path) -> tuple[RenderedSet, str] | None:
    """Return the set in ``file`` and its sha256, None where there is none or it is damaged."""
    try:
        with safe_open(file, framework="np") as stored:
            found = RenderedSet(**{field.name: stored.get_tensor(field.name) for field in fields(RenderedSet)})
            expected = (stored.metadata() or {}).get("sha256")
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError) as error:
        _log.warning("%s: damaged, rendering again (%s)", file, error)
        return None
    checksum = found.sha256()
    if checksum != expected:
        _log.warning("%s: checksum does not hold, rendering again", file)
        return None
    return found, checksum
