"""A cache of faces and embeddings: what it gives is what was drawn and embedded, and what is no cache is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdx import config, recipes, sources, teachers
from sdx.config import SourceConfig
from sdx.errors import ConfigError, DataError
from sdx.random import Philox
from sdx.sources import CacheSource, cache_file
from sdx.sources.levels import to_bytes, to_faces
from sdx.training.cache import Writer
from sdx.types import HELD_OUT

COUNT, SHARD = 96, 40
TRAIN = COUNT - COUNT // 20
SETTINGS = {"images": str(COUNT), "batch": "16", "precision": "fp32", "device": "cpu", "source": "simface"}


def _write(folder: Path, **changed: str) -> Path:
    keys = SETTINGS | {key.replace("__", "."): value for key, value in changed.items()}
    Writer(config.override(recipes.get("demo"), keys), folder, SHARD).write()
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of 96 SimFace faces in shards of 40, 40 and 16."""
    return _write(tmp_path_factory.mktemp("cache") / "faces")


@pytest.fixture
def copy(cache: Path, tmp_path: Path) -> Path:
    """Return a copy of the cache to damage."""
    return Path(shutil.copytree(cache, tmp_path / "faces"))


def _source(folder: Path, seed: int = 0, size: int | None = None) -> CacheSource:
    return CacheSource(str(folder), size, Philox(seed))


def _all(folder: Path) -> tuple[Tensor, Tensor]:
    """Return faces and targets of a whole cache in the order in which they were drawn."""
    shards = [cache_file.load_shard(path) for path in sorted(folder.glob("faces-*"))]
    return to_faces(torch.cat([s["faces"] for s in shards])), torch.cat([s["embeddings"] for s in shards])


def _numbers(source: CacheSource, first: int, count: int, faces: Tensor) -> list[int]:
    """Return which face of the cache each image shows, found by its pixels."""
    drawn = source.draw(torch.arange(first, first + count)).face
    same = (drawn[:, None, :, :4] == faces[None, :, :, :4]).flatten(2).all(2)
    assert same.sum(1).tolist() == [1] * count
    return same.int().argmax(1).tolist()


def test_faces_are_the_source_s_and_targets_the_teacher_s_of_these_very_faces(cache: Path) -> None:
    simface = sources.build(SourceConfig(kind="simface"), Philox(0))
    drawn = sources.by_number(simface, torch.arange(COUNT)).face
    faces, targets = _all(cache)
    assert torch.equal(faces, to_faces(to_bytes(drawn)))
    assert not torch.equal(faces, drawn)
    teacher = teachers.build("simface-teacher")
    error = (teacher.embed(faces, "aligned") - targets).abs().max()
    assert error < 1e-5  # batches of another size
    assert (teacher.embed(drawn, "aligned") - targets).abs().max() > 100 * error + 1e-4


def test_every_image_brings_its_own_target(cache: Path) -> None:
    faces, targets = _all(cache)
    source = _source(cache)
    for first in (0, TRAIN - 8, HELD_OUT):
        number = _numbers(source, first, 16, faces) if first < HELD_OUT else _numbers(source, first, 4, faces)
        batch = source.draw(torch.arange(first, first + len(number)))
        assert batch.target is not None
        assert torch.equal(batch.target, targets[number])
        assert torch.equal(batch.face, faces[number])


def test_epochs_are_permutations_without_the_held_out(cache: Path) -> None:
    source, faces = _source(cache), _all(cache)[0]
    first, second = _numbers(source, 0, TRAIN, faces), _numbers(source, TRAIN, TRAIN, faces)
    held = _numbers(source, HELD_OUT, COUNT - TRAIN, faces)
    assert len(set(first)) == TRAIN
    assert sorted(first) == sorted(second)
    assert first != second
    assert set(held).isdisjoint(first)
    assert set(held) | set(first) == set(range(COUNT))
    assert first == [number for n in range(0, TRAIN, 7) for number in _numbers(source, n, min(7, TRAIN - n), faces)]
    assert first != _numbers(_source(cache, seed=1), 0, TRAIN, faces)


def test_labels_and_groups_of_the_source(cache: Path, tmp_path: Path) -> None:
    keys = {"source": "simface-labelled", "source__identities": "8", "source__views": "15", "source__size": "32"}
    folder = _write(tmp_path / "labelled", **keys)
    live = sources.build(SourceConfig(kind="simface-labelled", identities=8, views=15, size=32), Philox(0))
    drawn = sources.by_number(live, torch.arange(COUNT))
    source = _source(folder)
    assert source.classes == 8
    batch = source.draw(torch.arange(TRAIN))
    number = torch.tensor(_numbers(source, 0, TRAIN, drawn.face))
    assert drawn.label is not None
    assert batch.label is not None
    assert torch.equal(batch.label, drawn.label[number])
    assert batch.group is None
    unlabelled = _source(cache).draw(torch.arange(4))
    assert unlabelled.label is None
    assert unlabelled.group is not None


def test_a_cache_has_one_size(cache: Path) -> None:
    assert _source(cache, size=64).size == 64
    with pytest.raises(ConfigError, match=r"source\.size: expected 64"):
        _source(cache, size=32)
    with pytest.raises(ConfigError, match=r"source\.path: expected a folder"):
        sources.build(SourceConfig(kind="cache"), Philox(0))


def _described(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = json.loads((folder / "cache.json").read_text())
        change(values)
        (folder / "cache.json").write_text(json.dumps(values))

    return damage


def _bytes(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes())) and None


