"""Fixtures of the kernel tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

with torch.device("cpu"):
    # torch keeps the functions that a device context concerns as they are when it first meets one, for ever.
    torch.empty(0)


def _quicken(interpreter: Any, language: Any) -> None:
    """Spare Triton's interpreter what it finds out anew at each call of a device function and at each operation.

    It is two parts in ten of the time of these tests. A launch puts interpreted operations into the language's modules,
    and so does each call of a device function within it, where they are already; and the NumPy format of a value is
    looked up in a table made for each look.
    """
    patch, numpy_format = interpreter._patch_lang, interpreter._get_np_dtype
    formats: dict[str, Any] = {}

    def patch_once(fn: Any) -> Any:
        modules = [m for m in (language, language.core) if any(value is m for value in fn.__globals__.values())]
        done = modules and not any(language.core.is_builtin(module.load) for module in modules)
        return interpreter._LangPatchScope() if done else patch(fn)

    def known_format(of: Any) -> Any:
        name = of.scalar.name
        if name not in formats:
            formats[name] = numpy_format(of)
        return formats[name]

    interpreter._patch_lang, interpreter._get_np_dtype = patch_once, known_format


if os.environ.get("TRITON_INTERPRET") == "1":
    from triton import language
    from triton.runtime import interpreter

    _quicken(interpreter, language)


def _poisoned(allocate: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def poisoned(*args: Any, **kwargs: Any) -> Tensor:
        tensor = allocate(*args, **kwargs)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor

    return poisoned


@pytest.fixture(autouse=True)
def _poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill fresh memory with NaN: an op that leaves part of its result unwritten cannot pass by luck."""
    monkeypatch.setattr(torch, "empty", _poisoned(torch.empty))
    monkeypatch.setattr(torch, "empty_like", _poisoned(torch.empty_like))
    monkeypatch.setattr(Tensor, "new_empty", _poisoned(Tensor.new_empty))
