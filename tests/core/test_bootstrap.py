"""The subject bootstrap against plain loops over replicates, and against the truth of simulated people."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdx import _core, errors
from sdx.types import Stream

FMRS = [0.0, 0.02, 0.25, 1.0]
STREAM = int(Stream.BOOTSTRAP)


def weights(first, second, mated, seed, replicate):
    """How often each pair counts in a replicate, by the definition, int [P]."""
    ids, number = np.unique(np.concatenate([first, second]), return_inverse=True)
    blocks = -(-len(ids) // 2)
    words = _core.philox(seed, STREAM, np.array([replicate]), 400 * blocks)[0].reshape(100, 2 * blocks, 2)
    for attempt in words:
        drawn = [(int(high) << 32 | int(low)) * len(ids) >> 64 for high, low in attempt[: len(ids)]]
        times = np.bincount(drawn, minlength=len(ids))
        one, other = times[number.reshape(2, -1)]
        found = np.where(mated, one, one * other)
        if found[mated].any() and found[~mated].any():
            return found
    return pytest.fail("no draw holds both kinds")


def rates(score, mated, weight, threshold):
    """FMR and FNMR of weighted pairs."""
    accepted = score >= threshold
    return (
        weight[accepted & ~mated].sum() / weight[~mated].sum(),
        weight[~accepted & mated].sum() / weight[mated].sum(),
    )


def candidates(score, weight):
    there = np.unique(score[weight > 0])
    return [*there, np.nextafter(there[-1], np.inf)]


def tenfold(distance, mated, weight, protocol):
    """Mean over folds of the weighted share decided rightly at the first best threshold of the nine others."""
    fold = np.concatenate([np.full(len(part), k) for k, part in enumerate(np.array_split(distance, 10))])
    shares = []
    for test in range(10):
        train = (fold != test) & (weight > 0)
        own = fold == test
        if not weight[own].any():
            continue
        there = np.unique(distance[train])
        tried = np.arange(0, 4, 0.01)
        if protocol == "exact":
            middle = (there[1:] + there[:-1]) / 2
            tried = np.concatenate([there[:1], middle, np.nextafter(there[-1:], np.inf)]) if len(there) else [0.0]
        right = [weight[train & ((distance < threshold) == mated)].sum() for threshold in tried]
        correct = (distance < tried[int(np.argmax(right))]) == mated
        shares.append(weight[own & correct].sum() / weight[own].sum())
    return np.mean(shares)


@st.composite
def lists(draw, least=4):
    """Pairs of a few subjects with ids of no order, and with many ties."""
    count = draw(st.integers(least, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = rng.permutation(100)[: draw(st.integers(2, 9))] - 50
    first, second = rng.choice(ids, count), rng.choice(ids, count)
    first[:2], second[:2] = ids[0], [ids[0], ids[1]]
    score = rng.integers(0, draw(st.sampled_from([3, 30])), count) / 10
    return score, first == second, first, second


@settings(max_examples=60, deadline=None)
@given(lists(), st.integers(0, 2**64 - 1))
def test_rates_are_those_of_a_plain_loop(case, seed):
    score, mated, first, second = case
    got = _core.resample_pairs(
        score, mated, first, second, fmrs=FMRS, thresholds=[1.05], seed=seed, stream=STREAM, replicates=6
    )
    assert (got.threshold.shape, got.fixed_fmr.shape, got.eer.shape) == ((4, 6), (1, 6), (6,))
    for replicate in range(6):
        weight = weights(first, second, mated, seed, replicate)
        every = [(threshold, *rates(score, mated, weight, threshold)) for threshold in candidates(score, weight)]
        for asked, fmr in enumerate(FMRS):
            threshold, _, fnmr = next(point for point in every if point[1] <= fmr)
            assert (got.threshold[asked, replicate], got.fnmr[asked, replicate]) == (threshold, fnmr)
        fixed = rates(score, mated, weight, 1.05)
        assert (got.fixed_fmr[0, replicate], got.fixed_fnmr[0, replicate]) == fixed
        gaps = [abs(fmr - fnmr) for _, fmr, fnmr in every]
        closest = [(fmr + fnmr) / 2 for gap, (_, fmr, fnmr) in zip(gaps, every, strict=True) if gap < min(gaps) + 1e-12]
        assert np.abs(got.eer[replicate] - closest).min() < 1e-12


@pytest.mark.parametrize("protocol", ["exact", "insightface"])
@settings(max_examples=40, deadline=None)
@given(case=lists(10), seed=st.integers(0, 2**64 - 1))
def test_accuracy_is_that_of_a_plain_loop(protocol, case, seed):
    distance, mated, first, second = case
    got = _core.resample_accuracy(distance, mated, first, second, protocol, seed=seed, stream=STREAM, replicates=5)
    for replicate in range(5):
        weight = weights(first, second, mated, seed, replicate)
        assert got[replicate] == pytest.approx(tenfold(distance, mated, weight, protocol), abs=1e-12)


def images(subjects, each, seed):
    """All pairs of images of people, as the two lists that are kept of them: mated ones, and the others descending."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(subjects), each)
    first, second = np.triu_indices(len(subject), 1)
    mated = subject[first] == subject[second]
    bias = rng.normal(0, 0.5, subjects)
    score = np.where(mated, 3.0, 0.0) + bias[subject[first]] + bias[subject[second]] + rng.normal(0, 0.5, len(first))
    order = np.argsort(-score, kind="stable")
    lists = [(score[keep], first[keep], second[keep]) for keep in (order[mated[order]], order[~mated[order]])]
    return subject, lists[0], lists[1], (score, mated, subject[first], subject[second])


