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
    """Return the class or function ``module:Name`` names; the current folder is searched too, as ``python -m`` does.

    Raises ConfigError where the module cannot be imported, or has no such name or nothing to be called by it.
    """
    module_name, _, name = reference.partition(":")
    if not module_name or module_name.startswith("."):
        raise ConfigError(f"{reference}: expected module:Name, got no name of a module that can be imported")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"{reference}: expected an importable module {module_name!r}, got: {error}") from error
    try:
        found = getattr(module, name)
    except AttributeError:
        raise ConfigError(f"{reference}: expected {name!r} in module {module_name!r}, found none") from None
    if not callable(found):
        raise ConfigError(f"{reference}: expected a class or a function, got {type(found).__name__}")
    return found


def unknown(what: str, got: str, known: Sequence[str], *, own: bool = True) -> ConfigError:
    """Return the error for a name that is not among ``known``, with the nearest; ``own`` where `load` may help."""
    near = difflib.get_close_matches(got, known, n=1, cutoff=0.3)
    hint = f"; did you mean {near[0]}?" if near else ""
    names = f"{', '.join(known)} or module:Name" if own else f"{', '.join(known[:-1])} or {known[-1]}"
    return ConfigError(f"{what}: expected {names}, got {got!r}{hint}")
