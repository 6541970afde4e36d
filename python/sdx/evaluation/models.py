"""Models as evaluation asks for them: ready to embed, with what must be said beside their figures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sdx import teachers
from sdx.teachers import Embedder, Teacher
from sdx.weights import registry

_LFW = re.compile(r"lfw|labell?ed faces in the wild", re.IGNORECASE)


def load(reference: str, *, device: str = "cpu") -> list[Embedder]:
    """Return the models that ``reference`` names.

    Args:
        reference: see `sdx.weights.registry.resolve`, or ``module:Name``, see `sdx.teachers.build`.
        device: where they embed.

    Raises ArtefactError or ConfigError where that leads to no model.
    """
    if ":" in reference and not Path(reference).exists():
        return [teachers.build(reference, device=device)]
    return [Teacher(model, device=device) for model in registry.resolve(reference)]


def remarks(models: Iterable[Embedder]) -> list[str]:
    """Return a line for each link of a model's chain that has seen LFW's images: LFW figures are no clean test then."""
    return [
        f"{model.name} has seen LFW's images, so its LFW figures are no clean test: {origin.role} {origin.name}, "
        f"{origin.data or 'of which no more is said'}"
        for model in models
        for origin in getattr(model, "provenance", ())
        if _LFW.search(f"{origin.name} {origin.data}")
    ]
