"""Exact search for the nearest of a gallery, by FAISS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def faiss(folder: str, count: int) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """The ``count`` entries of gallery.npy with the highest cosine, for each row of probe.npy, with those."""
    from faiss import IndexFlatIP

    gallery, probe = (np.load(Path(folder, f"{name}.npy")) for name in ("gallery", "probe"))
    index = IndexFlatIP(gallery.shape[1])
    index.add(gallery)

    def describe(result: Any) -> Any:
        score, place = result
        return [place.tolist(), score.tolist()]

    return lambda: index.search(probe, count), describe
