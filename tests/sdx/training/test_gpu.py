"""A run on a GPU: close to the CPU's, the same with and without recorded graphs, and the same when it is resumed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sdx import config as configuration
from sdx import devices, recipes, sources, students
from sdx.config import OptimizerConfig, SourceConfig
from sdx.precision import FULL
from sdx.random import Philox
from sdx.sources.stylegan2 import StyleGAN2Source
from sdx.training import graphs, run, tracking
from sdx.training.interruption import Interrupted
from sdx.training.learner import Learner
from sdx.training.losses import EmbeddingLoss
from sdx.training.trainer import Trainer
from sdx.types import Batch
from sdx.weights import artefact

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

KEYS = {
    "sampler": "resample",
    "images": "640",
    "batch": "32",
    "eval": "none",
    "baselines": "false",
    "held_out": "64",
    "validate_every": "640",
    "log_every": "32",
    "checkpoint_every": "none",
    "students.small.size": "32",
    "device": "cuda",
}


def _train(folder: Path, **keys: str) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    run.train(configuration.override(recipes.get("demo"), KEYS | keys), folder)
    weights = artefact.load(folder / "students" / "small" / "model.safetensors").network.state_dict()
    return weights, list(tracking.read(folder / "metrics.jsonl"))


def _losses(rows: list[dict[str, Any]]) -> list[float]:
    return [row["loss"] for row in rows if row["event"] == "train"]


@pytest.mark.parametrize("generator", ["simface-64", "random-256"])
def test_faces_are_the_hosts(generator: str) -> None:
    """float32, with noise keyed in the layers, in a window of the last block for random-256."""
    config = SourceConfig(kind="stylegan2", generator=generator)
    host = sources.build(config, Philox(4), FULL)
    device = sources.build(config, Philox(4), FULL, torch.device("cuda", 0))
    assert isinstance(host, StyleGAN2Source)
    assert isinstance(device, StyleGAN2Source)
    assert device.latent_rms == host.latent_rms
    index = torch.tensor([0, 7, 2**40 + 3])
    latent = host.root(index)
    torch.testing.assert_close(device.root(index).cpu(), latent, rtol=1e-4, atol=1e-4)
    with devices.using(torch.device("cuda", 0), exact=True):
        got = device.draw(index, latent).face
    torch.testing.assert_close(got.cpu(), host.draw(index, latent).face, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("source", ["stylegan2", "simface"])
def test_a_run_is_close_to_the_cpus(tmp_path: Path, source: str) -> None:
    """The first loss is float32's; later ones drift, for Adam makes large steps of small differences."""
    keys = {"source": source, "precision": "fp32", "sampler": "fresh"}
    _, there = _train(tmp_path / "cuda", **keys)
    _, here = _train(tmp_path / "cpu", **(keys | {"device": "cpu"}))
    ours, wanted = torch.tensor(_losses(there)).double(), torch.tensor(_losses(here)).double()
    torch.testing.assert_close(ours[0], wanted[0], rtol=1e-4, atol=0.0)
    torch.testing.assert_close(ours, wanted, rtol=0.05, atol=0.0)
    validated = [next(row for row in rows if row["event"] == "validate")["students"]["small"] for rows in (there, here)]
    assert validated[0]["cosine"] == pytest.approx(validated[1]["cosine"], abs=0.03)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("source", ["stylegan2", "stylegan2:random-256", "simface"])
def test_recorded_graphs_change_nothing(tmp_path: Path, source: str, precision: str) -> None:
    keys = {"source": source, "precision": precision, "augment.flip": "true", "images": "320", "validate_every": "320"}
    recorded, rows = _train(tmp_path / "recorded", **keys)
    plain, plain_rows = _train(tmp_path / "plain", **keys, graphs="false")
    assert _losses(rows) == _losses(plain_rows)
    assert [name for name in plain if not torch.equal(plain[name], recorded[name])] == []


