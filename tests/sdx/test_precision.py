"""The number format is a function of the processor, kept by the run, and costs next to no accuracy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from sdx import config as configuration
from sdx import precision, recipes, sources, students, teachers
from sdx.cli import main
from sdx.config import RunConfig, SourceConfig
from sdx.precision import Policy
from sdx.random import Philox
from sdx.training import run

HALF = Policy("bf16", "for the test")


def test_policy_is_a_function_of_capabilities() -> None:
    assert precision.resolve({}).name == "fp32"
    assert precision.resolve({"avx2": True, "avx512_f": True, "avx512_bf16": False}).name == "fp32"
    assert precision.resolve({"avx512_bf16": True}).name == "bf16"
    amx = precision.resolve({"amx_bf16": True, "avx512_bf16": True})
    assert (amx.name, amx.convolutions) == ("bf16", torch.bfloat16)
    assert "AMX" in amx.reason


def test_a_machine_that_disagrees_is_named() -> None:
    assert precision.disagreement(HALF, 2.0) is None
    assert "use precision=fp32" in (precision.disagreement(HALF, 0.01) or "")
    assert precision.disagreement(precision.FULL, 0.01) is None
    assert "use precision=bf16" in (precision.disagreement(precision.FULL, 2.0) or "")
    assert precision.probe(0.02) > 0


def test_the_teachers_embedding_hardly_turns() -> None:
    face = sources.samples(sources.build(SourceConfig(), Philox(0)), 32)
    full, half = teachers.build("simface-teacher"), teachers.build("simface-teacher", policy=HALF)
    a, b = full.embed(face, "aligned"), half.embed(face, "aligned")
    assert b.dtype == torch.float32
    assert not torch.equal(a, b)
    assert float(cosine_similarity(a, b).min()) > 0.9995
    assert torch.equal(teachers.exact(half).embed(face, "aligned"), a)


@pytest.mark.parametrize("channels", [3, 24, 32, 48])
@pytest.mark.parametrize("side", [1, 5, 8])
def test_prelu_over_rows_is_prelu(channels: int, side: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.PReLU(channels))
    nn.init.normal_(network[0].weight)
    x = torch.randn(3, channels, side, side).bfloat16()
    expected = nn.functional.prelu(x, network[0].weight.detach().bfloat16())
    assert torch.equal(precision.convert(network, Policy("bf16", "test"))(x.float()), expected)


def test_a_network_of_unknown_layers_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU()).eval()
    precision.convert(network, HALF)
    assert network(torch.zeros(1, 3, 8, 8)).dtype == torch.float32


def test_students_compute_in_half_but_own_float_weights() -> None:
    torch.manual_seed(0)
    student = students.build("s", "small", 16, size=32, policy=HALF)
    face = torch.rand(8, 3, 32, 32) * 2 - 1
    half = student(face, "aligned")
    half.sum().backward()
    assert half.dtype == torch.float32
    assert all(p.dtype == torch.float32 and p.grad is not None for p in student.parameters())
    student.in_half = False
    full = student(face, "aligned")
    assert not torch.equal(half, full)
    assert float(cosine_similarity(half, full).min().detach()) > 0.99
    assert not students.build("t", "mobilefacenet", 16, policy=HALF).in_half  # depthwise


def test_a_run_keeps_the_format_it_began_with(tmp_path: Path) -> None:
    config = recipes.get("demo")
    fixed = run.with_precision(config, tmp_path)
    assert fixed.precision == precision.resolve().name
    other = "fp32" if fixed.precision == "bf16" else "bf16"
    (tmp_path / "config.toml").write_text(configuration.dump(configuration.override(config, {"precision": other})))
    assert run.with_precision(config, tmp_path).precision == other
    assert configuration.load(tmp_path / "config.toml", RunConfig).precision == other


def test_info_says_which(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["sdx", "info"])
    monkeypatch.setattr(precision, "resolve", lambda: HALF)
    monkeypatch.setattr(precision, "probe", lambda: 0.01)
    main_code = 0
    try:
        main()
    except SystemExit as stopped:
        main_code = int(stopped.code or 0)
    text = capsys.readouterr().out
    assert main_code == 0
    assert "precision: bf16: for the test" in text
    assert "remark: bf16 should be quicker here" in text
