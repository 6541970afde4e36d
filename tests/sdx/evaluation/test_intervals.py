"""Intervals of a model's figures: over people where they are known, of pairs where they are not."""

import json
import math

import numpy as np
import pytest
import scored
from hypothesis import given
from hypothesis import strategies as st

from sdx import _core
from sdx.errors import ConfigError
from sdx.evaluation import intervals, support
from sdx.evaluation.verification import FARS, decisions
from sdx.types import Stream


def plain_wilson(share, trials):
    """The roots p of (share - p)^2 = z^2 p (1 - p) / trials."""
    z2 = 1.959963984540054**2
    return sorted(np.roots([1 + z2 / trials, -(2 * share + z2 / trials), share**2]).real)


@pytest.mark.parametrize("protocol", ["exact", "insightface"])
def test_known_people_are_drawn_anew(protocol):
    dataset = scored.people()
    found = scored.scores(dataset)
    judged = intervals.judge(found, protocol)
    first, second = dataset.subjects[dataset.pairs].T.copy()
    key = {"seed": 0, "stream": int(Stream.BOOTSTRAP), "replicates": intervals.REPLICATES}
    fars = list(FARS.values())
    drawn = _core.resample_pairs(-found.distance, dataset.mated, first, second, fmrs=fars, thresholds=[], **key)
    accuracy = _core.resample_accuracy(found.distance, dataset.mated, first, second, protocol, **key)
    got = intervals.of(judged)

    def middle(values):
        ordered = np.sort(values)
        return intervals.Interval(ordered[24], ordered[975], "subjects")  # numbers 25 of 1000 from either end

    assert got.accuracy == middle(accuracy)
    assert got.eer == middle(drawn.eer)
    assert got.tar_at_far == {name: middle(1 - fnmr) for name, fnmr in zip(FARS, drawn.fnmr, strict=True)}
    assert got.accuracy.low < judged.result.accuracy < got.accuracy.high
    assert got.eer.low < judged.result.eer < got.eer.high
    independent = intervals.wilson(round(judged.result.accuracy * 1500), 1500)
    assert got.accuracy.high - got.accuracy.low > 1.3 * (independent.high - independent.low)
    assert json.loads(json.dumps(got.to_json(), allow_nan=False))["accuracy"]["kind"] == "subjects"


def test_unknown_people_leave_independent_pairs_and_say_so():
    found = scored.scores(scored.people(known=False))
    judged = intervals.judge(found)
    got = intervals.of(judged)
    assert (got.replicates, got.eer, got.accuracy.kind) == (0, None, "pairs")
    right = decisions(found, "exact").mean()
    assert [got.accuracy.low, got.accuracy.high] == pytest.approx(plain_wilson(right, 1500), abs=1e-12)
    for name, tar in judged.result.tar_at_far.items():
        interval = got.tar_at_far[name]
        assert interval.kind == "pairs"
        assert [interval.low, interval.high] == pytest.approx(plain_wilson(tar, 750), abs=1e-12)


def test_figures_without_an_error_have_no_interval_of_no_width():
    perfect = intervals.judge(scored.scores(scored.people(), noise=0.01, mate=-2))
    assert perfect.result.accuracy == 1
    got = intervals.of(perfect)
    assert got.accuracy.kind == got.tar_at_far["1e-3"].kind == "pairs"
    assert got.accuracy.low < 1 == got.accuracy.high


def test_decisions_are_those_that_the_accuracy_counts():
    found = scored.scores(scored.people(count=1503))
    for protocol in ("exact", "insightface"):
        right = decisions(found, protocol)
        folds = [part.mean() for part in np.array_split(right, 10)]
        assert intervals.judge(found, protocol).result.accuracy == pytest.approx(np.mean(folds), abs=1e-12)


@given(st.integers(39, 3000))
def test_percentiles_are_order_statistics_as_far_from_either_end(count):
    values = np.random.default_rng(count).permutation(count).astype(float)
    low, high = intervals.percentile(values)
    rank = math.floor((count + 1) / 40)
    assert (low, high) == (rank - 1, count - rank)


def test_too_few_replicates_have_no_interval():
    with pytest.raises(ConfigError, match="at least 39 replicates for an interval of 95%, got 38"):
        intervals.percentile(np.zeros(38))


@pytest.mark.parametrize(
    ("errors", "how"),
    [(0, "none"), (2, "none"), (3, "low"), (3000 * 1e-3, "low"), (29.9, "low"), (3000 * 1e-2, "good"), (30, "good")],
)
def test_support_follows_the_rules_of_30_and_of_3(errors, how):
    assert support.support(errors) == how
