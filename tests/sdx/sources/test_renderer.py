"""The renderer as a source: a pure function of image numbers."""

import torch

from sdx.random import Philox
from sdx.sources.renderer import LabelledRendererSource, RendererSource
from sdx.types import HELD_OUT


def test_faces_do_not_depend_on_the_batch() -> None:
    source = RendererSource("G", "wild", 32, Philox(3))
    index = torch.arange(6)
    latent = source.root(index)
    assert torch.equal(latent, RendererSource("G", "wild", 32, Philox(3)).root(index))
    assert torch.equal(latent[2:4], source.root(index[2:4]))
    assert not torch.equal(latent, RendererSource("G", "wild", 32, Philox(4)).root(index))
    face = source.draw(index, latent).face
    assert face.shape == (6, 3, 32, 32)
    assert float(face.abs().max()) <= 1
    assert torch.equal(face, source.draw(index, latent).face)
    assert torch.allclose(face[2:4], source.draw(index[2:4], latent[2:4]).face, atol=1e-5)
    assert not torch.allclose(face[0], face[1], atol=0.1)


def test_labelled_faces_are_kept_as_they_were_rendered() -> None:
    source = LabelledRendererSource("T", "wild", 32, 3, 4, Philox(3))
    first = source.draw(torch.arange(12))
    fresh = LabelledRendererSource("T", "wild", 32, 3, 4, Philox(3)).draw(torch.arange(12))
    again = source.draw(torch.arange(12))
    assert torch.equal(first.face, fresh.face)
    assert torch.equal(first.face, again.face)
    assert first.label is not None
    assert first.label.bincount().tolist() == [4, 4, 4]
    other = source.draw(torch.arange(12, 24)).face.flatten(1)
    assert not torch.equal(other, first.face.flatten(1))
    assert torch.cdist(other, first.face.flatten(1)).amin(1).max() == 0  # the same faces in another order


def test_held_out_views_are_in_no_epoch() -> None:
    source = LabelledRendererSource("T", "wild", 32, 3, 4, Philox(3))
    train = source.draw(torch.arange(12)).face.flatten(1)
    held = source.draw(torch.arange(HELD_OUT, HELD_OUT + 6))
    assert held.label is not None
    assert held.label.tolist() == [0, 1, 2, 0, 1, 2]
    assert float(torch.cdist(held.face.flatten(1), train).min()) > 0.5
