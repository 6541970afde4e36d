"""The files of a cache: shards of faces and embeddings as safetensors, and the JSON that describes them.

`cache.json` lists the shards that are in place, with their lengths and checksums; shard k is `faces-K.safetensors`, K
of five digits or more. Embeddings are float32: they are small beside faces (1 KiB of 256 numbers, 12 KiB of 64 x 64
pixels), and float16 moved cosines of simface-teacher's by up to 6e-5 (all pairs of 512 faces).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import safetensors
from pydantic import Field, ValidationError
from safetensors.torch import save as to_file
from torch import Tensor

from sdx.config import Section, Settings, SourceConfig
from sdx.errors import DataError
from sdx.files import write_atomically
from sdx.types import Frame
from sdx.weights import storage
from sdx.weights.metadata import Origin

NAME = "cache.json"
FORMAT, VERSION = "sdx-cache", 1
LARGEST = 1 << 24
"""Bytes of a description, some 150,000 shards; more than that is taken for an attack or a mistake."""
_TYPES = {"faces": "U8", "embeddings": "F32", "labels": "I64", "groups": "I64"}
_AGAIN = "write the cache again with sdx cache"


class CacheSettings(Settings):
    """What decides the bytes of a cache, beside its teacher; the same keys as in `sdx.config.RunConfig`."""

    seed: int = Field(ge=0, lt=2**63)
    images: int = Field(ge=2, description="faces in all")
    batch: int = Field(ge=1, description="faces that were drawn and embedded together")
    shard: int = Field(ge=1, description="faces of a shard, but for the last one")
    precision: Literal["fp32", "bf16"]
    device: Literal["cpu", "cuda"]
    source: SourceConfig


class Shard(Section):
    """One file of faces: how many, and its sha256."""

    faces: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Description(Section):
    """What a cache says of itself.

    Args:
        settings: what it was made with.
        size: side of a face in pixels.
        frame: how the faces sit in their images.
        classes: number of labels, 0 without labels.
        groups: whether each face has a group.
        source: what drew the faces, its licence and its statement.
        teacher: what embedded them.
        provenance: where the teacher comes from.
        embedding: size of an embedding.
        shards: the files that are in place, in order.
    """

    format: Literal["sdx-cache"] = "sdx-cache"
    version: Literal[1] = 1
    settings: CacheSettings
    size: int = Field(ge=1, le=4096)
    frame: Frame
    classes: int = Field(ge=0)
    groups: bool
    source: Origin
    teacher: Origin
    provenance: tuple[Origin, ...]
    embedding: int = Field(ge=1)
    shards: tuple[Shard, ...]

    @property
    def faces(self) -> int:
        """Faces that are in place."""
        return sum(shard.faces for shard in self.shards)

    def shapes(self, faces: int) -> dict[str, list[int]]:
        """Return the shape of every tensor of a shard of so many faces."""
        found = {"faces": [faces, 3, self.size, self.size], "embeddings": [faces, self.embedding]}
        if self.classes:
            found["labels"] = [faces]
        if self.groups:
            found["groups"] = [faces]
        return found

    def length(self, number: int) -> int:
        """Return how many faces a shard of the whole cache has, none or less behind the last one."""
        return min(self.settings.shard, self.settings.images - number * self.settings.shard)


def shard_path(folder: Path, number: int) -> Path:
    """Return where a cache keeps a shard."""
    return folder / f"faces-{number:05d}.safetensors"


def write_shard(path: Path, tensors: Mapping[str, Tensor]) -> Shard:
    """Put a shard in place, all of it or nothing; OSError where it cannot be written."""
    data = to_file({name: tensor.contiguous() for name, tensor in tensors.items()}, {"format": FORMAT})
    write_atomically(path, data)
    return Shard(faces=len(tensors["faces"]), sha256=hashlib.sha256(data).hexdigest())


def write(folder: Path, description: Description) -> None:
    """Put a description in place of the one before; OSError where it cannot be written."""
    write_atomically(folder / NAME, (json.dumps(description.model_dump(mode="json"), indent=1) + "\n").encode())


def read(folder: Path) -> Description:
    """Return the description of a cache, whole or not; raises DataError where that is none or of a later version."""
    path = folder / NAME
    if not path.is_file():
        got = "a folder without it" if folder.is_dir() else "a file" if folder.exists() else "nothing there"
        raise DataError(
            f"{folder}: expected a folder with {NAME}, as sdx cache writes it, got {got}; give source.path=FOLDER"
        )
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise DataError(f"{path}: expected at most {LARGEST} bytes, got {size}; {_AGAIN}")
        values: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected a JSON description, got {error}; {_AGAIN}") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(f"{path}: expected a description that sdx cache wrote, got other JSON; give another folder")
    if values.get("version") != VERSION:
        raise DataError(f"{path}: expected version {VERSION}, got {values.get('version')!r}; use the sdx that wrote it")
    try:
        found = Description.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise DataError(f"{path}: expected a sound description, got {where}: {fault['msg']}; {_AGAIN}") from None
    for number, shard in enumerate(found.shards):
        if shard.faces != max(found.length(number), 0):
            raise DataError(
                f"{path}: expected {found.settings.images} faces in shards of {found.settings.shard}, got "
                f"{shard.faces} in shard {number}; {_AGAIN}"
            )
    return found


def check(folder: Path, description: Description) -> None:
    """Raise DataError for a shard that is missing, surplus, cut short, or of other types or shapes than described.

    No checksum is looked at: see `digest`.
    """
    paths = [shard_path(folder, number) for number in range(len(description.shards))]
    there = set(folder.glob("faces-*.safetensors"))
    if surplus := sorted(there - set(paths)):
        raise DataError(f"{surplus[0]}: expected {len(paths)} shards, got this one besides; remove it")
    for path, shard in zip(paths, description.shards, strict=True):
        if path not in there:
            raise DataError(f"{path}: expected a shard of {shard.faces} faces, got nothing there; {_AGAIN}")
        _check_header(path, description.shapes(shard.faces))


def digest(path: Path, shard: Shard) -> None:
    """Raise DataError for a shard that is not, byte for byte, the one described."""
    try:
        found = storage.digest(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {_AGAIN}") from error
    if found != shard.sha256:
        raise DataError(f"{path}: expected sha256 {shard.sha256[:12]}..., got {found[:12]}...; {_AGAIN}")


def load_shard(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a shard that `check` has seen, mapped from the file: a page is read when it is used."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (safetensors.SafetensorError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({_first_line(error)}); {_AGAIN}") from error


def _check_header(path: Path, shapes: Mapping[str, list[int]]) -> None:
    wanted = {name: (_TYPES[name], shape) for name, shape in shapes.items()}
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            found = {name: (part.get_dtype(), list(part.get_shape())) for name, part in slices.items()}
    except (safetensors.SafetensorError, OSError) as error:
        raise DataError(f"{path}: expected a shard, got a damaged file ({_first_line(error)}); {_AGAIN}") from error
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise DataError(f"{path}: expected {_said(name, wanted)}, got {_said(name, found)}; {_AGAIN}")


def _said(name: str, tensors: Mapping[str, tuple[str, list[int]]]) -> str:
    return f"{name} {tensors[name][0]} {tensors[name][1]}" if name in tensors else f"no {name}"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
