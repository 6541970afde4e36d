"""Augmentation depends on the image number alone, and the teacher never sees what is the student's alone."""

import torch

from sdx.config import AugmentConfig
from sdx.random import Philox
from sdx.training import augment
from sdx.types import Batch

RANDOM = Philox(3)


def _batch(index: torch.Tensor) -> Batch:
    faces = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    return Batch(index, faces[index])


def test_flip_is_keyed_by_number_and_shared() -> None:
    config = AugmentConfig(flip=True)
    whole = _batch(torch.arange(64))
    seen = augment.shared(whole.face, augment.mirrored(config, whole.index, RANDOM))
    part = _batch(torch.tensor([40, 7]))
    again = augment.shared(part.face, augment.mirrored(config, part.index, RANDOM))
    torch.testing.assert_close(again, seen[[40, 7]], rtol=0, atol=0)
    flipped = (seen == whole.face.flip(3)).flatten(1).all(1)
    kept = (seen == whole.face).flatten(1).all(1)
    assert bool((flipped | kept).all())
    assert 20 <= int(flipped.sum()) <= 44


def test_off_leaves_faces_alone() -> None:
    batch = _batch(torch.arange(8))
    assert augment.shared(batch.face, augment.mirrored(AugmentConfig(), batch.index, RANDOM)) is batch.face
    assert augment.student_view(AugmentConfig(), batch.face, batch, RANDOM) is batch.face


def test_degraded_views_lose_detail_and_leave_the_face_as_it_was() -> None:
    batch = _batch(torch.arange(64))
    before = batch.face.clone()
    half = augment.student_view(AugmentConfig(degrade=0.5), batch.face, batch, RANDOM)
    assert torch.equal(batch.face, before)
    changed = (half != batch.face).flatten(1).any(1)
    assert 20 <= int(changed.sum()) <= 44
    rough = batch.face.diff(dim=3).square().flatten(1).mean(1)
    smooth = half.diff(dim=3).square().flatten(1).mean(1)
    assert bool((smooth[changed] < rough[changed]).all())
    part = _batch(torch.tensor([5, 63, 9]))
    again = augment.student_view(AugmentConfig(degrade=0.5), part.face, part, RANDOM)
    torch.testing.assert_close(again, half[[5, 63, 9]], rtol=0, atol=1e-6)
