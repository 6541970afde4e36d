"""Templates of image embeddings against the field's order of operations in float64 NumPy, and hostile input."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_boundary import peak_growth

from sdx import _core, errors


def aggregated(embedding, template, media, *, norm_weighting, flip, mirrored, detector_score):
    """As the field's scripts do it: all images first, then a loop over templates and their media."""
    features = embedding.astype(np.float64)
    if flip == "sum":
        features = features + mirrored
    elif flip == "concat":
        features = np.concatenate([features, mirrored], 1)
    if not norm_weighting:
        features = features / np.sqrt(np.sum(features**2, -1, keepdims=True))
    if detector_score is not None:
        features = features * detector_score[:, None].astype(np.float64)
    unit = []
    for one in np.unique(template):
        of_template, of_media = features[template == one], media[template == one]
        total = np.sum([of_template[of_media == medium].mean(0) for medium in np.unique(of_media)], 0)
        unit.append(total / np.linalg.norm(total))
    return np.array(unit)


def case(seed, images=40, count=7, width=24):
    random = np.random.default_rng(seed)
    template = np.concatenate([np.arange(count), random.integers(0, count, images - count)])
    return {
        "embedding": random.normal(size=(images, width)).astype(np.float32)
        * random.uniform(1, 30, (images, 1)).astype("f"),
        "template": random.permutation(template),
        "media": random.integers(-3, 4, images),
        "mirrored": random.normal(size=(images, width)).astype(np.float32),
        "detector_score": random.uniform(0.1, 1, images).astype(np.float32),
    }


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    norm_weighting=st.booleans(),
    flip=st.sampled_from(["none", "sum", "concat"]),
    detector=st.booleans(),
    width=st.integers(4, 40),
)
def test_templates_are_the_fields(seed, norm_weighting, flip, detector, width):
    given = case(seed, width=width)
    if not detector:
        given["detector_score"] = None
    unit = _core.aggregate_templates(**given, count=7, norm_weighting=norm_weighting, flip=flip)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, aggregated(**given, norm_weighting=norm_weighting, flip=flip), atol=1e-6)


def test_a_video_weighs_as_much_as_a_still():
    embedding = np.eye(3, dtype=np.float32)[[0, 1, 1, 1, 2]]
    made = _core.aggregate_templates(
        embedding, np.zeros(5, np.int64), np.array([7, 9, 9, 9, 9]), 1, norm_weighting=True, flip="none"
    )
    np.testing.assert_allclose(made[0] * np.linalg.norm([1, 0.75, 0.25]), [1, 0.75, 0.25], rtol=1e-6)


def test_halves_of_a_row_are_the_two_arrays():
    given = case(1)
    beside = {**given, "embedding": np.concatenate([given["embedding"], given["mirrored"]], 1), "mirrored": None}
    for flip in ("none", "sum", "concat"):
        options = {"count": 7, "norm_weighting": False, "flip": flip}
        np.testing.assert_array_equal(
            _core.aggregate_templates(**beside, **options, halves=True), _core.aggregate_templates(**given, **options)
        )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/status is Linux's")
def test_embeddings_are_looked_at_and_not_copied():
    setup = (
        "n = 60_000; e = np.ones((n, 512), np.float32); t = np.arange(n) % 1000; m = np.zeros(n, np.int64); "
        "_core.aggregate_templates(e[:4], t[:4], m[:4], 4, norm_weighting=True, flip='none')"
    )
    grown = peak_growth(setup, "_core.aggregate_templates(e, t, m, 1000, norm_weighting=True, flip='none')")
    assert grown < 10 << 20  # of 117 MiB; the result and the order of the images are 3


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"template": np.arange(4) + 1}, errors.DataError, "templates in [0, 4), got 4 for image 3"),
        ({"template": np.array([0, 1, 2, 2])}, errors.DataError, "none of template 3"),
        ({"count": 5}, errors.DataError, "4 images of 5 templates"),
        ({"count": 0}, errors.DataError, "4 images of 0 templates"),
        ({"embedding": np.array([[1], [2], [np.nan], [3]], np.float32)}, errors.DataError, "infinity for image 2"),
        ({"detector_score": np.array([1, -1, 1, 1], np.float32)}, errors.DataError, "-1 for image 1"),
        ({"detector_score": np.zeros(4, np.float32)}, errors.DataError, "zero for the template at place 0"),
        ({"detector_score": np.ones(3, np.float32)}, errors.DataError, "3 detector scores"),
        ({"media": np.arange(3)}, errors.DataError, "3 media"),
        ({"embedding": np.zeros((4, 2), np.float32), "norm_weighting": False}, errors.DataError, "zeros for image 0"),
        ({"embedding": np.zeros((4, 0), np.float32)}, errors.DataError, "a row for each of 4 images"),
        ({"embedding": np.ones((3, 2), np.float32)}, ValueError, "[4, m]"),
        ({"embedding": np.ones((4, 2))}, TypeError, "float64 [4, 2]"),
        ({"embedding": np.ones((4, 4), np.float32)[:, :2]}, ValueError, "strided"),
        ({"template": np.arange(4, dtype=np.int32)}, TypeError, "int32 [4]"),
        ({"mirrored": np.ones((4, 3), np.float32)}, ValueError, "[4, 2]"),
        ({"mirrored": np.ones((4, 2), np.float32), "halves": True}, errors.ConfigError, "got both"),
        ({"embedding": np.ones((4, 3), np.float32), "halves": True}, errors.DataError, "an even number of columns"),
        ({"flip": "sum"}, errors.ConfigError, "mirror images to join"),
        ({"flip": "mean"}, errors.ConfigError, '"mean"'),
        ({"count": -1}, OverflowError, "negative"),
    ],
)
def test_what_makes_no_templates(change, error, named):
    given = {
        "embedding": np.ones((4, 2), np.float32),
        "template": np.arange(4),
        "media": np.zeros(4, np.int64),
        "count": 4,
        "norm_weighting": True,
        "flip": "none",
    }
    with pytest.raises(error) as caught:
        _core.aggregate_templates(**{**given, **change})
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
