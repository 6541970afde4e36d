"""Nothing of a step stays behind on the host that belongs on the device, seen on torch's meta device, which computes
nothing and refuses to mix."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor

from sdx import config as configuration
from sdx import devices, precision, recipes
from sdx.sources.stylegan2 import StyleGAN2Source
from sdx.training import run
from sdx.training.trainer import Trainer
from sdx_kernels import NoiseKey

META = torch.device("meta")


@pytest.fixture
def _meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make "cuda" the meta device, and what waits for a device's values find some."""

    def answer(name: str, value: Any) -> None:
        original = getattr(Tensor, name)
        monkeypatch.setattr(Tensor, name, lambda x: value(x) if x.device == META else original(x))

    answer("__bool__", lambda x: True)
    answer("__float__", lambda x: 0.5)
    answer("cpu", lambda x: torch.zeros(x.shape, dtype=x.dtype))
    equal, autocast = torch.equal, torch.autocast
    monkeypatch.setattr(torch, "equal", lambda a, b: a.device == META or equal(a, b))
    monkeypatch.setattr(
        torch, "autocast", lambda kind, *a, **k: contextlib.nullcontext() if kind == "meta" else autocast(kind, *a, **k)
    )
    monkeypatch.setattr(devices, "resolve", lambda name: META if name == "cuda" else torch.device("cpu"))
    monkeypatch.setattr(precision, "of", lambda device: precision.of_gpu((9, 0)))


class _Quiet:
    def write(self, *row: Any, **values: Any) -> None:
        pass


SHORT = {"images": "64", "batch": "8", "held_out": "4", "eval": "none", "baselines": "false"}
KEYS = SHORT | {"device": "cuda", "sampler": "resample"}
STYLEGAN2 = {"source": "stylegan2", "students.small.size": "32"}


@pytest.mark.usefixtures("_meta")
@pytest.mark.parametrize(
    "keys",
    [
        STYLEGAN2 | {"augment.flip": "true", "augment.degrade": "0.5", "ema": "16", "optimizer.clip": "1"},
        STYLEGAN2 | {"source": "stylegan2:random-256"},
        STYLEGAN2 | {"source.noise": "const", "precision": "fp32", "sampler": "fresh"},
        STYLEGAN2 | {"sampler": "pool", "sampler.reliability": "0.5"},
        {"source": "simface", "source.size": "32", "students.small.size": "32", "augment.flip": "true"},
        {
            "source": "simface-labelled",
            "source.size": "32",
            "source.identities": "4",
            "loss": "margin",
            "sampler": "fresh",
            "teacher": "none",
            "students.small.embedding": "16",
        },
    ],
    ids=["augmented", "noise in a window", "const", "reliability", "renderer", "labels"],
)
def test_a_step_and_a_validation(keys: dict[str, str]) -> None:
    config = configuration.override(recipes.get("demo"), KEYS | keys)
    parts = run.build(config)
    metrics: Any = _Quiet()
    trainer = Trainer(
        config,
        parts.source,
        parts.teacher,
        parts.learners,
        parts.sampler,
        parts.random,
        metrics,
        parts.device,
        record=lambda proposal, similarity: None,
        evaluate=lambda seen: None,
        checkpoint=lambda seen: None,
    )
    for seen in (0, 8, 16):
        assert trainer.step(seen)["images"] == 8
    assert set(trainer.validate()) == {"small"}
    batch = trainer.frozen(parts.sampler.propose(8, 24))
    assert batch.index.device.type == "cpu"
    assert batch.face.device == META
    assert batch.target is None or batch.target.device == META
    state = [value for value in parts.sampler.state_dict().values() if isinstance(value, Tensor)]
    assert {value.device.type for value in state} <= {"cpu"}
    learner = parts.learners[0]
    for module in (learner.student, learner.result, learner.loss):
        assert {tensor.device for tensor in module.state_dict().values()} <= {META}
    assert not learner.student.in_half  # on a GPU students are float32
    if isinstance(parts.source, StyleGAN2Source) and "source.noise" not in keys and parts.source.synthesis.is_noisy:
        assert isinstance(parts.source._layer_noise(torch.arange(2)), NoiseKey)
        assert parts.source.synthesis._const.dtype == torch.bfloat16
