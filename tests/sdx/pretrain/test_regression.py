"""A generator learns what the renderer draws; its run resumes, and several processes make the same one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import avg_pool2d

from sdx import config as configuration
from sdx import files
from sdx.evaluation import frechet
from sdx.networks.stylegan2 import normalise_z
from sdx.pretrain import config as recipes
from sdx.pretrain.eye import Eye
from sdx.pretrain.regression import Regression, pixel_loss
from sdx.pretrain.run import build
from sdx.simface.parameters import DIMENSION
from sdx.simface.render import render
from sdx.sources import stylegan2
from sdx.weights import generator as artefacts

SMALL = [
    "network.resolution=16",
    "network.w_dim=12",
    "network.channel_base=128",
    "network.channel_max=12",
    "held_out=64",
    "teacher=none",
    "optimizer.warmup=0",
    "log_every=16",
    "batch=8",
]


def test_pixel_loss_by_hand() -> None:
    torch.manual_seed(0)
    image, target = torch.randn(2, 3, 16, 16).double(), torch.randn(2, 3, 16, 16).double()
    d = image - target
    wanted = sum(float(avg_pool2d(d, k).abs().mean()) for k in (1, 2, 4, 8))
    wanted += float(d.diff(dim=2).abs().mean() + d.diff(dim=3).abs().mean())
    assert float(pixel_loss(image, target)) == pytest.approx(wanted, rel=1e-12)
    assert float(pixel_loss(image, image)) == 0.0


def test_target_is_the_rendered_face_of_z() -> None:
    z = 3 * torch.randn(2, DIMENSION)
    wanted = render(normalise_z(z), size=32, nuisance="portrait")
    settings = recipes.RegressionConfig(nuisance="portrait")
    assert torch.equal(Regression(settings, None).target(z, 32), wanted)


def test_the_teacher_joins_late_and_its_gradient_reaches_the_picture() -> None:
    eye = Eye("simface-teacher")
    loss = Regression(recipes.RegressionConfig(teacher_from=0.5), eye)
    target = loss.target(torch.randn(2, DIMENSION), 64)
    image = (0.5 * target).requires_grad_()
    early, parts = loss.loss(image, target, 0.4)
    torch.testing.assert_close(early, pixel_loss(image, target))
    assert set(parts) == {"l1"}
    late, parts = loss.loss(image, target, 0.5)
    extra = float((late - early).detach())
    assert extra == pytest.approx(0.25 * parts["feature"] + 0.4 * (1 - parts["cosine"]), rel=1e-4)
    (gradient,) = torch.autograd.grad(late - early, image)
    assert bool(gradient.flatten(1).abs().amax(1).gt(0).all())
    features, embedding = eye(target)
    assert (len(features), tuple(embedding.shape)) == (3, (2, 256))


def test_frechet_distance_of_known_gaussians() -> None:
    torch.manual_seed(0)
    a = torch.randn(200_000, 3).double()
    scale, shift = torch.tensor([2.0, 0.5, 1.0]).double(), torch.tensor([1.0, 0.0, -2.0]).double()
    # for commuting covariances: |m1 - m2|^2 + sum (s1 - s2)^2
    assert frechet.distance(a, a * scale + shift) == pytest.approx(5 + 1.25, rel=0.02)
    assert frechet.distance(a, a) == pytest.approx(0, abs=1e-9)


def test_it_learns_and_says_what_it_is(tmp_path: Path, pretrain: Callable[..., int]) -> None:
    folder = tmp_path / "run"
    assert pretrain(*SMALL, "images=800", "validate_every=400", "--run-dir", str(folder)) == 0
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["event"] == "train"]
    assert losses[-1] < 0.7 * losses[0]
    made = artefacts.load(folder / "generator.safetensors")
    assert (made.meta.latent, made.meta.nuisance, made.meta.licence) == ("simface", "wild", "Apache-2.0")
    assert "800 images" in made.meta.training
    assert bool(made.network.mapping.w_avg.any())
    assert (folder / "samples.png").stat().st_size > 1000


def _command(folder: Path, *arguments: str) -> list[str]:
    return ["pretrain", "generator", *SMALL, *arguments, "--run-dir", str(folder)]


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def _weights(folder: Path) -> dict[str, Any]:
    return artefacts.load(folder / "generator.safetensors").network.state_dict()


def test_killed_and_started_again_it_is_the_same_generator(tmp_path: Path) -> None:
    arguments = ("images=640", "checkpoint_every=80")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    command = [sys.executable, "-m", "sdx"]
    subprocess.run([*command, *_command(whole, *arguments)], check=True, env=_environment(), timeout=120)
    process = subprocess.Popen([*command, *_command(broken, *arguments)], env=_environment())
    end = time.monotonic() + 120
    while not list(broken.glob("checkpoints/*.json")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL, "it had already ended"
    subprocess.run([*command, *_command(broken, *arguments)], check=True, env=_environment(), timeout=120)
    starts = [
        json.loads(line)["images_seen"]
        for line in (broken / "metrics.jsonl").read_text().splitlines()
        if '"start"' in line
    ]
    assert starts[-1] > 0
    for name, tensor in _weights(whole).items():
        assert torch.equal(_weights(broken)[name], tensor), name


def test_two_processes_make_the_generator_of_one(tmp_path: Path) -> None:
    """Up to the order of a sum: every image is drawn once, whichever process draws it."""
    one, two = tmp_path / "one", tmp_path / "two"
    single = [sys.executable, "-m", "sdx", *_command(one, "images=160")]
    subprocess.run(single, check=True, env=_environment(), timeout=120)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    subprocess.run([*launcher, "-m", "sdx", *_command(two, "images=160")], check=True, env=_environment(), timeout=120)
    for name, tensor in _weights(one).items():
        torch.testing.assert_close(_weights(two)[name], tensor, rtol=1e-2, atol=1e-3, msg=name)
    rows = [json.loads(line) for line in (two / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["workers"] == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("network.z_dim=64",), "network.z_dim"),
        (("network.resolution=48",), "48"),
        (("teacher=edgeface:none.pt",), "none.pt"),
        (("start=nothing.safetensors",), "nothing.safetensors"),
        (("start=simface-46",), "simface-64"),
        (("regresion.pixel=1",), "did you mean regression?"),
        (("adversary",), "regression"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...],
    named: str,
    tmp_path: Path,
    pretrain: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    assert pretrain(*arguments, "--run-dir", str(folder)) == 1
    assert not folder.exists()
    text = capsys.readouterr().err
    assert named in text
    assert text.startswith("error: ")
    assert text.count("\n") == 1


def test_another_configuration_does_not_resume(tmp_path: Path, pretrain: Callable[..., int]) -> None:
    folder = tmp_path / "run"
    assert pretrain(*SMALL, "images=16", "--run-dir", str(folder)) == 0
    assert pretrain(*SMALL, "images=16", "seed=1", "--run-dir", str(folder)) == 1


def test_a_second_run_in_a_folder_is_refused(
    tmp_path: Path, pretrain: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with files.alone(tmp_path, AssertionError("taken")):
        assert pretrain(*SMALL, "images=16", "--run-dir", str(tmp_path)) == 1
    assert "got one where a run goes on" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_generator_to_start_from(tmp_path: Path, pretrain: Callable[..., int]) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert pretrain(*SMALL, "images=160", "--run-dir", str(first)) == 0
    start = f"start={first / 'generator.safetensors'}"
    assert pretrain(*SMALL, "images=8", start, "optimizer.lr=1e-9", "--run-dir", str(second)) == 0
    for name, tensor in _weights(first).items():
        torch.testing.assert_close(_weights(second)[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_a_built_in_generator_to_start_from() -> None:
    started = build(configuration.override(recipes.get("finish"), {"start": "simface-64"}))
    built_in = stylegan2.load("simface-64").network.state_dict()
    assert all(torch.equal(tensor, built_in[name]) for name, tensor in started.state_dict().items())


def test_configurations_round_trip(tmp_path: Path) -> None:
    made = configuration.override(recipes.get("regression"), {"teacher": "none", "start": "x"})
    path = tmp_path / "config.toml"
    path.write_text(configuration.dump(made))
    assert configuration.load(path, recipes.PretrainConfig) == made
