"""Training on a cache is training on its faces with the live teacher, and the student knows where it comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sdx import config, recipes, students
from sdx.errors import ConfigError
from sdx.sources import CacheSource
from sdx.teachers import Teacher
from sdx.training import run, tracking
from sdx.training.cache import Writer
from sdx.types import Batch
from sdx.weights import artefact
from sdx.weights.metadata import Origin

DRAWN = {"source": "simface", "source.size": "64", "images": "96", "batch": "16", "precision": "fp32", "device": "cpu"}
TRAINED = DRAWN | {"source": "cache", "source.size": "none", "images": "192", "eval": "none", "baselines": "false"}
TRAINED |= {"held_out": "16", "validate_every": "96", "checkpoint_every": "none", "log_every": "16"}


def _config(keys: dict[str, str]) -> config.RunConfig:
    return config.override(recipes.get("demo"), keys)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the keys of a run on a cache of 96 faces, embedded by simface-teacher."""
    folder = tmp_path_factory.mktemp("cache") / "faces"
    Writer(_config(DRAWN), folder).write()
    return TRAINED | {"source.path": str(folder)}


def _trained(keys: dict[str, str], folder: Path) -> tuple[list[tuple[object, ...]], dict[str, Tensor]]:
    """Return losses and cosines of a run, and its student's weights."""
    run.train(_config(keys), folder)
    rows = [row for row in tracking.read(folder / "metrics.jsonl") if row["event"] in ("train", "validate")]
    told = [(row["event"], row["images_seen"], row["students"]["small"].values()) for row in rows]
    assert [event for event, _, _ in told].count("validate") == 2
    made = artefact.load(folder / "students" / "small" / "model.safetensors")
    return [(event, seen, *values) for event, seen, values in told], made.network.state_dict()


def test_equals_training_with_the_live_teacher(
    cache: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = _trained(cache | {"teacher": "none"}, tmp_path / "cached")
    named = _trained(cache | {"teacher": "simface-teacher"}, tmp_path / "named")
    draw = CacheSource.draw
    monkeypatch.setattr(CacheSource, "draw", lambda self, index: replace(draw(self, index), target=None))
    live = _trained(cache | {"teacher": "simface-teacher"}, tmp_path / "live")
    # To the bit, for all batches were of one size, if not of the same faces.
    assert cached[0] == named[0] == live[0]
    assert [name for name, value in cached[1].items() if not torch.equal(value, named[1][name])] == []
    assert [name for name, value in cached[1].items() if not torch.equal(value, live[1][name])] == []
    other = _trained(cache | {"teacher": "simface-teacher", "seed": "1"}, tmp_path / "other")
    assert other[0][0] != live[0][0]


def test_no_teacher_pass_runs(cache: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def embed(self: Teacher, face: Tensor, frame: str) -> Tensor:
        raise AssertionError("a teacher pass")

    monkeypatch.setattr(Teacher, "embed", embed)
    run.train(_config(cache | {"teacher": "simface-teacher"}), tmp_path / "run")
    monkeypatch.setattr(CacheSource, "draw", lambda self, index: Batch(index, torch.zeros(len(index), 3, 64, 64)))
    with pytest.raises(AssertionError, match="a teacher pass"):
        run.train(_config(cache | {"teacher": "simface-teacher"}), tmp_path / "live")


def test_origins_and_licences_reach_the_student(tmp_path: Path) -> None:
    torch.manual_seed(1)
    seen = Origin(role="data", name="people", licence="non-commercial", data="photographs of people")
    made = students.build("own-teacher", "small", 32, size=64).to_artefact(licence="MIT", provenance=[seen])
    artefact.save(tmp_path / "teacher.safetensors", made)
    keys = {"teacher": str(tmp_path / "teacher.safetensors")}
    Writer(_config(DRAWN | keys), tmp_path / "cache").write()
    chains = []
    live = TRAINED | {"source": "simface", "source.size": "64", "images": "16"} | keys
    for name, cached in (("live", live), ("cached", TRAINED | {"images": "16", "teacher": "none"})):
        where = {} if name == "live" else {"source.path": str(tmp_path / "cache")}
        run.train(_config(cached | where), tmp_path / name)
        meta = artefact.load(tmp_path / name / "students" / "small" / "model.safetensors").meta
        assert meta.strictest_licence == "non-commercial"
        assert meta.embedding == 32
        chains.append(meta.provenance)
    assert chains[0] == chains[1]
    assert [origin.role for origin in chains[0]] == ["generator", "teacher", "data"]
    assert chains[0][1].sha256


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"teacher": "other"},
            r"teacher: expected simface-teacher \(dc8b.*, 256 numbers\).*, got other .*teacher=none",
        ),
        ({"augment.flip": "true"}, r"augment\.flip: .*give augment\.flip=false"),
        ({"sampler": "resample"}, "resample steers a latent source, got cache of simface-G-wild, .*use sampler=fresh"),
        ({"sampler": "pool", "teacher": "none"}, "pool steers a latent source"),
        ({"students.small.embedding": "16", "teacher": "none"}, "got 256 of the teacher and 16 of student small"),
        ({"loss": "margin", "teacher": "none"}, "margin expects a labelled source"),
        ({"source.size": "32"}, r"source\.size: expected 64"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    cache: dict[str, str], keys: dict[str, str], words: str, tmp_path: Path
) -> None:
    if keys.get("teacher") == "other":
        other = students.build("other", "small", 256, size=64).to_artefact(licence="MIT")
        artefact.save(tmp_path / "other.safetensors", other)
        keys = {"teacher": str(tmp_path / "other.safetensors")}
    with pytest.raises(ConfigError, match=words) as caught:
        run.train(_config(cache | keys), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
