"""The pool at the boundary: what was pushed comes back, ids stay true, draws are keyed, snapshots go on alike."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pools import KEY, columns, filled

from sdx import _core, errors


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
