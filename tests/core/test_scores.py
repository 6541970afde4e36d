"""Ten-fold accuracy against the field's script in NumPy."""

import numpy as np
import pytest

from sdx import _core, errors


def field_script(distance, mated):
    """The ten-fold evaluation of insightface's verification.py, threshold by threshold, in our own words."""
    fold = np.concatenate([np.full(len(part), i) for i, part in enumerate(np.array_split(mated, 10))])
    accuracy, chosen, tars, fars = [], [], [], []
    for i in range(10):
        train, test = fold != i, fold == i
        grid = np.arange(0, 4, 0.01)
        correct = [np.mean((distance[train] < t) == mated[train]) for t in grid]
        best = grid[np.argmax(correct)]
        accuracy.append(np.mean((distance[test] < best) == mated[test]))
        chosen.append(best)
        grid = np.arange(0, 4, 0.001)
        curve = np.array([np.mean(distance[train & ~mated] < t) for t in grid])
        best = np.interp(1e-3, curve, grid) if curve.max() >= 1e-3 else 0.0
        tars.append(np.mean(distance[test & mated] < best))
        fars.append(np.mean(distance[test & ~mated] < best))
    return np.array(accuracy), np.array(chosen), np.mean(tars), np.std(tars), np.mean(fars)


def faces(seed, pairs, spread=0.3):
    """Distances as a network gives them, and labels, both kinds in every fold."""
    rng = np.random.default_rng(seed)
    mated = rng.permutation(np.arange(pairs) % 2 == 0)
    for part in np.array_split(np.arange(pairs), 10):
        mated[part[:2]] = [True, False]
    distance = np.where(mated, rng.normal(0.9, spread, pairs), rng.normal(1.9, spread, pairs)).clip(0, 4)
    return distance, mated


@pytest.mark.parametrize(("pairs", "spread"), [(1000, 0.3), (997, 0.5), (23, 0.3), (3000, 0.02)])
def test_insightface_is_the_fields_script(pairs, spread):
    distance, mated = faces(pairs, pairs, spread)
    got = _core.tenfold_accuracy(distance, mated, "insightface")
    accuracy, threshold, tar, tar_std, far = field_script(distance, mated)
    np.testing.assert_array_equal(got.accuracy, accuracy)
    np.testing.assert_array_equal(got.threshold, threshold)
    np.testing.assert_allclose([got.tar, got.tar_std, got.far], [tar, tar_std, far], rtol=1e-12, atol=1e-15)


def test_a_rate_the_grid_never_reaches_means_threshold_zero():
    distance, mated = faces(0, 200)
    got = _core.tenfold_accuracy(np.where(mated, distance, 5.0), mated, "insightface")
    assert (got.tar, got.far) == (0.0, 0.0)


def test_exact_is_never_worse_on_the_training_folds():
    distance, mated = faces(1, 997)
    grid, exact = (_core.tenfold_accuracy(distance, mated, protocol) for protocol in ("insightface", "exact"))
    assert (grid.tar, grid.tar_std, grid.far) == (exact.tar, exact.tar_std, exact.far)
    for i, test in enumerate(np.array_split(np.arange(997), 10)):
        train = np.setdiff1d(np.arange(997), test)
        on_train = [np.mean((distance[train] < r.threshold[i]) == mated[train]) for r in (grid, exact)]
        every = [np.mean((distance[train] < t) == mated[train]) for t in [*distance[train], 9.0]]
        assert on_train[1] >= on_train[0]
        assert on_train[1] == max(every)
        assert exact.accuracy[i] == np.mean((distance[test] < exact.threshold[i]) == mated[test])


def bad_pairs():
    good = np.linspace(0, 1, 12)
    kinds = np.arange(12) % 2 == 0
    nan, infinite = good.copy(), good.copy()
    nan[3], infinite[4] = np.nan, -np.inf
    return [
        (nan, kinds, "got NaN at position 3"),
        (infinite, kinds, "got -inf at position 4"),
        (good, np.ones(12, bool), "got 12 mated and 0 non-mated"),
        (good, np.zeros(12, bool), "got 0 mated and 12 non-mated"),
        (good, kinds[:11].copy(), "got 11 and 12"),
    ]


@pytest.mark.parametrize(("values", "mated", "message"), bad_pairs())
def test_bad_pairs_are_refused(values, mated, message):
    for protocol in ("insightface", "exact"):
        with pytest.raises(errors.DataError, match=message):
            _core.tenfold_accuracy(values, mated, protocol)
    with pytest.raises(errors.DataError, match=message):
        _core.Curve(values, mated)


def test_other_bad_requests_are_refused():
    distance, mated = faces(0, 20)
    with pytest.raises(errors.DataError, match="at least ten pairs, one a fold, got 9"):
        _core.tenfold_accuracy(distance[:9], mated[:9], "exact")
    with pytest.raises(errors.ConfigError, match='"insightface" or "exact", got "lfw"'):
        _core.tenfold_accuracy(distance, mated, "lfw")
