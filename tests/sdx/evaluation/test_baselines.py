"""Baselines: whitened principal components, random students, and the distance between."""

import numpy as np
import pytest
import torch

from sdx import students
from sdx.evaluation.baselines import PixelPca, gap_closed, random_student


def faces(seed, count, size=12):
    """Faces with a strong common structure and a weak one."""
    random = np.random.default_rng(seed)
    basis = np.random.default_rng(99).normal(size=(6, 3 * size * size)) * np.array([8, 5, 3, 2, 1, 0.5])[:, None]
    flat = random.normal(size=(count, 6)) @ basis / 100 + random.normal(size=(count, 3 * size * size)) / 500
    return torch.from_numpy(flat.reshape(count, 3, size, size)).float()


def test_components_equal_those_of_the_covariance_and_are_whitened():
    fitted = faces(0, 200)
    model = PixelPca(fitted, "aligned", components=4, size=12)
    found = model.embed(fitted, "aligned").double().numpy()
    flat = fitted.flatten(1).double().numpy()
    values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    expected = (flat - flat.mean(0)) @ vectors[:, ::-1][:, :4] / np.sqrt(values[::-1][:4])
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-3)
    np.testing.assert_allclose(np.cov(found, rowvar=False), np.eye(4), atol=1e-4)
    assert (model.name, model.embedding, len(model.sha256)) == ("pca-4", 4, 64)


def test_components_come_from_the_fitted_faces_alone():
    model = PixelPca(faces(0, 100), "aligned", components=4, size=12)
    other = faces(1, 50)
    before = model.embed(other[:1], "aligned")
    model.embed(other, "aligned")
    torch.testing.assert_close(model.embed(other[:1], "aligned"), before, rtol=0, atol=0)
    assert model.sha256 == PixelPca(faces(0, 100), "aligned", components=4, size=12).sha256
    assert model.sha256 != PixelPca(faces(2, 100), "aligned", components=4, size=12).sha256


def test_faces_of_any_size_are_taken_and_identical_ones_do_not_divide_by_zero():
    same = torch.zeros(70, 3, 12, 12)
    model = PixelPca(same, "aligned", components=64, size=8)
    assert torch.isfinite(model.embed(faces(0, 2, size=30), "aligned")).all()
    with pytest.raises(ValueError, match="more faces than the 64 components, got 64"):
        PixelPca(same[:64], "aligned", components=64, size=8)


def test_random_students_are_their_seed_with_statistics_of_the_faces_and_leave_torchs_generator_alone():
    seen = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (160, 3, 64, 64))).float()
    torch.manual_seed(123)
    state = torch.get_rng_state()
    one, again, other = (random_student("small", 16, seed, seen, "aligned") for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert one.sha256 == again.sha256 != other.sha256
    embedding = one.embed(seen[:8], "aligned")
    assert embedding.shape == (8, 16)
    torch.testing.assert_close(again.embed(seen[:8], "aligned"), embedding, rtol=0, atol=0)
    torch.manual_seed(0)
    raw = students.build("random-0", "small", 16)
    uncalibrated = raw.eval()(seen[:8], "aligned")
    students.calibrate_batchnorm(raw.network, [seen[:64], seen[64:128]])
    torch.testing.assert_close(embedding, raw(seen[:8], "aligned"), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(embedding, uncalibrated, rtol=0.1, atol=0.1)


def test_gap_closed_is_in_mean_accuracy_over_the_sets():
    teacher = {"a": 0.97, "b": 0.91}
    random = [{"a": 0.6, "b": 0.5}, {"a": 0.64, "b": 0.58}]
    assert gap_closed(teacher, random, teacher) == pytest.approx(1)
    assert gap_closed({"a": 0.62, "b": 0.54}, random, teacher) == pytest.approx(0)
    assert gap_closed({"a": 0.9, "b": 0.86}, random, teacher) == pytest.approx((0.88 - 0.58) / (0.94 - 0.58))


def test_gap_closed_refuses_what_cannot_be_compared():
    with pytest.raises(ValueError, match="same sets"):
        gap_closed({"a": 0.9}, [{"a": 0.5}], {"a": 0.9, "b": 0.9})
    with pytest.raises(ValueError, match="same sets"):
        gap_closed({"a": 0.9}, [], {"a": 0.9})
    with pytest.raises(ValueError, match="better than random"):
        gap_closed({"a": 0.9}, [{"a": 0.9}], {"a": 0.8})
