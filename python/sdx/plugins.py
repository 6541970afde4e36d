"""A user's own class in place of a built-in one, asked for as ``module:Name``."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdx.errors import ConfigError


def load(reference: str) -> Any:
    """Return the object ``module:Name`` names; the current folder is searched too, as ``python -m`` does.

    Raises ConfigError where the module cannot be imported or has no such name.
    """
    module_name, _, name = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"{reference}: expected an importable module {module_name!r}, got: {error}") from error
    try:
        return getattr(module, name)
    except AttributeError:
        raise ConfigError(f"{reference}: expected {name!r} in module {module_name!r}, found none") from None


def unknown(what: str, got: str, known: Sequence[str]) -> ConfigError:
    """Return the error for a name that is not among ``known``, with the nearest one."""
    near = difflib.get_close_matches(got, known, n=1, cutoff=0.3)
    hint = f"; did you mean {near[0]}?" if near else ""
    return ConfigError(f"{what}: expected {', '.join(known)} or module:Name, got {got!r}{hint}")
