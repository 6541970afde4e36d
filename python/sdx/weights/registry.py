"""The names by which models are asked for, on the command line and in configurations alike."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sdx import plugins
from sdx.errors import ArtefactError
from sdx.weights import artefact, edgeface
from sdx.weights.model import LoadedModel

__all__ = ["FAMILIES", "LoadedModel", "builtin", "files", "resolve", "user_object"]

FAMILIES: dict[str, Callable[[Path], LoadedModel]] = {"edgeface": edgeface.load}
"""Readers of foreign checkpoints: FAMILY in FAMILY:PATH."""

_USER = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def builtin() -> dict[str, Path]:
    """Return the models that ship with sdx, by name."""
    folder = Path(str(importlib.resources.files("sdx"))) / "assets"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def resolve(model: str) -> list[LoadedModel]:
    """Return the models that ``model`` names: one, or all students of a run, in the order of their names.

    Args:
        model: a model file, a run folder, the name of a built-in model, FAMILY:PATH for a foreign checkpoint, or
            ``module:Name``, something of the user's that returns a `LoadedModel` when called.

    Raises ArtefactError where that leads to no model, ConfigError where ``module:Name`` does not exist.
    """
    if found := files(model):
        return [LoadedModel.of(artefact.load(file)) for file in found]
    family, colon, rest = model.partition(":")
    if colon and family in FAMILIES:
        return [FAMILIES[family](Path(rest))]
    own = user_object(model)
    if isinstance(own, LoadedModel):
        own.network.eval().requires_grad_(False)
        return [own]
    if own is not None:
        raise ArtefactError(f"{model}: expected it to return a LoadedModel, got {type(own).__name__}")
    raise ArtefactError(
        f"no model {model!r}: expected a model file, a run folder, a built-in name ({', '.join(builtin()) or 'none'}), "
        f"FAMILY:PATH ({', '.join(FAMILIES)}), or module:Name of your own"
    )


def files(model: str) -> list[Path]:
    """Return the model files that ``model`` names: a file, all students of a run folder, a built-in one; else none.

    Raises ArtefactError for a folder without students.
    """
    path = Path(model)
    if path.is_dir():
        return _students(path)
    if path.is_file():
        return [path]
    return [builtin()[model]] if model in builtin() else []


def user_object(reference: str) -> Any | None:
    """Return what the user's ``module:Name`` returns when called, None where ``reference`` is of another form.

    Raises ConfigError where the module or the name does not exist (`sdx.plugins.load`), ArtefactError where the call
    fails.
    """
    family, _, _ = reference.partition(":")
    if not _USER.fullmatch(reference) or family in FAMILIES:
        return None
    factory = plugins.load(reference)
    try:
        return factory()
    except Exception as error:  # the user's code may raise anything; its traceback hangs on this error
        raise ArtefactError(f"{reference}: cannot be made ({type(error).__name__}: {error})") from error


def _students(run: Path) -> list[Path]:
    files = sorted(run.glob("students/*/model.safetensors"))
    if not files:
        raise ArtefactError(f"{run}: expected a run folder with students/NAME/model.safetensors, got none: train first")
    return files
