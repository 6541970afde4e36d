"""A folder of lists as IJB-C's are laid out, and embeddings for it: people of a made-up world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 16


class World:
    """Subjects with a gallery template each, in G1 or G2, and probes; templates of stills and videos.

    Args:
        seed: of everything.
        subjects: half of them in each gallery.
        probes: templates to search with.
        spread: of embeddings about their subject's direction.
    """

    def __init__(self, seed: int = 0, subjects: int = 40, probes: int = 120, spread: float = 0.35) -> None:
        random = np.random.default_rng(seed)
        centre = random.normal(size=(subjects, WIDTH))
        self.subject = np.concatenate([np.arange(subjects), random.integers(0, subjects, probes)])
        self.ids = random.permutation(np.arange(10, 10 + 3 * len(self.subject), 3))  # neither dense nor in order
        self.gallery = [np.arange(0, subjects, 2), np.arange(1, subjects, 2)]
        self.probe = np.arange(subjects, subjects + probes)
        count = random.integers(1, 6, len(self.subject))
        which = np.repeat(np.arange(len(self.subject)), count)
        self.template = self.ids[which]
        self.media = random.integers(100, 103, len(which))
        self.score = random.uniform(0.2, 1, len(which)).round(3)
        of = centre[self.subject[which]] / WIDTH**0.5
        length = random.uniform(5, 20, (len(which), 1))
        self.face, self.mirrored = (
            ((of + spread * random.normal(size=of.shape)) * length).astype(np.float32) for _ in range(2)
        )
        first, second = np.divmod(np.arange(subjects * probes), probes)
        self.first, self.second = self.ids[first], self.ids[second + subjects]
        self.mated = self.subject[first] == self.subject[second + subjects]
        self.landmarks = random.uniform(0, 120, (len(which), 10)).round(3)

    def write(self, folder: Path, name: str = "ijbc") -> Path:
        """Write the lists into ``folder / "meta"``; return ``folder``."""
        meta = folder / "meta"
        meta.mkdir(parents=True)
        images = [f"{number + 1}.jpg" for number in range(len(self.template))]
        rows: dict[str, Any] = {
            f"{name}_face_tid_mid.txt": zip(images, self.template, self.media, strict=True),
            f"{name}_name_5pts_score.txt": (
                (image, *marks, score) for image, marks, score in zip(images, self.landmarks, self.score, strict=True)
            ),
            f"{name}_template_pair_label.txt": zip(self.first, self.second, self.mated.astype(int), strict=True),
        }
        for file, lines in rows.items():
            (meta / file).write_text("".join(" ".join(map(str, line)) + "\n" for line in lines))
        rosters = {"gallery_G1": self.gallery[0], "gallery_G2": self.gallery[1], "probe_mixed": self.probe}
        for part, members in rosters.items():
            lines = ["TEMPLATE_ID,SUBJECT_ID,FILENAME\n"]
            for member in members:  # a line an image, as the originals have it
                lines += [f"{self.ids[member]},{self.subject[member]},img/1.png\n"] * (1 + member % 2)
            (meta / f"{name}_1N_{part}.csv").write_text("".join(lines))
        return folder

    def units(self, *, norms: bool = True, detector: bool = True, flip: str = "sum") -> dict[int, NDArray[np.float64]]:
        """Return the unit vector of each template by id, as the field's scripts make it."""
        features = self.face.astype(np.float64)
        if flip != "none":
            mirrored = self.mirrored.astype(np.float64)
            features = features + mirrored if flip == "sum" else np.concatenate([features, mirrored], 1)
        if not norms:
            features /= np.linalg.norm(features, axis=1, keepdims=True)
        if detector:
            features *= self.score[:, None].astype(np.float32)
        found = {}
        for one in np.unique(self.template):
            own, media = features[self.template == one], self.media[self.template == one]
            total = sum(own[media == medium].mean(0) for medium in np.unique(media))
            found[int(one)] = total / np.linalg.norm(total)
        return found
