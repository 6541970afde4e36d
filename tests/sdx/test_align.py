"""Crops land where the field's do, and landmarks are carried onto the template."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sdx.align import ARCFACE_TEMPLATE, FRAMES, compose, similarity, view, warp
from sdx.errors import DataError
from sdx.types import WHOLE, Box, InputSpec

FFHQ_EYES = ((380 / 1024, 480 / 1024), (650 / 1024, 480 / 1024))  # (x, y) in fractions of the frame


def test_a_whole_face_of_the_right_size_is_not_touched() -> None:
    face = torch.rand(2, 3, 64, 64)
    assert view(face, "aligned", InputSpec(64)) is face


def test_order_scale_and_shift() -> None:
    face = torch.rand(2, 3, 16, 16) * 2 - 1
    seen = view(face, "aligned", InputSpec(16, order="BGR", scale=0.5, shift=-0.25))
    assert torch.allclose(seen[:, 0], face[:, 2] * 0.5 - 0.25)
    assert torch.allclose(seen[:, 1], face[:, 1] * 0.5 - 0.25)
    assert torch.allclose(seen[:, 2], face[:, 0] * 0.5 - 0.25)


def test_synthdistill_crop_is_the_integer_one_at_256() -> None:
    face = torch.rand(2, 3, 256, 256) * 2 - 1
    expected = torch.nn.functional.interpolate(
        face[:, :, 21:234, 22:235], size=(112, 112), mode="bilinear", align_corners=False
    )
    assert torch.allclose(view(face, "ffhq", InputSpec(112)), expected, atol=1e-4)


@pytest.mark.parametrize("side", [64, 128, 256])
def test_ffhq_eyes_land_on_the_template(side: int) -> None:
    # Two channels that hold each pixel's own (x, y): what is seen at a place tells where it came from.
    centre = (torch.arange(side) + 0.5) / side
    face = torch.stack([centre.expand(side, side), centre[:, None].expand(side, side), torch.zeros(side, side)])[None]
    seen = view(face, "ffhq", InputSpec(112))[0]
    for (x, y), (column, row) in zip(FFHQ_EYES, ARCFACE_TEMPLATE[:2], strict=True):
        nearest = seen[:, round(row), round(column)]
        # within 0.4 px of 112 (the crop is 213/256 wide), plus half a pixel for rounding to the nearest place
        assert abs(float(nearest[0]) - x) < 0.9 / 112 * 213 / 256
        assert abs(float(nearest[1]) - y) < 0.9 / 112 * 213 / 256


def test_gradients_flow_through_a_view() -> None:
    face = torch.rand(1, 3, 32, 32, requires_grad=True)
    view(face, "ffhq", InputSpec(16, order="BGR", scale=0.5)).sum().backward()
    assert face.grad is not None
    assert float(face.grad.sum()) == pytest.approx(3 * 16 * 16 * 0.5, rel=1e-5)  # bilinear weights sum to one
    assert float(face.grad[:, :, 0].abs().sum()) == 0.0


boxes = st.tuples(*[st.floats(0, 0.45), st.floats(0, 0.45), st.floats(0.55, 1), st.floats(0.55, 1)])


@given(outer=boxes, inner=boxes)
def test_composed_boxes_stay_inside_and_associate(outer: Box, inner: Box) -> None:
    box = compose(outer, inner)
    assert outer[0] - 1e-12 <= box[0] < box[2] <= outer[2] + 1e-12
    assert outer[1] - 1e-12 <= box[1] < box[3] <= outer[3] + 1e-12
    assert compose(WHOLE, inner) == pytest.approx(inner)
    assert compose(outer, WHOLE) == pytest.approx(outer)
    third = FRAMES["ffhq"]
    assert compose(compose(outer, inner), third) == pytest.approx(compose(outer, compose(inner, third)))


def _least_squares(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same map as a linear least-squares problem in a + ib and the translation."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [u, v]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    return np.array([[a, -b, tx], [b, a, ty]])


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0, 6))
def test_similarity_is_the_least_squares_one(seed: int, noise: float) -> None:
    random = np.random.default_rng(seed)
    target = np.array(ARCFACE_TEMPLATE)
    angle, scale = random.uniform(-np.pi, np.pi), random.uniform(0.1, 8)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = target @ turn.T + random.uniform(-300, 300, 2) + random.normal(size=(5, 2)) * noise * scale
    matrix = similarity(source, target)
    assert np.allclose(matrix, _least_squares(source, target), atol=1e-8)
    if noise == 0:
        assert np.allclose(source @ matrix[:, :2].T + matrix[:, 2], target, atol=1e-9)


def test_similarity_never_mirrors() -> None:
    mirrored = np.array(ARCFACE_TEMPLATE) * (-1, 1)
    assert np.linalg.det(similarity(mirrored, np.array(ARCFACE_TEMPLATE))[:, :2]) > 0


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((5, 2)),
        np.full((5, 2), np.nan),
        np.array(ARCFACE_TEMPLATE) * np.inf,
        np.zeros((4, 2)),
        np.zeros((5, 3)),
    ],
)
def test_hostile_landmarks_are_refused(points: NDArray[np.float64]) -> None:
    with pytest.raises(DataError, match="expected"):
        warp(torch.zeros(3, 20, 20), points, 112)


def test_warp_of_an_aligned_face_changes_nothing() -> None:
    image = torch.rand(3, 112, 112) * 2 - 1
    assert torch.allclose(warp(image, np.array(ARCFACE_TEMPLATE), 112), image, atol=1e-4)


@pytest.mark.parametrize("size", [112, 64])
def test_warp_carries_each_landmark_onto_the_template(size: int) -> None:
    random = np.random.default_rng(4)
    turn = 2.3 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    landmarks = np.array(ARCFACE_TEMPLATE) @ turn.T + (90.0, 10.0) + random.normal(size=(5, 2)) * 1e-3
    height, width = 330, 360
    image = torch.zeros(3, height, width)
    image[0] = torch.arange(width) / width
    image[1] = torch.arange(height)[:, None] / height
    face = warp(image, landmarks, size)
    for (x, y), (column, row) in zip(landmarks, np.array(ARCFACE_TEMPLATE) * size / 112, strict=True):
        c, r = int(column), int(row)
        down = face[:, r, c] + (face[:, r + 1, c] - face[:, r, c]) * (row - r)
        down += (face[:, r, c + 1] - face[:, r, c]) * (column - c)  # the image is linear: so is this
        assert float(down[0]) * width == pytest.approx(x, abs=0.02)
        assert float(down[1]) * height == pytest.approx(y, abs=0.02)


def test_warp_is_black_beyond_the_photograph() -> None:
    face = warp(torch.ones(3, 40, 40), np.array(ARCFACE_TEMPLATE) * 10, 112)
    assert float(face.min()) == -1.0
    assert float(face[:, 60:, 60:].max()) == -1.0