def _rewritten(change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Callable[[Path], None]:
    """Return a damage of tensors under a checksum that is right."""

    def damage(folder: Path) -> None:
        path = cache_file.shard_path(folder, 2)
        tensors = {name: tensor.clone() for name, tensor in cache_file.load_shard(path).items()}
        made = cache_file.write_shard(path, change(tensors))
        described = _described(lambda values: values["shards"][2].update(sha256=made.sha256))
        described(folder)

    return damage


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda f: cache_file.shard_path(f, 1).unlink(), "expected a shard of 40 faces, got nothing there"),
    "surplus": (lambda f: shutil.copy(cache_file.shard_path(f, 1), cache_file.shard_path(f, 3)), "expected 3 shards"),
    "truncated": (_bytes("faces-00001.safetensors", lambda b: b[:-5]), "damaged file"),
    "empty": (_bytes("faces-00001.safetensors", lambda b: b""), "damaged file"),
    "flipped bit": (_bytes("faces-00001.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1])), "expected sha256"),
    "swapped": (
        lambda f: (
            cache_file.shard_path(f, 0).rename(f / "x"),
            cache_file.shard_path(f, 1).rename(cache_file.shard_path(f, 0)),
            (f / "x").rename(cache_file.shard_path(f, 1)),
        ),
        "expected sha256",
    ),
    "dtype": (_rewritten(lambda t: t | {"faces": t["faces"].float()}), "expected faces U8 .*, got faces F32"),
    "half": (
        _rewritten(lambda t: t | {"embeddings": t["embeddings"].half()}),
        "expected embeddings F32 .*, got .* F16",
    ),
    "shape": (_rewritten(lambda t: t | {"faces": t["faces"][:, :, :32]}), r"got faces U8 \[16, 3, 32, 64\]"),
    "count": (_rewritten(lambda t: {k: v[:15] for k, v in t.items()}), r"expected embeddings F32 \[16, 256\], got"),
    "no groups": (
        _rewritten(lambda t: {k: v for k, v in t.items() if k != "groups"}),
        "expected groups .* got no groups",
    ),
    "more": (_rewritten(lambda t: t | {"labels": t["groups"] + 1}), "expected no labels"),
    "infinite": (_rewritten(lambda t: t | {"embeddings": t["embeddings"] / 0}), "expected finite embeddings"),
    "no JSON": (_bytes("cache.json", lambda b: b[:-9]), "expected a JSON description"),
    "no text": (_bytes("cache.json", lambda b: b"\xff\xfe" + b), "expected a JSON description"),
    "nested": (_bytes("cache.json", lambda b: b"[" * 100_000), "expected a JSON description"),
    "large": (_bytes("cache.json", lambda b: b + b" " * cache_file.LARGEST), "expected at most"),
    "other JSON": (_bytes("cache.json", lambda b: b'{"a": 1}'), "got other JSON"),
    "a list": (_bytes("cache.json", lambda b: b"[]"), "got other JSON"),
    "later": (_described(lambda v: v.update(version=2)), "expected version 1, got 2; use the sdx that wrote it"),
    "no count": (_described(lambda v: v["shards"][0].pop("faces")), r"shards\.0\.faces"),
    "a key more": (_described(lambda v: v.update(code="os:system")), "code: "),
    "hash": (_described(lambda v: v["shards"][0].update(sha256="../../x")), r"shards\.0\.sha256"),
    "lengths": (_described(lambda v: v["shards"][2].update(faces=17)), "expected 96 faces in shards of 40, got 17"),
    "a shard more": (_described(lambda v: v["shards"].append(v["shards"][2])), "got 16 in shard 3"),
    "enormous": (_described(lambda v: v["settings"].update(images=10**15, shard=1)), "in shards of 1, got 40"),
    "too few": (_described(lambda v: v["shards"].pop()), "expected 96 faces, got 80 so far; give the same"),
    "size": (_described(lambda v: v.update(size=32)), r"expected faces U8 \[40, 3, 32, 32\]"),
    "embedding": (_described(lambda v: v.update(embedding=8)), r"expected embeddings F32 \[40, 8\]"),
    "no cache": (lambda f: (f / "cache.json").unlink(), "a folder without it"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_refused_in_one_line(copy: Path, name: str) -> None:
    damage, words = DAMAGES[name]
    damage(copy)
    with pytest.raises(DataError, match=words) as caught:
        _source(copy).draw(torch.arange(TRAIN))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert "; " in message  # what to do


def test_labels_beyond_the_classes(tmp_path: Path) -> None:
    keys = {"source": "simface-labelled", "source__identities": "8", "source__views": "15", "source__size": "16"}
    folder = _write(tmp_path / "labelled", **keys)
    _rewritten(lambda t: t | {"labels": t["labels"] + 1})(folder)
    with pytest.raises(DataError, match="expected labels below 8"):
        _source(folder).draw(torch.arange(TRAIN))


def test_paths_that_are_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name, words in (("file", "got a file"), ("absent", "nothing there")):
        with pytest.raises(DataError, match=words):
            _source(tmp_path / name)


def test_a_checksum_is_compared_when_a_shard_is_first_used(copy: Path) -> None:
    _bytes("faces-00000.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1]))(copy)
    source = _source(copy)
    order = [source.draw(torch.tensor([n])) for n in range(TRAIN) if source._order.face(n) >= SHARD]
    assert len(order) > 40
    with pytest.raises(DataError, match="expected sha256"):
        source.draw(torch.arange(TRAIN))
