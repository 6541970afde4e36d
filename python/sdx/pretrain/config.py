"""What decides how a generator is made, and the recipes to start from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sdx import plugins
from sdx.config import OptimizerConfig, Section, Settings
from sdx.simface.parameters import DIMENSION


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
    teacher: str | None = Field("simface-teacher", description="whose features and embedding are compared")
    pixel: float = Field(1.0, ge=0, description="weight of L1 at four scales and L1 of gradients")
    feature: float = Field(0.25, ge=0, description="weight of L1 between the teacher's features")
    cosine: float = Field(0.4, ge=0, description="weight of 1 - cos between the teacher's embeddings")
    teacher_from: float = Field(0.45, ge=0, le=1, description="share of the run after which the teacher counts")


class PretrainConfig(Settings):
    """Everything that decides what generator comes out; a run folder stores it as config.toml."""

    may_change = frozenset({"images", "log_every", "validate_every", "checkpoint_every"})

    recipe: str
    seed: int = Field(0, ge=0, lt=2**63)
    images: int = Field(ge=1, description="images to train on")
    batch: int = Field(16, ge=1)
    network: NetworkConfig = NetworkConfig()
    regression: RegressionConfig = RegressionConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    mapping_lr: float = Field(
        1.0, gt=0, description="multiplier of lr for the mapping, whose layers divide it by 100 (equalised rate)"
    )
    ema: int = Field(10_000, ge=1, description="half-life of the averaged weights in images")
    start: str | None = Field(None, description="generator file whose weights to start from")
    held_out: int = Field(1024, ge=64, description="images of the fixed validation draw")
    log_every: int = Field(1600, ge=1)
    validate_every: int | None = Field(None, ge=1)
    checkpoint_every: int | None = Field(None, ge=1)


def regression() -> PretrainConfig:
    """A generator that draws what the renderer draws, z by z: identity, pose and light of every z are known."""
    return PretrainConfig(
        recipe="regression",
        images=2_000_000,
        optimizer=OptimizerConfig(kind="adam", lr=4e-3, betas=(0.9, 0.99), schedule="cosine", warmup=3200),
        validate_every=40_000,
        checkpoint_every=20_000,
    )


_RECIPES = {"regression": regression}


def get(name: str) -> PretrainConfig:
    """Return the configuration of a recipe; raises ConfigError for an unknown name."""
    if name not in _RECIPES:
        raise plugins.unknown("recipe", name, tuple(_RECIPES))
    return _RECIPES[name]()
