"""Recipes: functions that return a whole configuration; `sdx train NAME` starts from one."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from sdx import plugins
from sdx.config import (
    AugmentConfig,
    LossConfig,
    OptimizerConfig,
    RunConfig,
    SamplerConfig,
    SourceConfig,
    StudentConfig,
)

SMALL = StudentConfig(name="small", architecture="small")


def demo() -> RunConfig:
    """What learns most in five minutes on two cores: a small student from the embedded StyleGAN2's faces."""
    return RunConfig(
        recipe="demo",
        images=57_600,
        batch=64,
        source=SourceConfig(kind="stylegan2"),
        students=(SMALL,),
        sampler=SamplerConfig(kind="fresh", scale=0.3),
        loss=LossConfig(kind="mse"),
        optimizer=OptimizerConfig(kind="adamw", lr=4e-3, weight_decay=1e-4, schedule="cosine", warmup=640),
        baselines=True,
        validate_every=6400,
        checkpoint_every=12_800,
    )


def demo_long() -> RunConfig:
    """The demo with twenty times the images."""
    return demo().model_copy(
        update={
            "recipe": "demo-long",
            "images": 1_152_000,
            "log_every": 12_800,
            "validate_every": 64_000,
            "checkpoint_every": 64_000,
        }
    )


def synthdistill() -> RunConfig:
    """SynthDistill's optimiser, schedule and sampling (IJCB 2023, as the authors' code runs it), 42.0 million images.

    Adam at 1e-3, halved every ten of 21 epochs of 7,812 iterations of two half-steps of 128 images; plain mean squared
    error between raw embeddings; noise of size (cos + 1) / 2 in absolute units of the latent.
    """
    epoch = 7812 * 2 * 128
    return RunConfig(
        recipe="synthdistill",
        images=21 * epoch,
        batch=128,
        students=(StudentConfig(name="tinyfar-a", architecture="tinyfar-a"),),
        sampler=SamplerConfig(kind="resample", scale=1.0, unit="absolute"),
        loss=LossConfig(kind="mse"),
        optimizer=OptimizerConfig(kind="adam", lr=1e-3, schedule="step", step_every=10 * epoch, gamma=0.5),
        held_out=9984,
        validate_every=epoch,
        checkpoint_every=epoch,
    )


def folder() -> RunConfig:
    """A student learns from a teacher on a folder or zip of faces, without labels; give source= and teacher=."""
    return RunConfig(
        recipe="folder",
        images=120_000,
        batch=64,
        source=SourceConfig(kind="folder", size=128),
        students=(StudentConfig(name="tinyfar-c", architecture="tinyfar-c"),),
        sampler=SamplerConfig(kind="fresh"),
        loss=LossConfig(kind="mse+cosine"),
        optimizer=OptimizerConfig(kind="adamw", lr=2e-3, weight_decay=1e-4, schedule="cosine", warmup=2560, clip=5.0),
        augment=AugmentConfig(flip=True),
        validate_every=12_800,
        checkpoint_every=12_800,
    )


def simface_teacher() -> RunConfig:
    """The built-in teacher: ArcFace on the people of split T (no teacher of its own)."""
    return RunConfig(
        recipe="simface-teacher",
        images=200_064,
        batch=128,
        source=SourceConfig(kind="simface-labelled", split="T", nuisance="wild", identities=3000, views=16),
        teacher=None,
        students=(StudentConfig(name="simface-teacher", architecture="iresnet-simface", embedding=256),),
        sampler=SamplerConfig(kind="fresh"),
        loss=LossConfig(kind="margin", scale=32.0, margin=0.35),
        optimizer=OptimizerConfig(
            kind="adamw", lr=2e-3, head_lr=2.0, weight_decay=1e-4, schedule="cosine", warmup=2560
        ),
        augment=AugmentConfig(flip=True),
        checkpoint_every=50_000,
    )


_RECIPES: dict[str, Callable[[], RunConfig]] = {
    "demo": demo,
    "demo-long": demo_long,
    "synthdistill": synthdistill,
    "folder": folder,
    "simface-teacher": simface_teacher,
}


def get(name: str) -> RunConfig:
    """Return the configuration of a recipe; raises ConfigError for an unknown name."""
    if name not in _RECIPES:
        raise plugins.unknown("recipe", name, tuple(_RECIPES), own=False)
    return _RECIPES[name]()


def descriptions() -> dict[str, str]:
    """Return each recipe's first line of documentation."""
    return {name: (inspect.getdoc(make) or "").split("\n")[0] for name, make in _RECIPES.items()}
