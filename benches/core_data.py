"""Embeddings and pairs for the benches of the Rust core: people as directions, captures as noise around them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIMENSION = 512
MATED_COSINE = 0.6
"""Mean cosine of two captures of a person; of two people it is 0 ± 0.044."""


@dataclass(frozen=True)
class Sizes:
    """How much there is to do.

    Args:
        gallery: templates on one side of a verification list.
        probes: templates on the other side.
        pairs: comparisons on the list.
        mated: comparisons among them that are of one person.
        images: from which the templates are made.
        all_pairs: embeddings of which each is compared with each.
        enrolled: embeddings searched.
        searches: embeddings searched for.
        field_step: the field's script is given every so-manieth pair of the list.
    """

    gallery: int
    probes: int
    pairs: int
    mated: int
    images: int
    all_pairs: int
    enrolled: int
    searches: int
    field_step: int


FULL = Sizes(3531, 19_593, 15_658_489, 19_557, 469_375, 20_000, 100_000, 2000, field_step=10)
"""IJB-C's list of comparisons; the rest is of the same order."""

QUICK = Sizes(1117, 6196, 1_565_849, 6185, 46_937, 6000, 20_000, 500, field_step=1)
"""A tenth of each."""


def embeddings(seed: int, subject: NDArray[np.int64]) -> NDArray[np.float32]:
    """Unit embeddings, float32 [n, 512], one a capture, of people by number, int64 [n]."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(int(subject.max()) + 1, DIMENSION)).astype(np.float32)
    spread = np.float32((1 / MATED_COSINE - 1) ** 0.5)
    found = centre[subject] + spread * rng.normal(size=(len(subject), DIMENSION)).astype(np.float32)
    unit: NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def write_list(folder: Path, sizes: Sizes) -> None:
    """Write templates, ``template.npy`` (the gallery first), and the list ``major_*.npy`` and ``shuffled_*.npy``.

    Each probe is of a person of the gallery; ``mated`` of them meet their own template, and all other pairs are drawn
    from the rest of the table of gallery and probes, each at most once.
    """
    rng = np.random.default_rng(1)
    of_probe = rng.integers(0, sizes.gallery, sizes.probes)
    subject = np.concatenate([np.arange(sizes.gallery), of_probe])
    template = embeddings(2, subject)
    own = of_probe * sizes.probes + np.arange(sizes.probes)  # place in the table of gallery and probes
    free = np.ones(sizes.gallery * sizes.probes, bool)
    free[own] = False
    nonmated = rng.choice(np.flatnonzero(free), sizes.pairs - sizes.mated, replace=False, shuffle=False)
    place = np.sort(np.concatenate([rng.choice(own, sizes.mated, replace=False), nonmated]))
    columns = {
        "first": (place // sizes.probes).astype(np.int32),
        "second": (sizes.gallery + place % sizes.probes).astype(np.int32),
        "mated": ~free[place],
    }
    order = rng.permutation(len(place))
    np.save(folder / "template.npy", template)
    np.save(folder / "gallery.npy", template[: sizes.gallery])
    np.save(folder / "probe.npy", template[sizes.gallery :])
    for name, column in columns.items():
        np.save(folder / f"major_{name}.npy", column)
        np.save(folder / f"shuffled_{name}.npy", column[order])


def write_images(folder: Path, sizes: Sizes) -> None:
    """Write the list, and images for its templates: ``image.npy``, ``image_template.npy``, ``image_media.npy``.

    Each template has an image at least; three images in four share a medium, a video, with others of their template.
    """
    write_list(folder, sizes)
    rng = np.random.default_rng(8)
    count = sizes.gallery + sizes.probes
    template = np.concatenate([np.arange(count), rng.integers(0, count, sizes.images - count)])
    centre = np.load(folder / "template.npy")
    image = rng.standard_normal((sizes.images, DIMENSION), np.float32)
    image *= np.float32(0.7 * DIMENSION**-0.5)
    for start in range(0, sizes.images, 1 << 16):
        part = slice(start, start + (1 << 16))
        image[part] += centre[template[part]]
    still = rng.random(sizes.images) < 0.25
    media = np.where(still, sizes.images + np.arange(sizes.images), 4 * template + rng.integers(0, 4, sizes.images))
    np.save(folder / "image.npy", image)
    np.save(folder / "image_template.npy", template)
    np.save(folder / "image_media.npy", media)


def write_all_pairs(folder: Path, sizes: Sizes) -> None:
    """Write ``embedding.npy``, captures of people, four each, and ``subject.npy``."""
    subject = np.arange(sizes.all_pairs) // 4
    np.save(folder / "embedding.npy", embeddings(3, subject))
    np.save(folder / "subject.npy", subject)


def write_gallery(folder: Path, sizes: Sizes) -> None:
    """Write ``gallery.npy``, one capture of each person enrolled, and ``probe.npy``, another of some of them."""
    known = np.random.default_rng(4).choice(sizes.enrolled, sizes.searches, replace=False)
    found = embeddings(5, np.concatenate([np.arange(sizes.enrolled), known]))
    np.save(folder / "gallery.npy", found[: sizes.enrolled])
    np.save(folder / "probe.npy", found[sizes.enrolled :])


def write_scores(folder: Path, sizes: Sizes) -> None:
    """Write ``scores.npz``: cosines of a network as float32 gives them, and labels, as many as the list has pairs."""
    rng = np.random.default_rng(6)
    mated = np.zeros(sizes.pairs, bool)
    mated[rng.choice(sizes.pairs, sizes.mated, replace=False)] = True
    score = np.where(mated, rng.normal(MATED_COSINE, 0.2, sizes.pairs), rng.normal(0, DIMENSION**-0.5, sizes.pairs))
    np.savez(folder / "scores.npz", score=score.astype(np.float32).astype(np.float64), mated=mated)


def write_lfw(folder: Path, sizes: Sizes) -> None:
    """Write ``lfw.npz``: 6,000 squared distances and labels, 300 mated and 300 others in turn, as LFW has them."""
    rng = np.random.default_rng(7)
    mated = np.arange(6000) // 300 % 2 == 0
    distance = np.where(mated, rng.normal(0.8, 0.25, 6000), rng.normal(1.9, 0.15, 6000)).clip(0, 4)
    np.savez(folder / "lfw.npz", distance=distance, mated=mated)
