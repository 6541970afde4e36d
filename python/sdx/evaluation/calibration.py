"""The threshold at which a model is to be operated, chosen from all pairs of some faces for a false match rate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sdx import _core, sources
from sdx.errors import DataError
from sdx.evaluation import intervals
from sdx.evaluation.datasets import VerificationSet
from sdx.evaluation.embed import BATCH, embed
from sdx.evaluation.intervals import Interval
from sdx.evaluation.support import LEAST, Support, support
from sdx.sources import FolderSource, IndexSource, LatentSource
from sdx.teachers import Embedder
from sdx.types import HELD_OUT, Stream
from sdx.weights import artefact
from sdx.weights.metadata import OperatingThreshold

LISTED = 1 << 20
"""False matches up to which their list is kept: beyond, comparing all pairs again is quicker, and takes no memory."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Embeddings of faces whose people are known.

    Args:
        name: of what they are, for the model file and reports.
        descriptor: float32 [N, D], of any length: one view's raw embedding, or the sum of both mirror images'.
        subject: int64 [N].
        sha256: of the set, or of the digests of the faces drawn, hex.
        flip: whether the mirror image's embedding was added.
        people: what a subject was taken to be, in words.
        remark: what speaks against that, None if nothing does.
    """

    name: str
    descriptor: NDArray[np.float32]
    subject: NDArray[np.int64]
    sha256: str
    flip: bool
    people: str
    remark: str | None = None


@dataclass(frozen=True)
class Calibration:
    """A threshold and how it came about.

    Args:
        operating: for the model file.
        support: by the false matches that can occur at the asked rate, see `sdx.evaluation.support`.
        mated: mated pairs among the faces, 0 where every face is another person.
        fnmr: share of them that the threshold rejects, None without any.
        fnmr_interval: 95 % interval of ``fnmr``, None likewise.
    """

    operating: OperatingThreshold
    support: Support
    mated: int
    fnmr: float | None
    fnmr_interval: Interval | None


def of_set(model: Embedder, dataset: VerificationSet, *, flip: bool = False) -> Faces:
    """Return the embeddings of a set's distinct images; raises DataError for a set that does not say who they are."""
    if dataset.subjects is None:
        raise DataError(
            f"{dataset.name}: expected a set that says who is in each image, for all pairs of them are compared; give "
            "--subjects IDS.npy"
        )
    embedding = embed(model, dataset.images, dataset.frame, flip=flip)
    subject = np.ascontiguousarray(dataset.subjects, np.int64)
    return Faces(dataset.name, _sum(embedding), subject, dataset.sha256, flip, "who is in each image, as the set says")


def of_source(
    model: Embedder, source: LatentSource | IndexSource, count: int, *, seed: int, flip: bool = False
) -> Faces:
    """Return the embeddings of ``count`` faces that no run trains on, each of another person unless labels say whose.

    Args:
        model: what embeds.
        source: where they come from; two root latents are two people, and so are two labels: of a folder or zip its
            sub-folders, or, where it has no two of them, its images.
        count: how many.
        seed: that the source was built with, for the name.
        flip: add the mirror image's embedding.

    Raises DataError for a source that gives a face twice, as one of few files does: it would match itself; and for
    faces of one label alone.
    """
    checksum, found, subject = hashlib.sha256(), [], []
    distinct: set[bytes] = set()
    for start in range(0, count, BATCH):
        index = torch.arange(HELD_OUT + start, HELD_OUT + min(start + BATCH, count))
        batch = sources.by_number(source, index)
        face = batch.face.cpu()
        digests = [hashlib.sha256(one.tobytes()).digest() for one in face.numpy()]
        checksum.update(b"".join(digests))
        distinct.update(digests)
        if len(distinct) < start + len(face):
            raise DataError(
                f"{source.name}: expected {count:,} faces that differ, got {len(distinct):,} among the first "
                f"{start + len(face):,} that no run trains on: take no more than those, or another source"
            )
        subject.append((index - HELD_OUT if batch.label is None else batch.label.cpu()).numpy())
        views = [face, face.flip(3)] if flip else [face]
        found.append(torch.stack([model.embed(view, source.frame) for view in views]).float().cpu().numpy())
    who = np.concatenate(subject)
    people, remark = _people(source, who)
    name = f"{count:,} faces drawn from {source.name}, seed {seed}, {people}"
    return Faces(name, _sum(np.concatenate(found, 1)), who, checksum.hexdigest(), flip, people, remark)


