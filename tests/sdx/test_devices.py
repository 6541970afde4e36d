"""Where a run computes is chosen once, kept by its folder, and refused in one line where it is not there."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch

from sdx import config as configuration
from sdx import devices, precision, recipes
from sdx.config import RunConfig
from sdx.errors import ConfigError
from sdx.training import run
from sdx.types import Batch


def _has(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    _has(monkeypatch, 0)
    assert devices.resolve("auto") == devices.resolve("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="device: expected CUDA device 0 for cuda, got none that torch can use"):
        devices.resolve("cuda")


def test_with_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    _has(monkeypatch, 2)
    assert devices.resolve("auto") == devices.resolve("cuda") == torch.device("cuda", 0)
    assert devices.resolve("cuda:1") == torch.device("cuda", 1)
    assert devices.resolve("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="expected CUDA device 2 for cuda:2, got 2 of them; give device=cpu"):
        devices.resolve("cuda:2")


def test_formats_of_a_gpu_follow_its_capability() -> None:
    assert precision.of_gpu((7, 5)).name == "fp32"
    assert [precision.of_gpu(c).name for c in ((8, 0), (8, 9), (9, 0), (10, 0))] == ["bf16"] * 4
    half = precision.of_gpu((9, 0))
    assert precision.of_students(half, torch.device("cuda", 0)).name == "fp32"
    assert precision.of_students(half, torch.device("cpu")) == half
    assert precision.of(torch.device("cpu")) == precision.resolve()


@pytest.mark.parametrize("exact", [False, True])
def test_convolutions_are_set_for_a_gpu_and_left_as_they_were(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    cudnn = torch.backends.cudnn

    def state() -> tuple[bool, bool, str]:
        return cudnn.deterministic, cudnn.benchmark, cudnn.conv.fp32_precision

    before = state()
    with devices.using(torch.device("cuda", 0), exact=exact):
        assert state() == (True, False, "ieee" if exact else "tf32")
    assert state() == before
    with devices.using(torch.device("cpu"), exact=exact):
        assert state() == before


@pytest.mark.parametrize("value", ["gpu", "cuda:", "cuda:x", "mps", "cpu:0"])
def test_other_names_are_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^device: ") as caught:
        configuration.override(recipes.get("demo"), {"device": value})
    assert "\n" not in str(caught.value)


def _with(device: str, **keys: str) -> RunConfig:
    return configuration.override(recipes.get("demo"), {"device": device, **keys})


def test_another_kind_of_device_does_not_resume_and_another_gpu_does() -> None:
    assert configuration.differences(_with("cpu"), _with("cuda")) == ["device: cpu in the run folder, cuda now"]
    assert configuration.differences(_with("cuda"), _with("cuda:1", graphs="false")) == []
    assert configuration.differences(_with("auto"), _with("cpu")) == []  # from before there were devices
    assert configuration.differences(_with("auto"), _with("cuda"))


def test_a_run_keeps_the_device_it_began_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _has(monkeypatch, 0)
    auto = recipes.get("demo")
    assert auto.device == "auto"
    assert run.with_device(auto, tmp_path).device == "cpu"
    _has(monkeypatch, 1)
    assert run.with_device(auto, tmp_path).device == "cuda"
    (tmp_path / "config.toml").write_text(configuration.dump(_with("cpu")))
    assert run.with_device(auto, tmp_path).device == "cpu"
    assert run.with_device(_with("cuda"), tmp_path).device == "cuda"  # which the folder then refuses
    (tmp_path / "config.toml").write_text(configuration.dump(auto))
    assert run.with_device(auto, tmp_path).device == "cpu"
    (tmp_path / "config.toml").write_text(configuration.dump(_with("cuda")))
    assert run.with_device(auto, tmp_path).device == "cuda"
    _has(monkeypatch, 0)
    with pytest.raises(ConfigError, match="expected CUDA device 0"):
        run.with_device(auto, tmp_path)


def test_a_run_on_a_gpu_that_is_not_there_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _has(monkeypatch, 0)
    with pytest.raises(ConfigError, match="expected CUDA device 3"):
        run.train(_with("cuda:3"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_moves_with_all_but_its_numbers() -> None:
    batch = Batch(torch.arange(2), torch.zeros(2, 3, 4, 4), latent=torch.zeros(2, 5), label=torch.zeros(2))
    there = batch.on(torch.device("meta"))
    assert there.index is batch.index
    assert {t.device.type for t in (there.face, there.latent, there.label) if t is not None} == {"meta"}
    assert there.target is None
    assert batch.on(torch.device("cpu")).face is batch.face
