"""1:1 rates of templates against scikit-learn and the curve of all scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ijb_folder import World
from sklearn.metrics import roc_auc_score, roc_curve

from sdx import _core
from sdx.errors import DataError
from sdx.evaluation.score_file import FMRS
from sdx.evaluation.template_pairs import TemplatePairs, verify
from sdx.evaluation.templates import ImageEmbeddings, Templates, TemplateSet, Weighting


def _templates(world: World) -> Templates:
    known = TemplateSet("world", world.template, world.media, world.score.astype(np.float32))
    return known.aggregate(ImageEmbeddings(world.face, world.mirrored), Weighting())


def test_rates_are_those_of_scikit_learns_curve_of_float64_scores() -> None:
    world = World(subjects=60, probes=300)
    result = verify(_templates(world), TemplatePairs(world.first, world.second, world.mated))
    want = world.units()
    score = np.array([want[a] @ want[b] for a, b in zip(world.first.tolist(), world.second.tolist(), strict=True)])
    found = result.judgement
    assert (found.mated, found.nonmated) == (300, 300 * 59)
    assert (result.images, result.templates) == (len(world.face), 360)
    assert found.auc == pytest.approx(roc_auc_score(world.mated, score), abs=1e-6)
    fpr, tpr, _ = roc_curve(world.mated, score, drop_intermediate=False)
    fpr, tpr = np.flipud(fpr), np.flipud(tpr)  # as the field's scripts have it
    for name, fmr in FMRS.items():
        exact, field = found.rates[name]
        assert (exact.policy, field.policy) == ("at most", "nearest")
        within = np.flatnonzero(fpr <= fmr)[0]
        assert exact.attained == pytest.approx(fpr[within], abs=1e-12)
        assert exact.attained <= fmr
        assert 1 - exact.fnmr == pytest.approx(tpr[within], abs=1e-12)
        nearest = np.argmin(abs(fpr - fmr))
        assert field.attained == pytest.approx(fpr[nearest], abs=1e-12)
        assert 1 - field.fnmr == pytest.approx(tpr[nearest], abs=1e-12)
        low, high = exact.fnmr_interval
        assert low <= exact.fnmr <= high
    assert found.rates["1e-2"][0].support == "good"
    assert found.rates["1e-3"][0].support == "low"
    assert found.rates["1e-5"][0].support == "none"
    assert 0.1 < 1 - found.rates["1e-3"][0].fnmr < 0.9  # neither all nor nothing


@settings(max_examples=150, deadline=None)
@given(
    cosines=st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=60),
)
def test_the_nearest_is_that_of_the_whole_curve(cosines: list[tuple[int, bool]]) -> None:
    cosine = np.array([score / 4 for score, _ in cosines])
    mated = np.array([kind for _, kind in cosines])
    mated[:2] = True, False
    # Template 0 is an axis; template k + 1 has the k-th cosine with it.
    unit = np.vstack([[1, 0], np.stack([cosine, np.sqrt(1 - cosine**2)], 1)]).astype(np.float32)
    templates = Templates("x", Weighting(), len(unit), np.arange(len(unit)), unit)
    result = verify(templates, TemplatePairs(np.zeros(len(cosine), np.int64), np.arange(len(cosine)) + 1, mated))
    curve = _core.Curve(cosine, mated)
    for name, fmr in FMRS.items():
        for got, point in zip(
            result.judgement.rates[name], (curve.at_fmr(fmr), curve.at_fmr(fmr, "nearest")), strict=True
        ):
            assert (got.false_matches, got.false_non_matches) == (point.false_matches, point.false_non_matches)
            assert (got.attained, got.fnmr) == (point.fmr, point.fnmr)
            assert got.threshold == pytest.approx(point.threshold, abs=1e-6)


def test_pairs_that_cannot_be_judged() -> None:
    world = World()
    made = _templates(world)
    with pytest.raises(DataError, match="none of template 11"):
        verify(made, TemplatePairs(np.array([10, 11]), np.array([10, 10]), np.array([True, False])))
    with pytest.raises(DataError, match="2 mated and 0 non-mated"):
        verify(made, TemplatePairs(made.ids[:2], made.ids[:2], np.array([True, True])))
