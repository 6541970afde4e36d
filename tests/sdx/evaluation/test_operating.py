"""A threshold fixed beforehand: the user's, or the one that a model brings."""

import json

import numpy as np
import pytest
import scored

from sdx.evaluation import intervals, operating
from sdx.evaluation.intervals import Interval


def operate(scores, given=None):
    return operating.operate(intervals.judge(scores, cosine=operating.threshold(scores, given)))


def test_errors_are_those_counted_at_the_cosine():
    dataset = scored.people()
    found = scored.scores(dataset)
    got = operate(found, 0.3)
    cosine = 1 - found.distance / 2
    false_matches = int((cosine[~dataset.mated] >= 0.3).sum())
    false_non_matches = int((cosine[dataset.mated] < 0.3).sum())
    assert min(false_matches, false_non_matches) > 3
    assert (got.false_matches, got.false_non_matches) == (false_matches, false_non_matches)
    assert (got.fmr, got.fnmr) == (false_matches / 750, false_non_matches / 750)
    assert (got.cosine, got.distance, got.chosen_on, got.asked_fmr) == (0.3, pytest.approx(1.4), None, None)
    for interval, rate in ((got.fmr_interval, got.fmr), (got.fnmr_interval, got.fnmr)):
        assert interval.kind == "subjects"
        assert interval.low < rate < interval.high
    assert json.loads(json.dumps(got.to_json(), allow_nan=False))["false_matches"] == false_matches


def test_a_distance_at_the_threshold_is_accepted():
    dataset = scored.people()
    found = scored.scores(dataset)
    mated, nonmated = np.flatnonzero(dataset.mated), np.flatnonzero(~dataset.mated)
    found.distance[mated], found.distance[nonmated] = 1.0, 3.0
    found.distance[nonmated[:5]] = 1.0
    got = operate(found, 0.5)
    assert (got.distance, got.false_matches, got.false_non_matches) == (1.0, 5, 0)


def test_a_rate_without_errors_gets_wilsons_interval_and_no_support():
    found = scored.scores(scored.people(), noise=0.01, mate=-2)
    got = operate(found, 0.9)
    assert (got.false_matches, got.fmr_support, got.fmr_interval.kind) == (0, "none", "pairs")
    assert got.fmr_interval == Interval(0, pytest.approx(1.96**2 / (750 + 1.96**2), rel=1e-4), "pairs")


def test_a_models_own_threshold_is_the_default_and_says_where_it_is_from():
    dataset = scored.people()
    own = scored.scores(dataset, operating=scored.threshold(0.3))
    got = operate(own)
    assert (got.cosine, got.chosen_on, got.asked_fmr) == (0.3, "sim@dev", 0.01)
    typed = operate(own, 0.2)
    assert (typed.cosine, typed.chosen_on, typed.asked_fmr) == (0.2, None, None)
    assert operate(scored.scores(dataset)) is None


def test_a_threshold_of_embeddings_made_otherwise_is_not_used():
    dataset = scored.people()
    flipped = scored.scores(dataset, operating=scored.threshold(flip=True))
    assert operate(flipped) is None
    assert operating.remarks([flipped]) == [
        "model: not judged at the threshold it brings, which is for embeddings with the mirror image's"
    ]
    both = scored.scores(dataset, operating=scored.threshold(flip=True), flip=True)
    assert operate(both).chosen_on == "sim@dev"
    assert operating.remarks([both, scored.scores(dataset)]) == []
