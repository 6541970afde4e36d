"""The public names: adding or removing one is a decision, and shows here."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

import sdx
import sdx_kernels

SDX = [
    "ArtefactError",
    "Batch",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "InputSpec",
    "Proposal",
    "SdxError",
]
SDX_KERNELS = [
    "KernelError",
    "NoiseKey",
    "PackedWeight",
    "Rgb",
    "backend",
    "bias_act",
    "crop_resize",
    "embedding_loss",
    "embedding_loss_gradient",
    "modulated_conv2d",
    "prototype_loss",
    "styled_layer",
    "upfirdn2d",
]


@pytest.mark.parametrize(("package", "names"), [(sdx, SDX), (sdx_kernels, SDX_KERNELS)])
def test_public_names(package: ModuleType, names: list[str]) -> None:
    assert sorted(package.__all__) == names
    for name in names:
        assert inspect.getdoc(getattr(package, name))


def test_signatures_of_the_kernels() -> None:
    parameters = {
        name: [
            f"{p.name}{'' if p.default is p.empty else f'={p.default!r}'}"
            for p in inspect.signature(getattr(sdx_kernels, name)).parameters.values()
        ]
        for name in SDX_KERNELS
        if name not in ("KernelError", "backend", "NoiseKey", "PackedWeight", "Rgb")
    }
    assert parameters == {
        "bias_act": ["x", "bias=None", "dim=1", "act='linear'", "alpha=None", "gain=None", "clamp=None", "impl='auto'"],
        "crop_resize": [
            "image",
            "size",
            "box=(0.0, 0.0, 1.0, 1.0)",
            "antialias=False",
            "clamp=None",
            "skip=None",
            "impl='auto'",
        ],
        "embedding_loss": ["student", "teacher", "mse=1.0", "cosine=0.0", "impl='auto'"],
        "embedding_loss_gradient": ["student", "teacher", "mse=1.0", "cosine=0.0", "scale=1.0", "impl='auto'"],
        "modulated_conv2d": [
            "x",
            "weight",
            "styles",
            "demodulate=True",
            "up=1",
            "down=1",
            "padding=0",
            "filter=None",
            "noise=None",
            "bias=None",
            "act='linear'",
            "gain=None",
            "clamp=None",
            "roi=None",
            "flip_weight=True",
            "impl='auto'",
        ],
        "prototype_loss": [
            "student",
            "student_bank",
            "teacher=None",
            "teacher_bank=None",
            "labels=None",
            "scale=64.0",
            "temperature=1.0",
            "impl='auto'",
        ],
        "styled_layer": [
            "x",
            "packed",
            "dcoef",
            "noise=None",
            "bias=None",
            "act='lrelu'",
            "gain=None",
            "clamp=None",
            "next_styles=None",
            "rgb=None",
            "impl='auto'",
        ],
        "upfirdn2d": [
            "x",
            "filter",
            "up=1",
            "down=1",
            "padding=0",
            "flip_filter=False",
            "gain=1.0",
            "impl='auto'",
        ],
    }


def test_users_can_catch_everything_at_once() -> None:
    for name in ("ArtefactError", "CheckpointError", "ConfigError", "DataError"):
        assert issubclass(getattr(sdx, name), sdx.SdxError)
