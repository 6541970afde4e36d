"""The SimFace renderer as a source: its parameters are the latent, or its people are the labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sdx.simface.population import Population
from sdx.simface.render import render
from sdx.sources.levels import to_bytes, to_faces
from sdx.types import HELD_OUT, Batch, Frame, Random, Stream

Split = Literal["G", "T"]
Nuisance = Literal["wild", "portrait"]


class RendererSource:
    """A latent source: image n shows a person nobody else has, in a view of its own.

    Args:
        split: population of people, disjoint from every other split.
        nuisance: how they are photographed.
        size: side of a face in pixels.
        random: random numbers of the run's seed.
    """

    frame: Frame = "aligned"
    licence = "Apache-2.0"
    classes = 0
    latent_rms = 1.0  # every coordinate is standard normal

    def __init__(self, split: Split, nuisance: Nuisance, size: int, random: Random) -> None:
        self.name = f"simface-{split}-{nuisance}"
        self.size = size
        self.statement = (
            f"faces of people and captures drawn by SimFace, split {split}, nuisance {nuisance}; no real person"
        )
        self.skipped: list[str] = []
        self._population = Population(split, nuisance, random)
        self._nuisance: Nuisance = nuisance
        self._random = random

    def root(self, index: Tensor) -> Tensor:
        """Return the latents float32 [B, L] of images int64 [B]."""
        return self._population.latent(index, index)

    def draw(self, index: Tensor, latent: Tensor) -> Batch:
        """Return the rendered faces of latents float32 [B, L]; the sensor's noise is keyed by index."""
        noise = self._random.normals(Stream.GRAIN, index.numpy(), 3 * self.size**2)
        grain = torch.from_numpy(noise).view(-1, 3, self.size, self.size)
        face = render(latent, size=self.size, nuisance=self._nuisance, grain=grain)
        return Batch(index, face, latent=latent, group=self._population.group(latent))


class LabelledRendererSource:
    """An index source of ``identities`` people with ``views`` images each, in a new random order every epoch.

    A face is rendered when it is first asked for and kept as bytes (``identities * views * 3 * size**2`` of them, about
    0.8 GB at the defaults), for an image is used many times.

    Args:
        split, nuisance, size, random: see `RendererSource`.
        identities: number of labels.
        views: images of each.
    """

    frame: Frame = "aligned"
    licence = "Apache-2.0"

    def __init__(
        self, split: Split, nuisance: Nuisance, size: int, identities: int, views: int, random: Random
    ) -> None:
        self.name = f"simface-labelled-{split}-{nuisance}"
        self.size = size
        self.classes = identities
        self.statement = f"{identities} people x {views} views of {self.name}; no real person"
        self.skipped: list[str] = []
        self._renderer = RendererSource(split, nuisance, size, random)
        self._population = Population(split, nuisance, random)
        self._views = views
        self._random = random
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))
        self._kept = np.empty((identities * views, 3, size, size), np.uint8)  # touched, hence allocated, when filled
        self._is_kept = np.zeros(identities * views, np.bool_)

    def draw(self, index: Tensor) -> Batch:
        """Return faces and labels of image numbers int64 [B]; held-out numbers are views that no epoch contains."""
        if int(index[0]) >= HELD_OUT:
            number = index - HELD_OUT
            label, view = number % self.classes, self._views + number // self.classes
            return Batch(index, to_faces(self._render(label, view)), label=label)
        position = torch.tensor([self._position(int(n)) for n in index])
        missing = np.unique(position.numpy()[~self._is_kept[position.numpy()]])
        if len(missing):
            person = torch.from_numpy(missing)
            self._kept[missing] = self._render(person // self._views, person % self._views).numpy()
            self._is_kept[missing] = True
        return Batch(index, to_faces(torch.from_numpy(self._kept[position.numpy()])), label=position // self._views)

    def _position(self, index: int) -> int:
        epoch, place = divmod(index, len(self._is_kept))
        if self._order[0] != epoch:
            self._order = (epoch, self._random.permutation(Stream.SHUFFLE, epoch, len(self._is_kept)))
        return int(self._order[1][place])

    def _render(self, identity: Tensor, view: Tensor) -> Tensor:
        """Return uint8 [B, 3, S, S]; quantised, so that a kept face equals a fresh one."""
        faces = self._renderer.draw(identity * (1 << 20) + view, self._population.latent(identity, view)).face
        return to_bytes(faces)
