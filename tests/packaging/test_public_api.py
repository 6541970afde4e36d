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
SDX_KERNELS = ["KernelError", "backend", "crop_resize", "embedding_loss"]


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
        for name in ("crop_resize", "embedding_loss")
    }
    assert parameters == {
        "crop_resize": [
            "image",
            "size",
            "box=(0.0, 0.0, 1.0, 1.0)",
            "antialias=False",
            "clamp=None",
            "impl='auto'",
        ],
        "embedding_loss": ["student", "teacher", "mse=1.0", "cosine=0.0", "impl='auto'"],
    }


def test_users_can_catch_everything_at_once() -> None:
    for name in ("ArtefactError", "CheckpointError", "ConfigError", "DataError"):
        assert issubclass(getattr(sdx, name), sdx.SdxError)