def test_a_tail_gives_what_all_pairs_give():
    subject, mated, nonmated, whole = images(40, 3, 0)
    key = {"fmrs": [0.0, 1e-3, 1e-2], "thresholds": [2.5], "seed": 1, "stream": STREAM, "replicates": 300}
    expected = _core.resample_pairs(*whole, **key)
    tail = tuple(np.ascontiguousarray(column[:400]) for column in nonmated)
    got = _core.resample_all_pairs(subject, *mated, *tail, **key)
    for name in ("threshold", "fnmr", "fixed_fmr", "fixed_fnmr"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))
    assert got.eer.shape == (0,)
    complete = _core.resample_all_pairs(subject, *mated, *nonmated, **key)
    np.testing.assert_array_equal(complete.eer, expected.eer)
    with pytest.raises(errors.DataError, match=r"about \d+ scores, got 400"):
        _core.resample_all_pairs(subject, *mated, *tail, **(key | {"fmrs": [0.1]}))
    with pytest.raises(errors.DataError, match="thresholds above the tail's end"):
        _core.resample_all_pairs(subject, *mated, *tail, **(key | {"thresholds": [-5.0]}))


def test_intervals_cover_the_truth_of_people_and_those_of_pairs_do_not():
    """People differ in how alike their faces are (mated) and in how like others they look (non-mated).

    400 data sets of 100 people: the share of 95 % intervals that cover has a standard error of 1.1 points. It is held
    to 90 to 98 %, for percentile intervals fall some points short with few people (of 40, 89.5 % of those of FNMR at
    an asked FMR cover).
    """
    rng = np.random.default_rng(7)
    people, each, normal = 100, 8, NormalDist()
    one, other = np.triu_indices(people, 1)
    first = np.concatenate([np.repeat(np.arange(people), each), one])
    second = np.concatenate([np.repeat(np.arange(people), each), other])
    mated = first == second
    spread = np.hypot(np.sqrt(2) * 0.4, 0.6)
    at, asked = 1.8, 0.05
    truth = {
        "fmr": 1 - normal.cdf(at / spread),
        "fnmr": normal.cdf(at - 3),
        "fnmr at fmr": normal.cdf(normal.inv_cdf(1 - asked) * spread - 3),
    }
    covered = {name: [0, 0] for name in truth}
    trials = 400
    for _ in range(trials):
        own, looks = rng.normal(0, 0.8, people), rng.normal(0, 0.4, people)
        genuine = 3 + own[first[mated]] + rng.normal(0, 0.6, mated.sum())
        score = np.concatenate([genuine, looks[one] + looks[other] + rng.normal(0, 0.6, len(one))])
        got = _core.resample_pairs(
            score, mated, first, second, fmrs=[asked], thresholds=[at], seed=0, stream=STREAM, replicates=199
        )
        values = {"fmr": got.fixed_fmr[0], "fnmr": got.fixed_fnmr[0], "fnmr at fmr": got.fnmr[0]}
        curve = _core.Curve(score, mated)
        fixed, moved = curve.at_threshold(at), curve.at_fmr(asked)
        counts = {
            "fmr": (fixed.false_matches, curve.nonmated),
            "fnmr": (fixed.false_non_matches, curve.mated),
            "fnmr at fmr": (moved.false_non_matches, curve.mated),
        }
        for name, true in truth.items():
            low, high = np.sort(values[name])[[4, -5]]
            covered[name][0] += low <= true <= high
            low, high = _core.wilson(*counts[name], 1.96)
            covered[name][1] += low <= true <= high
    shares = {name: (subjects / trials, pairs / trials) for name, (subjects, pairs) in covered.items()}
    for name, (subjects, pairs) in shares.items():
        assert 0.90 <= subjects <= 0.98, shares
        assert pairs < 0.80, (name, shares)


