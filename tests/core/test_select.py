"""Selection against definitions written out in NumPy, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdx import _core, errors

KEY = {"seed": 3, "stream": 12, "number": 0}
PRIORITY = np.array([0.5, 0.25, 1.0, 0.25, 0.0], np.float32)


def selections(**rules):
    """All three, as functions of the priority that take at most three."""
    return [
        lambda priority: _core.select_top(priority, 3, **rules),
        lambda priority: _core.select_above(priority, 0.1, 3, **rules),
        lambda priority: _core.select_sample(priority, 3, **KEY, **rules),
    ]


def thinned(order, count, group, quota, vector, cosine):
    """Candidates in an order of preference, without those that the rules forbid."""
    made = []
    unit = vector / np.linalg.norm(vector.astype(np.float64), axis=1, keepdims=True)
    for at in order:
        full = sum(group[pick] == group[at] for pick in made) >= quota.get(int(group[at]), np.inf)
        close = any(unit[pick] @ unit[at] > cosine for pick in made)
        if len(made) < count and not full and not close:
            made.append(int(at))
    return made


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 2**32 - 1)), min_size=1, max_size=40),
    st.integers(0, 45),
    st.dictionaries(st.integers(0, 3), st.integers(0, 5)),
    st.floats(-0.6, 0.999),
    st.integers(0, 1000),
)
def test_selections_are_their_definitions(candidates, count, quota, cosine, number):
    priority = np.array([c[0] / 8 for c in candidates], np.float32)
    group = np.array([c[1] for c in candidates])
    vector = np.stack([np.random.default_rng(c[2]).normal(size=3) for c in candidates]).astype(np.float32)
    rules = {"group": group, "quota": quota, "vector": vector, "cosine": cosine}
    order = np.lexsort((np.arange(len(priority)), -priority))
    got = _core.select_top(priority, count, **rules)
    assert got.dtype == np.int64
    assert got.tolist() == thinned(order, count, **rules)
    order = order[priority[order] >= 0.5]
    assert _core.select_above(priority, 0.5, count, **rules).tolist() == thinned(order, count, **rules)
    assert _core.select_above(priority, 0.5).tolist() == order.tolist()
    key = {**KEY, "number": number}
    order = _core.select_sample(priority, len(priority), **key)
    assert sorted(order) == list(range(len(priority)))
    assert _core.select_sample(priority, count, **key, **rules).tolist() == thinned(order, count, **rules)


def test_priorities_are_gap_times_reliability():
    similarity = np.array([0.5, 1.005, -1, 0.25], np.float32)
    reliability = np.array([0.5, 1, 1, -0.5], np.float32)
    got = _core.priorities(similarity, reliability)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.array([0.25, 0, 2, 0], np.float32))


@pytest.mark.parametrize(
    ("options", "chance"),
    [
        ({}, lambda p: p),
        ({"alpha": 0.0}, lambda p: p**0),
        ({"alpha": 2.0}, lambda p: p**2),
        ({"temperature": 0.5}, lambda p: np.exp(p / 0.5)),
        ({"alpha": 0.5, "temperature": 0.5}, lambda p: np.exp(p**0.5 / 0.5)),
        ({"exploration": 1.0}, lambda p: p**0),
    ],
)
def test_draws_follow_their_chances(options, chance):
    priority = np.array([0.1, 0.3, 0.7, 1.2, 2.0], np.float32)
    draws = 20_000
    key = {"seed": 3, "stream": 12}
    picks = [_core.select_sample(priority, 1, **key, number=number, **options)[0] for number in range(draws)]
    want = chance(priority.astype(np.float64))
    want *= draws / want.sum()
    chi_square = ((np.bincount(picks, minlength=5) - want) ** 2 / want).sum()
    assert chi_square < 23.5  # 4 degrees of freedom: p = 1e-4


def test_exploration_is_drawn_last():
    priority = np.zeros(100, np.float32)
    priority[:10] = 1
    picks = _core.select_sample(priority, 12, **KEY, exploration=0.25)
    assert (picks[:9] < 10).all()
    assert (picks[9:] >= 10).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5])
def test_bad_priorities_are_data_errors(value):
    priority = PRIORITY.copy()
    priority[3] = value
    for select in selections():
        with pytest.raises(errors.DataError, match=r"finite priorities of at least 0, got .* at position 3"):
            select(priority)


def test_other_dtypes_and_shapes_are_refused():
    group, vector = np.zeros(5, np.int64), np.ones((5, 2), np.float32)
    for select in selections():
        with pytest.raises(TypeError, match=r"expected `priority` as a numpy array float32 \[n\], got float64 \[5\]"):
            select(PRIORITY.astype(np.float64))
        with pytest.raises(TypeError, match=r"got float32 \[1, 5\]"):
            select(PRIORITY[None])
        with pytest.raises(ValueError, match="expected `priority` to be contiguous"):
            select(PRIORITY[::2])
    for select in selections(group=group.astype(np.int32), quota={0: 1}):
        with pytest.raises(TypeError, match=r"expected `group` as a numpy array int64 \[n\], got int32 \[5\]"):
            select(PRIORITY)
    for select in selections(group=group[:4], quota={0: 1}):
        with pytest.raises(errors.DataError, match="`group` of 5 numbers, got 4"):
            select(PRIORITY)
    for select in selections(vector=vector.astype(np.float16), cosine=0.5):
        with pytest.raises(
            TypeError, match=r"expected `vector` as a numpy array float32 \[n, m\], got float16 \[5, 2\]"
        ):
            select(PRIORITY)
    for select in selections(vector=vector[:4], cosine=0.5):
        with pytest.raises(ValueError, match=r"expected `vector` of shape \[5, m\], got \[4, 2\]"):
            select(PRIORITY)
    for select in selections(vector=vector[:, :0], cosine=0.5):
        with pytest.raises(errors.DataError, match="5 vectors of one size, got 0 numbers"):
            select(PRIORITY)
    for value in (0.0, np.nan):
        bad = vector.copy()
        bad[2] = value
        for select in selections(vector=bad, cosine=0.5):
            with pytest.raises(
                errors.DataError, match="vectors that are finite and not zero, got another at position 2"
            ):
                select(PRIORITY)


@pytest.mark.parametrize(
    "rules",
    [
        {"group": np.zeros(5, np.int64)},
        {"quota": {0: 1}},
        {"vector": np.ones((5, 2), np.float32)},
        {"cosine": 0.5},
        {"vector": np.ones((5, 2), np.float32), "cosine": 1.5},
        {"vector": np.ones((5, 2), np.float32), "cosine": np.nan},
    ],
)
def test_bad_rules_are_config_errors(rules):
    for select in selections(**rules):
        with pytest.raises(errors.ConfigError):
            select(PRIORITY)


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": -1.0},
        {"alpha": np.nan},
        {"temperature": 0.0},
        {"temperature": np.inf},
        {"exploration": -0.1},
        {"exploration": 1.1},
        {"number": -1},
    ],
)
def test_bad_chances_are_config_errors(options):
    with pytest.raises(errors.ConfigError):
        _core.select_sample(PRIORITY, 3, **{**KEY, **options})


def test_bad_numbers_are_refused():
    with pytest.raises(errors.ConfigError, match="a threshold that is a number, got NaN"):
        _core.select_above(PRIORITY, np.nan)
    with pytest.raises(OverflowError):
        _core.select_top(PRIORITY, -1)
    with pytest.raises(OverflowError):
        _core.select_top(PRIORITY, 1, group=np.zeros(5, np.int64), quota={0: -1})
    with pytest.raises(errors.DataError, match="one reliability per similarity, got 4 and 5"):
        _core.priorities(PRIORITY, PRIORITY[:4])
    with pytest.raises(errors.DataError, match=r"similarity to be a cosine in \[-1, 1\], got NaN at position 0"):
        _core.priorities(np.array([np.nan], np.float32), np.ones(1, np.float32))