@pytest.mark.parametrize("graphs", ["true", "false"])
@pytest.mark.parametrize("source", ["stylegan2", "simface"])
def test_a_resumed_run_is_the_run(tmp_path: Path, source: str, graphs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped between roots and their neighbours."""
    keys = {"source": source, "graphs": graphs}
    whole, rows = _train(tmp_path / "whole", **keys)
    step = Trainer.step

    def until(trainer: Trainer, seen: int) -> dict[str, Any]:
        if seen == 3 * 32:
            trainer._checkpoint(seen)
            raise Interrupted
        return step(trainer, seen)

    monkeypatch.setattr(Trainer, "step", until)
    with pytest.raises(Interrupted):
        _train(tmp_path / "stopped", **keys)
    monkeypatch.setattr(Trainer, "step", step)
    resumed, rows_resumed = _train(tmp_path / "stopped", **keys, device="auto")
    assert _losses(rows_resumed) == _losses(rows)
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


@pytest.mark.parametrize(
    ("source", "sampler", "recorded"),
    [
        ("stylegan2", "resample", "true"),
        ("stylegan2", "resample", "false"),
        ("stylegan2:random-256", "resample", "true"),
        ("simface", "resample", "true"),
        ("stylegan2", "fresh", "true"),
        ("stylegan2", "pool", "true"),
    ],
)
def test_drawing_ahead_changes_nothing(
    tmp_path: Path, source: str, sampler: str, recorded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two students, whose forward passes follow each other; asked to stop when the next batch is drawn, and resumed."""
    keys = {"source": source, "sampler": sampler, "graphs": recorded, "augment.flip": "true", "images": "320"}
    keys |= {"students": "small,mobilefacenet", "students.mobilefacenet.size": "32", "validate_every": "320"}
    plain, rows = _train(tmp_path / "plain", **keys)
    step = Trainer.step

    def signalled(trainer: Trainer, seen: int) -> dict[str, Any]:
        row = step(trainer, seen)
        if seen == 3 * 32:
            os.kill(os.getpid(), signal.SIGINT)
        return row

    monkeypatch.setattr(Trainer, "step", signalled)
    with pytest.raises(Interrupted):
        _train(tmp_path / "ahead", **keys, overlap="true")
    monkeypatch.setattr(Trainer, "step", step)
    ahead, rows_ahead = _train(tmp_path / "ahead", **keys, overlap="true", device="auto")
    assert _losses(rows) == _losses(rows_ahead)
    assert [name for name in plain if not torch.equal(plain[name], ahead[name])] == []


def test_passes_in_halves_are_the_steps() -> None:
    """Recorded, of two students at a time and of two batch sizes in turn, so that each graph meets others' memory."""
    device = torch.device("cuda", 0)

    def trained(halves: bool) -> list[Tensor]:
        learners = []
        for seed in range(2):
            torch.manual_seed(seed)
            student = students.build("a", "small", 8, size=32).to(device)
            recorder = graphs.recorder(halves, device)
            learners.append(Learner(student, EmbeddingLoss(1.0, 0.5), OptimizerConfig(clip=1.0), 8, recorder))
        for step, size in enumerate((4, 7, 4, 4, 7)):
            generator = torch.Generator().manual_seed(step)
            face = (torch.rand(size, 3, 32, 32, generator=generator) * 2 - 1).to(device)
            target = torch.randn(size, 8, generator=generator).to(device)
            batch = Batch(torch.arange(size), face)
            for learner in learners:
                take = learner.forward if halves else learner.step
                take(face, "aligned", target, batch, rate=0.01, progress=0.0)
            for learner in learners if halves else ():
                learner.backward()
        return [value.clone() for learner in learners for value in learner.result.state_dict().values()]

    with devices.using(device, exact=True):
        assert all(map(torch.equal, trained(True), trained(False)))


def test_half_precision_hardly_turns_the_teachers_embedding() -> None:
    config = configuration.override(recipes.get("demo"), KEYS | {"source": "stylegan2"})
    found = []
    for precision in ("fp32", "bf16"):
        parts = run.build(config.model_copy(update={"precision": precision}))
        assert parts.teacher is not None
        face = parts.source.draw(torch.arange(32), parts.source.root(torch.arange(32))).face  # type: ignore[union-attr,call-arg]  # it has latents
        found.append(parts.teacher.embed(face, parts.source.frame))
    assert float(cosine_similarity(*found).min()) > 0.99
