"""Operating points against scikit-learn's ROC curve, brute force, and hostile input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from sdx import _core, errors


@st.composite
def pairs(draw):
    """Scores with many ties and labels of both kinds."""
    labels = draw(st.lists(st.booleans(), min_size=2, max_size=80))
    labels[0], labels[1] = True, False
    steps = draw(st.sampled_from([3, 20, 2**20]))
    scores = draw(st.lists(st.integers(0, steps), min_size=len(labels), max_size=len(labels)))
    return np.array(scores) / steps, np.array(labels)


@settings(max_examples=200, deadline=None)
@given(pairs(), st.floats(0, 1))
def test_rates_are_those_of_scikit_learns_curve(case, fmr):
    score, mated = case
    curve = _core.Curve(score, mated)
    fpr, tpr, thresholds = roc_curve(mated, score, drop_intermediate=False)
    assert curve.auc() == pytest.approx(roc_auc_score(mated, score), abs=1e-12)
    within = np.flatnonzero(fpr <= fmr)[-1]
    point = curve.at_fmr(fmr)
    assert (point.fmr, 1 - point.fnmr) == (pytest.approx(fpr[within]), pytest.approx(tpr[within]))
    assert point.threshold == (thresholds[within] if within else np.nextafter(score.max(), np.inf))
    # The field's scripts turn the arrays round and take the first of the nearest.
    nearest = len(fpr) - 1 - np.argmin(np.abs(fpr[::-1] - fmr))
    point = curve.at_fmr(fmr, "nearest")
    assert abs(point.fmr - fmr) <= abs(fpr[nearest] - fmr) + 1e-15
    if abs(fpr - fmr).min() < np.partition(np.abs(np.unique(fpr) - fmr), 1)[1] - 1e-12:  # no two are as near
        assert (point.fmr, 1 - point.fnmr) == (pytest.approx(fpr[nearest]), pytest.approx(tpr[nearest]))


def test_counts_thresholds_and_points():
    score = np.array([0.9, 0.5, 0.5, 0.5, 0.1, 0.0])
    curve = _core.Curve(score, np.array([True, True, False, False, False, False]))
    assert (curve.mated, curve.nonmated) == (2, 4)
    exact, field = curve.at_fmr(0.3), curve.at_fmr(0.3, "nearest")
    assert (exact.threshold, exact.false_matches, exact.fmr, exact.false_non_matches) == (0.9, 0, 0.0, 1)
    assert (field.threshold, field.false_matches, field.fmr, field.fnmr) == (0.5, 2, 0.5, 0.0)  # beyond what was asked
    fixed = curve.at_threshold(0.05)
    assert (fixed.false_matches, fixed.false_non_matches) == (3, 0)
    equal = curve.equal_error()
    assert (equal.threshold, equal.fmr, equal.fnmr) == (0.9, 0.0, 0.5)
    assert [(p.fmr, p.fnmr) for p in curve.points(20)] == [(1.0, 0.0), (0.75, 0.0), (0.5, 0.0), (0.0, 0.5), (0.0, 1.0)]


def test_signed_zeros_are_one_score():
    curve = _core.Curve(np.array([0.0, -0.0]), np.array([True, False]))
    assert curve.auc() == 0.5
    assert curve.at_threshold(0.0).false_matches == 1


@pytest.mark.parametrize(
    ("score", "mated", "error", "named"),
    [
        (np.array([0.1, np.nan]), np.array([True, False]), errors.DataError, "NaN at position 1"),
        (np.array([0.1, 0.2]), np.array([True, True]), errors.DataError, "2 mated and 0 non-mated"),
        (np.array([0.1]), np.array([True, False]), errors.DataError, "2 and 1"),
        (np.zeros(2, np.float32), np.array([True, False]), TypeError, "float32"),
        (np.zeros((2, 1)), np.array([True, False]), TypeError, "[2, 1]"),
        (np.zeros(4)[::2], np.array([True, False]), ValueError, "strided"),
        (np.zeros(2), np.array([1, 0]), TypeError, "int64"),
    ],
)
def test_what_is_no_curve(score, mated, error, named):
    with pytest.raises(error) as caught:
        _core.Curve(score, mated)
    assert named in str(caught.value)


def test_what_cannot_be_asked():
    curve = _core.Curve(np.array([0.1, 0.2]), np.array([True, False]))
    with pytest.raises(errors.DataError, match=r"got 1\.5"):
        curve.at_fmr(1.5)
    with pytest.raises(errors.DataError, match="got NaN"):
        curve.at_fmr(float("nan"))
    with pytest.raises(errors.ConfigError, match="policy"):
        curve.at_fmr(0.1, "at least")
    with pytest.raises(errors.DataError, match="NaN"):
        curve.at_threshold(float("nan"))
    with pytest.raises(errors.DataError, match="5 of 2"):
        _core.wilson(5, 2, 1.96)


def test_any_number_of_points_is_at_most_one_a_score():
    random = np.random.default_rng(0)
    score, mated = random.normal(size=300), np.arange(300) % 3 == 0
    curve = _core.Curve(score, mated)
    every = [(point.false_matches, point.false_non_matches) for point in map(curve.at_threshold, np.sort(score))]
    every.append((0, 100))
    for count in (2**31, 2**62):
        found = [(point.false_matches, point.false_non_matches) for point in curve.points(count)]
        assert set(found) <= set(every)
        assert {k for k, _ in found} == set(range(201))
        assert {k for _, k in found} == set(range(101))