def _people(source: LatentSource | IndexSource, subject: NDArray[np.int64]) -> tuple[str, str | None]:
    """Return what was taken for a person, int64 [N] for the faces drawn, and a remark where that is a guess."""
    is_folder = isinstance(source, FolderSource)
    if not source.classes:
        guess = "no two sub-folders tell who is who: two images of one person would count as a false match"
        return "each taken for another person", f"{source.name}: {guess}" if is_folder else None
    label = "sub-folder" if is_folder else "label"
    if (number := len(np.unique(subject))) < 2:
        raise DataError(
            f"{source.name}: expected faces of two people at least, got {len(subject):,} of one {label}: take more "
            "faces, or another source"
        )
    return f"a person for each of {number:,} {label}s", None


def calibrate(faces: Faces, fmr: float) -> Calibration:
    """Return the lowest threshold whose FMR over all pairs of the faces is at most ``fmr``.

    Args:
        faces: of two people at least.
        fmr: asked, in (0, 1].

    Raises DataError where fewer than three false matches can occur at that rate: nothing can be said of it then.
    """
    people = np.unique(faces.subject, return_counts=True)[1].astype(object)  # whole numbers of any size
    pairs = int((people.sum() ** 2 - (people**2).sum()) // 2)
    allowed = support(pairs * fmr)
    if allowed == "none":
        raise DataError(
            f"{faces.name}: expected pairs enough for {LEAST} false matches at FMR {fmr:g}, got {pairs:,} non-mated "
            "ones: take more faces or a higher rate"
        )
    tail = int(fmr * pairs) + 2
    found = _core.rate_all_pairs(faces.descriptor, faces.subject, [fmr], tail=tail if tail <= LISTED else 0)
    (point,) = found.points
    replicates = _resample(faces, found, point.threshold)
    interval = intervals.of_rate(point.false_matches, found.nonmated, replicates.fixed_fmr[0])
    operating = OperatingThreshold(
        threshold=point.threshold,
        flip=faces.flip,
        asked_fmr=fmr,
        attained_fmr=point.fmr,
        interval=(interval.low, interval.high),
        interval_kind=interval.kind,
        false_matches=point.false_matches,
        pairs=found.nonmated,
        data=faces.name,
        data_sha256=faces.sha256,
    )
    if not found.mated:
        return Calibration(operating, allowed, 0, None, None)
    rejected = intervals.of_rate(point.false_non_matches, found.mated, replicates.fixed_fnmr[0])
    return Calibration(operating, allowed, found.mated, point.fnmr, rejected)


def _resample(faces: Faces, found: _core.AllPairs, threshold: float) -> _core.Replicates:
    """The errors at the threshold when other people are drawn."""
    (mated_first, mated_second), (first, second) = (
        np.ascontiguousarray(pair.T) for pair in (found.mated_pair, found.tail_pair)
    )
    if not len(found.tail_score):
        return _core.resample_at_threshold(
            faces.descriptor,
            faces.subject,
            found.mated_score,
            mated_first,
            mated_second,
            threshold,
            seed=0,
            stream=Stream.BOOTSTRAP,
            replicates=intervals.REPLICATES,
        )
    return _core.resample_all_pairs(
        faces.subject,
        found.mated_score,
        mated_first,
        mated_second,
        found.tail_score,
        first,
        second,
        fmrs=[],
        thresholds=[threshold],
        seed=0,
        stream=Stream.BOOTSTRAP,
        replicates=intervals.REPLICATES,
    )


def write(path: Path, out: Path, operating: OperatingThreshold) -> None:
    """Write the model of ``path`` with its threshold to ``out``, which may be the same file; ArtefactError if not."""
    loaded = artefact.load(path)
    meta = loaded.meta.model_copy(update={"threshold": operating})
    kept = artefact.Artefact(loaded.network, loaded.spec, meta)
    artefact.save(out, kept, storage=meta.storage)


def _sum(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum over views, float32 [N, D]."""
    return np.ascontiguousarray(embedding.sum(0, dtype=np.float64), np.float32)
