"""Adversarial training: augmentation keyed by number, one step of each side, and runs that learn, resume and finish."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import softplus

from sdx.networks.stylegan2 import GeneratorConfig
from sdx.pretrain.adaptive import augment
from sdx.pretrain.adversarial import Adversary
from sdx.pretrain.config import AdversarialConfig
from sdx.pretrain.workers import Workers
from sdx.random import Philox
from sdx.weights import generator as artefacts

CONFIG = GeneratorConfig(16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=64, channel_max=6)
SMALL = [
    "network.resolution=16",
    "network.w_dim=12",
    "network.channel_base=64",
    "network.channel_max=8",
    "held_out=64",
    "teacher=none",
    "log_every=8",
    "batch=8",
    "adversarial.r1_every=2",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "faces"
    path.mkdir()
    generator = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(generator.integers(0, 255, (16, 16, 3), np.uint8)).save(path / f"{number}.png")
    return path


def test_augmentation_is_keyed_by_image_number() -> None:
    torch.manual_seed(0)
    image, index = torch.rand(40, 3, 16, 16) * 2 - 1, torch.arange(40) + 7
    whole = augment(image, index, 0.5, Philox(1))
    torch.testing.assert_close(augment(image[9:11], index[9:11], 0.5, Philox(1)), whole[9:11])
    assert augment(image, index, 0.0, Philox(1)) is image
    changed = (whole - image).abs().flatten(1).amax(1)
    untouched = float((changed < 1e-5).float().mean())
    assert untouched < 0.1  # 0.5 ** 8 of all, apart from flips that leave no trace
    assert float((augment(image, index, 1.0, Philox(1)) - image).abs().flatten(1).amax(1).min()) > 0.01


def test_augmentation_moves_no_colour_and_no_place_on_average() -> None:
    image = torch.full((4096, 3, 8, 8), 0.25)
    image[:, 0] = 0.5
    got = augment(image, torch.arange(4096), 1.0, Philox(0)).mean((0, 2, 3))
    torch.testing.assert_close(got, image.mean((0, 2, 3)), rtol=0, atol=0.05)


def test_augmentation_lets_gradients_through() -> None:
    image = torch.randn(4, 3, 16, 16).requires_grad_()
    (gradient,) = torch.autograd.grad(augment(image, torch.arange(4), 1.0, Philox(0)).sum(), image)
    assert bool(gradient.flatten(1).any(1).all())


def _adversary(**settings: object) -> Adversary:
    torch.manual_seed(0)
    return Adversary(AdversarialConfig.model_validate(settings), CONFIG, Philox(0), Workers())


def test_a_step_of_the_discriminator_tells_reals_from_fakes() -> None:
    adversary = _adversary(r1=0.0)
    torch.manual_seed(1)
    real, fake = torch.randn(8, 3, 16, 16) + 0.5, torch.randn(8, 3, 16, 16) - 0.5
    index = torch.arange(8)
    first = adversary.learn(fake, real, index, rate=2e-3, is_regularised=False)
    logits = adversary.discriminator(real), adversary.discriminator(fake)
    for _ in range(60):
        last = adversary.learn(fake, real, index, rate=2e-3, is_regularised=False)
    assert last["discriminator"] < 0.8 * first["discriminator"]
    assert float((adversary.discriminator(real) - logits[0]).mean().detach()) > 0
    image = fake.clone().requires_grad_()
    loss = adversary.loss(image, index)
    adversary.strength = 0.0
    torch.testing.assert_close(loss, softplus(-adversary.discriminator(image)).mean())
    loss.backward()
    assert image.grad is not None
    assert all(not p.requires_grad for p in adversary.discriminator.parameters())


def test_r1_is_the_squared_gradient_at_reals() -> None:
    adversary = _adversary(r1=10.0)
    real = torch.randn(8, 3, 16, 16)
    x = real.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(adversary.discriminator(x).sum(), x)
    parts = adversary.learn(torch.randn(8, 3, 16, 16), real, torch.arange(8), rate=1e-4, is_regularised=True)
    assert parts["r1"] == pytest.approx(float(gradient.square().sum((1, 2, 3)).mean()), rel=1e-4)


def test_strength_follows_how_well_reals_are_known() -> None:
    adversary = _adversary(augment_over=80, augment_target=0.6)
    adversary.discriminator.b4.out.bias.data.fill_(100.0)  # sure of everything: stronger
    noise = torch.randn(8, 3, 16, 16)
    assert adversary.learn(noise, noise, torch.arange(8), rate=0.0, is_regularised=False)["augment"] == 0.1
    adversary.discriminator.b4.out.bias.data.fill_(-100.0)
    assert adversary.learn(noise, noise, torch.arange(8), rate=0.0, is_regularised=False)["augment"] == 0.0
    off = _adversary(augment_target=1.0)
    assert off.learn(noise, noise, torch.arange(8), rate=0.0, is_regularised=False)["augment"] == 0.0


def test_a_run_on_a_folder_resumes_to_the_same_generator(
    folder: Path, tmp_path: Path, pretrain: Callable[..., int]
) -> None:
    keys = ["adversarial", *SMALL, f"adversarial.source.path={folder}", "adversarial.source.kind=folder"]
    keys += ["adversarial.source.size=16", "network.z_dim=8", "adversarial.augment_over=100"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert pretrain(*keys, "images=96", "--run-dir", str(whole)) == 0
    assert pretrain(*keys, "images=48", "--run-dir", str(parts)) == 0
    assert pretrain(*keys, "images=96", "--run-dir", str(parts)) == 0
    made = artefacts.load(whole / "generator.safetensors")
    again = artefacts.load(parts / "generator.safetensors").network.state_dict()
    for name, tensor in made.network.state_dict().items():
        assert torch.equal(again[name], tensor), name
    assert made.meta.latent == "none"
    assert made.meta.strictest_licence == "unknown"  # nobody said whose the faces are
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert {"discriminator", "adversarial", "real_sign", "augment"} <= set(rows[1])
    assert any(bool(layer.noise_strength.any()) for layer in made.network.synthesis.layers())


def test_it_finishes_a_regression(tmp_path: Path, pretrain: Callable[..., int]) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    keys = [key for key in SMALL if not key.startswith("adversarial")]
    assert pretrain(*keys, "images=16", "--run-dir", str(first)) == 0
    start = f"start={first / 'generator.safetensors'}"
    finish = ["finish", *SMALL, "adversarial.source.size=16", "images=16", start]
    assert pretrain(*finish, "--run-dir", str(second)) == 0
    meta = artefacts.load(second / "generator.safetensors").meta
    assert meta.latent == "simface"
    assert {"l1"} <= set(meta.scores)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("adversarial", "network.resolution=32"), "adversarial.source.size: expected 32"),
        (("adversarial", "images=1"), "images"),
        (("adversarial", "regression.pixel=1"), "regression"),
        (("adversarial", "adversarial.source.kind=folder"), "source.path"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...],
    named: str,
    tmp_path: Path,
    pretrain: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    assert pretrain(*arguments, "--run-dir", str(run)) == 1
    assert not run.exists()
    text = capsys.readouterr().err
    assert named in text
    assert text.count("\n") == 1
