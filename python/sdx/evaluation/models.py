"""Models as evaluation asks for them: ready to embed, with what must be said beside their figures."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sdx.teachers import Teacher
from sdx.weights import registry

_LFW = re.compile(r"lfw|labell?ed faces in the wild", re.IGNORECASE)


def load(reference: str, *, device: str = "cpu") -> list[Teacher]:
    """Return the models that ``reference`` names, see `sdx.weights.registry.resolve`, which raises ArtefactError."""
    return [Teacher(model, device=device) for model in registry.resolve(reference)]


def remarks(models: Iterable[Teacher]) -> list[str]:
    """Return a line for each link of a model's chain that has seen LFW's images: LFW figures are no clean test then."""
    return [
        f"{model.name} has seen LFW's images, so its LFW figures are no clean test: {origin.role} {origin.name}, "
        f"{origin.data or 'of which no more is said'}"
        for model in models
        for origin in model.provenance
        if _LFW.search(f"{origin.name} {origin.data}")
    ]