GOOD = (
    np.array([0.9, 0.8, 0.1, 0.2]),
    np.array([True, True, False, False]),
    np.array([1, 2, 1, 2]),
    np.array([1, 2, 2, 1]),
)
KEY = {"fmrs": [0.1], "thresholds": [0.5], "seed": 0, "stream": STREAM, "replicates": 10}


@pytest.mark.parametrize(
    ("place", "value", "error", "named"),
    [
        (0, np.zeros(4, np.float32), TypeError, "float64 [n], got float32 [4]"),
        (0, np.array([0.1, np.nan, 0.1, 0.1]), errors.DataError, "NaN at position 1"),
        (1, np.array([True] * 4), errors.DataError, "4 mated and 0 non-mated"),
        (2, np.array([1, 2, 1, 2], np.int32), TypeError, "`first` as a numpy array int64"),
        (2, np.array([3, 2, 1, 2]), errors.DataError, "got subjects 3 and 1 in pair 0"),
        (3, np.array([1, 2, 1, 1]), errors.DataError, "got subjects 1 and 1 in pair 2"),
        (3, np.array([1, 2, 2]), errors.DataError, "two subjects a pair, got 4 and 3 for 4"),
        (3, np.array([1, 0, 2, 0, 2, 0, 1, 0])[::2], ValueError, "strided"),
    ],
)
def test_what_cannot_be_resampled(place, value, error, named):
    pairs = [value if position == place else column for position, column in enumerate(GOOD)]
    with pytest.raises(error) as caught:
        _core.resample_pairs(*pairs, **KEY)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"fmrs": [1.5]}, errors.DataError, "got 1.5"),
        ({"fmrs": [float("nan")]}, errors.DataError, "got NaN"),
        ({"thresholds": [float("nan")]}, errors.DataError, "got NaN"),
        ({"replicates": 0}, errors.ConfigError, "got 0"),
        ({"replicates": 10**7}, errors.ConfigError, "got 10000000"),
        ({"replicates": -1}, OverflowError, "negative"),
    ],
)
def test_what_cannot_be_asked(change, error, named):
    with pytest.raises(error, match=named):
        _core.resample_pairs(*GOOD, **(KEY | change))


def test_accuracy_needs_ten_pairs_and_a_protocol():
    key = {"seed": 0, "stream": STREAM, "replicates": 10}
    with pytest.raises(errors.DataError, match="at least ten pairs, one a fold, got 4"):
        _core.resample_accuracy(*GOOD, "exact", **key)
    with pytest.raises(errors.ConfigError, match='got "lfw"'):
        _core.resample_accuracy(*GOOD, "lfw", **key)
