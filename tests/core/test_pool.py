"""The pool at the boundary: arrays exactly typed, typed errors, ids that stay true, snapshots; and a naive twin."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdx import _core, errors

KEY = {"seed": 3, "stream": 11, "steer": "mean"}


def columns(n, students=2, seed=0):
    """A batch to push, by the names of `push`."""
    rng = np.random.default_rng(seed)
    return {
        "root": np.arange(n),
        "hops": rng.integers(0, 9, n),
        "index": rng.integers(0, 2**40, (n, 8)),
        "scale": rng.random((n, 8), np.float32),
        "similarity": rng.uniform(-1, 1, (students, n)).astype(np.float32),
        "reliability": rng.uniform(-0.2, 1, n).astype(np.float32),
        "group": rng.integers(-1, 3, n),
        "images_seen": 100,
    }


def filled(n=20, students=2, **options):
    pool = _core.LatentPool(options.pop("capacity", n), students, **{**KEY, **options})
    ids, evicted = pool.push(**columns(n, students))
    assert len(evicted) == 0
    return pool, ids


def test_entries_are_what_was_pushed():
    pool, ids = filled()
    batch = columns(20)
    assert (len(pool), pool.capacity, pool.students) == (20, 20, 2)
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(pool.ids(), ids)
    order = np.random.default_rng(1).permutation(20)
    entries = pool.entries(ids[order])
    for name in ("root", "hops", "reliability", "group"):
        np.testing.assert_array_equal(getattr(entries, name), batch[name][order])
        assert getattr(entries, name).dtype == batch[name].dtype
    kept = np.arange(8) < entries.hops[:, None]
    np.testing.assert_array_equal(entries.index, np.where(kept, batch["index"][order], -1))
    np.testing.assert_array_equal(entries.scale, np.where(kept, batch["scale"][order], 0))
    np.testing.assert_array_equal(entries.latest, batch["similarity"][:, order])
    np.testing.assert_array_equal(entries.smoothed, entries.latest)
    assert (entries.visits == 1).all()
    assert (entries.last_visit == 100).all()
    np.testing.assert_array_equal(entries.pushed, order)
    steering = batch["similarity"].sum(0) / np.float32(2)
    np.testing.assert_array_equal(entries.priority, _core.priorities(steering, batch["reliability"])[order])


@pytest.mark.parametrize("steer", ["mean", "hardest", 1])
def test_observations_are_smoothed_and_make_the_priority(steer):
    pool, ids = filled(steer=steer, smoothing=0.75)
    before = pool.entries(ids)
    latest = np.linspace(-1, 1, 20, dtype=np.float32).reshape(2, 10)
    known = pool.observe(np.append(ids[:9], 12345), latest, 640)
    assert known.dtype == np.bool_
    assert known.tolist() == [True] * 9 + [False]
    entries = pool.entries(ids)
    np.testing.assert_array_equal(entries.latest[:, :9], latest[:, :9])
    want = 0.75 * before.smoothed[:, :9] + 0.25 * latest[:, :9]
    np.testing.assert_allclose(entries.smoothed[:, :9], want, rtol=0, atol=1e-7)
    steering = {"mean": entries.smoothed.mean(0), "hardest": entries.smoothed.min(0), 1: entries.smoothed[1]}[steer]
    want = np.maximum(1 - steering, 0) * np.maximum(entries.reliability, 0)
    np.testing.assert_allclose(entries.priority, want, rtol=0, atol=3e-7)
    assert entries.visits.tolist() == [2] * 9 + [1] * 11
    assert entries.last_visit.tolist() == [640] * 9 + [100] * 11
    weights = np.maximum(np.round(entries.priority.astype(np.float64) * 2**30), 1)
    assert pool.total == int(weights.sum())
    hardest = np.lexsort((np.arange(20), -weights))
    np.testing.assert_array_equal(pool.hardest(5), ids[hardest[:5]])


def test_ids_of_evicted_entries_name_nobody():
    pool, ids = filled(eviction="oldest")
    again, evicted = pool.push(**columns(5, seed=1))
    np.testing.assert_array_equal(evicted, ids[:5])
    assert not set(again) & set(ids)
    similarity = np.zeros((2, 5), np.float32)
    assert not pool.observe(ids[:5], similarity, 0).any()
    assert not pool.evict(ids[:5]).any()
    with pytest.raises(errors.DataError, match=f"ids of entries in the pool, got {ids[0]}"):
        pool.entries(ids[:1])
    assert pool.observe(again, similarity, 0).all()
    assert pool.evict(np.append(again, again)).tolist() == [True] * 5 + [False] * 5
    assert len(pool) == 15


def test_a_full_pool_keeps_the_hardest():
    pool = _core.LatentPool(20, 2, **KEY, eviction="easiest")
    batch = columns(20)
    batch["reliability"] = np.abs(batch["reliability"]) + np.float32(0.01)
    batch["similarity"] = np.minimum(batch["similarity"], np.float32(0.99))
    ids, _ = pool.push(**batch)
    batch = columns(1)
    batch["similarity"][:] = 1
    refused, evicted = pool.push(**batch)
    assert refused.tolist() == [-1]
    assert len(evicted) == 0
    batch["similarity"][:] = -1
    batch["reliability"][:] = 1
    priority, group = pool.priorities()
    taken, evicted = pool.push(**batch)
    assert evicted[0] in ids[priority == priority.min()]
    assert taken[0] == pool.hardest(1)[0]
    np.testing.assert_array_equal(group, columns(20)["group"])


def test_random_eviction_depends_on_the_seed_alone():
    leavers = [filled(eviction="random", seed=seed)[0].push(**columns(9, seed=1))[1].tolist() for seed in (1, 1, 2)]
    assert leavers[0] == leavers[1] != leavers[2]


def test_draws_are_keyed_and_leave_the_pool_alone():
    pool, ids = filled()
    before = pool.snapshot()
    drawn = pool.draw(15, 7, 0.2)
    assert drawn.dtype == np.int64
    assert len(set(drawn)) == 15
    assert set(drawn) <= set(ids)
    np.testing.assert_array_equal(pool.draw(15, 7, 0.2), drawn)
    assert (pool.draw(15, 8, 0.2) != drawn).any()
    assert set(pool.draw(20, 0)) == set(ids)
    np.testing.assert_array_equal(pool.snapshot(), before)


def test_draws_follow_the_priorities():
    pool, ids = filled()
    priority = pool.priorities()[0].astype(np.float64)
    draws = 20_000
    first = np.array([pool.draw(1, number)[0] for number in range(draws)])
    found = (first[:, None] == ids).sum(0)
    want = draws * priority / priority.sum()
    assert found[want == 0].sum() == 0
    likely = want > 0
    chi_square = ((found - want)[likely] ** 2 / want[likely]).sum()
    assert chi_square < 52  # at most 19 degrees of freedom: p = 1e-4


def test_statistics_count_everyone():
    pool, ids = filled()
    entries = pool.entries(ids)
    statistics = pool.statistics(100 + 640)
    gap = np.maximum(1 - entries.smoothed.mean(0), 0)
    np.testing.assert_array_equal(statistics.difficulty, np.histogram(gap, np.arange(41) / 20)[0])
    np.testing.assert_array_equal(statistics.hops, np.bincount(entries.hops, minlength=9))
    assert statistics.age.shape == (64,)
    assert statistics.age[10] == statistics.age.sum() == 20  # 512 <= 640 < 1024
    group, count = np.unique(entries.group, return_counts=True)
    assert statistics.group == dict(zip(group.tolist(), count.tolist(), strict=True))


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from(["push", "observe", "evict"]), st.integers(0, 9)), max_size=30), st.booleans()
)
def test_a_restored_pool_is_the_pool(operations, oldest):
    pool = _core.LatentPool(12, 2, **KEY, smoothing=0.5, eviction="oldest" if oldest else "random")
    for number, (name, n) in enumerate(operations):
        ids = pool.ids()[:n]
        if name == "push":
            pool.push(**columns(n, seed=number))
        elif name == "observe":
            pool.observe(ids, np.full((2, len(ids)), 0.1, np.float32), number)
        else:
            pool.evict(ids)
    state = pool.snapshot()
    assert state.dtype == np.uint8
    other = _core.LatentPool.restore(state)
    np.testing.assert_array_equal(other.snapshot(), state)
    for twin in (pool, other):
        twin.push(**columns(7, seed=99))
    np.testing.assert_array_equal(other.draw(len(other), 1), pool.draw(len(pool), 1))
    np.testing.assert_array_equal(other.snapshot(), pool.snapshot())


def test_damaged_snapshots_are_data_errors():
    state = filled()[0].snapshot()
    for length in range(0, len(state), 7):
        with pytest.raises(errors.DataError, match="not a snapshot of a pool"):
            _core.LatentPool.restore(state[:length])
    for place in range(0, len(state), 5):
        damaged = state.copy()
        damaged[place] ^= 0x55
        with pytest.raises(errors.DataError, match="not a snapshot of a pool"):
            _core.LatentPool.restore(damaged)
    with pytest.raises(TypeError, match=r"expected `snapshot` as a numpy array uint8 \[n\], got bytes"):
        _core.LatentPool.restore(state.tobytes())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity": 0}, "a capacity of 1 to 268435456, got 0"),
        ({"capacity": 2**28 + 1}, "a capacity of 1 to"),
        ({"students": 0}, "1 to 64 students, got 0"),
        ({"students": 65}, "1 to 64 students"),
        ({"steer": 2}, "a student to steer by below 2, got 2"),
        ({"steer": "worst"}, 'steer "mean", "hardest" or the number of a student, got "worst"'),
        ({"smoothing": 1.0}, r"a smoothing in \[0, 1\), got 1"),
        ({"smoothing": float("nan")}, r"a smoothing in \[0, 1\), got NaN"),
        ({"eviction": "none"}, 'eviction "easiest", "oldest" or "random", got "none"'),
    ],
)
def test_bad_settings_are_config_errors(options, message):
    with pytest.raises(errors.ConfigError, match=message):
        _core.LatentPool(**{"capacity": 10, "students": 2, **KEY, **options})


@pytest.mark.parametrize(
    "options", [{"capacity": -1}, {"students": -1}, {"seed": -1}, {"seed": 2**64}, {"stream": 2**32}, {"steer": -1}]
)
def test_numbers_out_of_range_are_overflow_errors(options):
    with pytest.raises(OverflowError):
        _core.LatentPool(**{"capacity": 10, "students": 2, **KEY, **options})


def test_another_type_of_setting_is_a_type_error():
    for options in ({"steer": 1.5}, {"steer": None}, {"eviction": 1}, {"capacity": "many"}, {"smoothing": "much"}):
        with pytest.raises(TypeError):
            _core.LatentPool(**{"capacity": 10, "students": 2, **KEY, **options})


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("similarity", (1, 2), np.nan, r"similarity to be a cosine in \[-1, 1\], got NaN at position 22"),
        ("similarity", (0, 2), 1.02, "similarity to be a cosine"),
        ("reliability", 3, -np.inf, "reliability to be a cosine"),
        ("root", 3, -1, "root indices of at least 0, got -1"),
        ("hops", 3, 9, "0 to 8 hops, got 9"),
        ("hops", 3, -1, "0 to 8 hops, got -1"),
        ("index", 3, -2, "hop indices of at least 0, got -2"),
        ("scale", 3, -0.5, "finite hop scales of at least 0, got -0.5"),
        ("scale", 3, np.nan, "finite hop scales of at least 0, got NaN"),
        ("group", 3, -2, "groups of -1 to 2147483647, got -2"),
        ("images_seen", (), -1, "images_seen of at least 0, got -1"),
    ],
)
def test_bad_values_are_data_errors_and_change_nothing(name, place, value, message):
    pool, ids = filled(capacity=100)
    before = pool.snapshot()
    batch = columns(20)
    batch["hops"][3] = 1
    if name == "images_seen":
        batch[name] = value
    else:
        batch[name][place] = value
    with pytest.raises(errors.DataError, match=message):
        pool.push(**batch)
    if name in ("similarity", "images_seen"):
        with pytest.raises(errors.DataError, match=message):
            pool.observe(ids, batch["similarity"], batch["images_seen"])
    np.testing.assert_array_equal(pool.snapshot(), before)


@pytest.mark.parametrize("name", ["root", "hops", "index", "scale", "similarity", "reliability", "group"])
def test_other_dtypes_and_shapes_are_refused(name):
    pool, _ = filled(capacity=100)
    good = columns(20)
    other = good[name].astype(np.float64 if good[name].dtype == np.float32 else np.int32)
    with pytest.raises(TypeError, match=rf"expected `{name}` as a numpy array {good[name].dtype} \[n"):
        pool.push(**{**good, name: other})
    with pytest.raises(TypeError, match=rf"expected `{name}` as a numpy array"):
        pool.push(**{**good, name: good[name].ravel() if good[name].ndim == 2 else good[name][None]})
    with pytest.raises(TypeError, match=rf"expected `{name}` as a numpy array .* got list"):
        pool.push(**{**good, name: good[name].tolist()})
    with pytest.raises(ValueError, match=f"expected `{name}` to be contiguous, got a strided array"):
        pool.push(**{**good, name: np.repeat(good[name], 2, -1)[..., ::2]})
    if good[name].ndim == 2:
        with pytest.raises(ValueError, match=rf"expected `{name}` of shape \[.*\], got \[{good[name].shape[1]}, "):
            pool.push(**{**good, name: np.ascontiguousarray(good[name].T)})
    elif name != "root":
        with pytest.raises(errors.DataError, match=f"{name}` of 20 numbers, got 19"):
            pool.push(**{**good, name: good[name][:19]})
    assert len(pool) == 20


def test_ids_and_draws_are_checked():
    pool, ids = filled()
    similarity = np.zeros((2, 20), np.float32)
    for call in (lambda i: pool.observe(i, similarity, 0), pool.evict, pool.entries):
        with pytest.raises(TypeError, match=r"expected `id` as a numpy array int64 \[n\], got int32 \[20\]"):
            call(ids.astype(np.int32))
        with pytest.raises(ValueError, match="expected `id` to be contiguous"):
            call(ids[::2])
    with pytest.raises(ValueError, match=r"expected `similarity` of shape \[2, 20\], got \[20, 2\]"):
        pool.observe(ids, similarity.T.copy(), 0)
    with pytest.raises(errors.ConfigError, match="at most 20 entries, as many as there are, got 21"):
        pool.draw(21, 0)
    with pytest.raises(errors.ConfigError, match="a draw number of at least 0, got -1"):
        pool.draw(1, -1)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(errors.ConfigError, match=r"an exploration in \[0, 1\]"):
            pool.draw(1, 0, share)
    with pytest.raises(OverflowError):
        pool.draw(-1, 0)
    with pytest.raises(OverflowError):
        pool.hardest(-1)


def test_an_empty_pool_answers():
    pool = _core.LatentPool(10, 1, **KEY)
    nobody = np.array([], np.int64)
    assert len(pool) == pool.total == pool.nbytes == 0
    assert len(pool.ids()) == len(pool.hardest(3)) == len(pool.draw(0, 0)) == len(pool.evict(nobody)) == 0
    assert pool.entries(nobody).index.shape == (0, 8)
    assert pool.entries(nobody).latest.shape == (1, 0)
    assert pool.statistics(0).group == {}


def test_threads_take_turns():
    pool, ids = filled(n=20_000, students=1)
    similarity = np.full((1, 2000), 0.5, np.float32)
    failures = []

    def work(part):
        try:
            for number in range(20):
                pool.draw(500, number)
                assert pool.observe(ids[part * 2000 : (part + 1) * 2000], similarity, number).all()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (pool.entries(ids).visits == np.where(np.arange(20_000) < 8000, 21, 1)).all()
