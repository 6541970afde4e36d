"""Two models on the same pairs."""

import json
from dataclasses import replace

import numpy as np
import pytest
import scored
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sdx.errors import DataError
from sdx.evaluation import intervals
from sdx.evaluation.comparison import compare, mcnemar

DATASET = scored.people(count=6000)


def judge(dataset=DATASET, **options):
    return intervals.judge(scored.scores(dataset, **options))


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_binomial_test_of_a_fair_coin(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_many_pairs_is_exact_and_finite():
    assert mcnemar(0, 60) == 2.0**-59
    assert mcnemar(4000, 4000) == 1.0
    assert mcnemar(3000, 3300) == pytest.approx(binomtest(3000, 6300).pvalue, rel=1e-9)


def test_a_model_does_not_differ_from_itself():
    one = judge()
    found = compare(one, one)
    assert [d.interval for d in found.differences] == [(0, 0)] * 5
    assert not any(d.differs for d in found.differences)
    assert (found.first_alone, found.second_alone, found.mcnemar) == (0, 0, 1.0)


def test_a_worse_model_differs_and_turning_round_changes_signs():
    good, bad = judge(name="good"), judge(seed=1, noise=0.45, name="bad")
    found, turned = compare(good, bad), compare(bad, good)
    assert (found.first, found.second, found.dataset) == ("good", "bad", "people")
    assert [d.figure for d in found.differences] == ["accuracy", "TAR@1e-1", "TAR@1e-2", "TAR@1e-3", "EER"]
    accuracy, *_, eer = found.differences
    assert accuracy.differs
    assert accuracy.interval[1] < 0 < eer.interval[0]
    assert found.mcnemar < 1e-6
    assert found.first_alone > found.second_alone
    for one, other in zip(found.differences, turned.differences, strict=True):
        assert other.difference == -one.difference
        assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]), abs=1e-15)
    assert (turned.first_alone, turned.mcnemar) == (found.second_alone, found.mcnemar)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["differences"][0]["differs"] is True


def test_replicates_are_of_the_same_people_for_both():
    # Two models that share the effect of people: what both suffer cancels in the difference.
    one, other = judge(), judge(seed=1)
    eer = compare(one, other).differences[-1]
    apart = intervals.percentile(other.replicates.eer - np.roll(one.replicates.eer, 1))
    assert eer.interval[1] - eer.interval[0] < 0.7 * (apart[1] - apart[0])
    assert not eer.differs
    np.testing.assert_allclose(
        eer.interval, intervals.percentile(other.replicates.eer - one.replicates.eer), rtol=0, atol=0
    )


def test_unknown_people_leave_mcnemar_alone():
    dataset = scored.people(count=6000, known=False)
    found = compare(judge(dataset), judge(dataset, seed=1, noise=0.45))
    assert all(d.interval is None and d.differs is None for d in found.differences)
    assert found.mcnemar < 1e-6


def test_rates_without_support_are_not_compared():
    dataset = scored.people(count=400)
    found = compare(judge(dataset), judge(dataset, seed=1))
    assert [d.figure for d in found.differences] == ["accuracy", "TAR@1e-1", "EER"]


def test_other_pairs_cannot_be_compared():
    one = judge()
    with pytest.raises(DataError, match="the same pairs and protocol, got people"):
        compare(one, judge(scored.people(seed=1, count=6000)))
    with pytest.raises(DataError, match=r"got people \(exact\) and people \(insightface\)"):
        compare(one, replace(one, result=replace(one.result, protocol="insightface")))
