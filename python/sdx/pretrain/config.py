"""What decides how a generator is made, and the recipes to start from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sdx import plugins
from sdx.config import OptimizerConfig, Section, Settings, SourceConfig
from sdx.simface.parameters import DIMENSION
from sdx.types import HELD_OUT


class NetworkConfig(Section):
    """The generator's network, see `sdx.networks.stylegan2.GeneratorConfig`."""

    resolution: int = 64
    z_dim: int = Field(DIMENSION, description="size of z; a regression has one for each coordinate of SimFace")
    w_dim: int = 160
    mapping_layers: int = 2
    channel_base: int = 1024
    channel_max: int = 128
    conv_clamp: float | None = None


class RegressionConfig(Section):
    """Weights of the regression's loss: pixels from the start, the teacher's view of them later."""

    nuisance: Literal["wild", "portrait"] = "wild"
    pixel: float = Field(1.0, ge=0, description="weight of L1 at four scales and L1 of gradients")
    feature: float = Field(0.25, ge=0, description="weight of L1 between the teacher's features")
    cosine: float = Field(0.4, ge=0, description="weight of 1 - cos between the teacher's embeddings")
    teacher_from: float = Field(0.45, ge=0, le=1, description="share of the run after which the teacher counts")


class AdversarialConfig(Section):
    """The discriminator and what it looks at."""

    source: SourceConfig = Field(SourceConfig(), description="real faces, as source of a training run")
    weight: float = Field(1.0, gt=0, description="weight of the adversarial loss of the generator")
    r1: float = Field(1.0, ge=0, description="weight of R1 / 2, the squared gradient at real faces")
    r1_every: int = Field(16, ge=1, description="steps between two R1 penalties, which count as often as steps")
    augment_target: float = Field(0.6, description="mean sign of the reals' logits to hold; 1 = no augmentation")
    augment_over: int = Field(500_000, ge=1, description="images over which the augmentation may go from 0 to 1")
    optimizer: OptimizerConfig = OptimizerConfig(kind="adam", lr=2e-3, betas=(0.0, 0.99))


class PretrainConfig(Settings):
    """Everything that decides what generator comes out; a run folder stores it as config.toml."""

    may_change = frozenset({"images", "log_every", "validate_every", "checkpoint_every"})

    recipe: str
    seed: int = Field(0, ge=0, lt=2**63)
    images: int = Field(ge=1, le=HELD_OUT, description="images to train on")
    batch: int = Field(16, ge=1)
    network: NetworkConfig = NetworkConfig()
    regression: RegressionConfig | None = Field(None, description="loss against the renderer")
    adversarial: AdversarialConfig | None = Field(None, description="loss against a discriminator")
    teacher: str | None = Field(
        "simface-teacher", description="whose view of faces a regression compares, and every validation measures in"
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    mapping_lr: float = Field(
        1.0, gt=0, description="multiplier of lr for the mapping, whose layers divide it by 100 (equalised rate)"
    )
    ema: int = Field(10_000, ge=1, description="half-life of the averaged weights in images")
    start: str | None = Field(None, description="generator whose weights to start from: built-in name or file")
    held_out: int = Field(1024, ge=64, description="images of the fixed validation draw")
    log_every: int = Field(1600, ge=1)
    validate_every: int | None = Field(None, ge=1)
    checkpoint_every: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> PretrainConfig:
        if self.regression is None and self.adversarial is None:
            raise ValueError("expected a regression or an adversarial section, got neither; start from a recipe")
        if self.images < self.batch:
            raise ValueError(
                f"images: expected at least one batch of {self.batch}, got {self.images}; give another batch="
            )
        return self


def regression() -> PretrainConfig:
    """A generator that draws what the renderer draws, z by z: identity, pose and light of every z are known."""
    return PretrainConfig(
        recipe="regression",
        images=2_000_000,
        batch=8,
        regression=RegressionConfig(),
        optimizer=OptimizerConfig(kind="adam", lr=6e-3, betas=(0.9, 0.99), schedule="cosine", warmup=3200),
        mapping_lr=1500.0,
        validate_every=40_000,
        checkpoint_every=20_000,
    )


def adversarial() -> PretrainConfig:
    """A generator that learns from faces alone, as StyleGAN2 with adaptive augmentation; a matter of GPUs."""
    return PretrainConfig(
        recipe="adversarial",
        images=5_000_000,
        batch=32,
        network=NetworkConfig(z_dim=512, w_dim=512, channel_base=16384, channel_max=512),
        adversarial=AdversarialConfig(),
        optimizer=OptimizerConfig(kind="adam", lr=2e-3, betas=(0.0, 0.99)),
        validate_every=100_000,
        checkpoint_every=100_000,
    )


def finish() -> PretrainConfig:
    """A regressed generator made sharper by a discriminator, the regression kept; give start=GENERATOR."""
    return PretrainConfig(
        recipe="finish",
        images=500_000,
        batch=16,
        regression=RegressionConfig(teacher_from=0.0),
        adversarial=AdversarialConfig(weight=0.05, r1=0.2),
        optimizer=OptimizerConfig(kind="adam", lr=1e-3, betas=(0.0, 0.99), schedule="cosine", warmup=16_000),
        mapping_lr=100.0,
        validate_every=20_000,
        checkpoint_every=20_000,
    )


_RECIPES = {"regression": regression, "adversarial": adversarial, "finish": finish}


def get(name: str) -> PretrainConfig:
    """Return the configuration of a recipe; raises ConfigError for an unknown name."""
    if name not in _RECIPES:
        raise plugins.unknown("recipe", name, tuple(_RECIPES), own=False)
    return _RECIPES[name]()
