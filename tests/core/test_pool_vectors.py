"""Vectors kept by a pool: numpy's float16 of what was pushed, each with its own entry."""

import numpy as np
import pytest
from pools import KEY, columns, filled

from sdx import _core, errors


def kept(vectors):
    with np.errstate(all="ignore"):
        return vectors.astype(np.float16).astype(np.float32)


def test_vectors_are_what_was_pushed_in_float16():
    pool, ids = filled(vector=7)
    assert pool.vector == 7
    order = np.random.default_rng(1).permutation(20)
    found = pool.vectors(ids[order])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, kept(columns(20, vector=7)["vector"])[order])


def test_every_number_of_float16_and_its_neighbours_are_rounded_as_numpy_does():
    number = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    middle = (number[1:] + number[:-1]) / 2
    near = [np.nextafter(middle, np.float32(toward)) for toward in (-np.inf, np.inf)]
    positive = np.concatenate([number, middle, *near, [np.float32(65519.996), np.float32(1e-45)]])
    given = np.concatenate([positive, -positive])[:, None]
    pool = _core.LatentPool(len(given), 1, **KEY, vector=1)
    ids, _ = pool.push(**{**columns(len(given), students=1), "vector": given})
    found = pool.vectors(ids)
    np.testing.assert_array_equal(found.view(np.uint32), kept(given).view(np.uint32))  # the sign of 0 too


@pytest.mark.parametrize("eviction", ["easiest", "oldest", "random"])
def test_places_taken_anew_have_the_vectors_of_their_new_entries(eviction):
    pool = _core.LatentPool(30, 2, **KEY, eviction=eviction, vector=4)
    vector = {}
    for seed in range(20):
        batch = columns(11, seed=seed, vector=4)
        ids, evicted = pool.push(**batch)
        vector |= {id: row for id, row in zip(ids, kept(batch["vector"]), strict=True) if id >= 0}
        out = pool.ids()[seed % 3 :: 9].copy()
        assert pool.evict(out).all()
        for id in (*evicted, *out):
            del vector[id]
        assert {*vector} == {*pool.ids()}
        np.testing.assert_array_equal(pool.vectors(pool.ids()), [vector[id] for id in pool.ids()])
    restored = _core.LatentPool.restore(pool.snapshot())
    np.testing.assert_array_equal(restored.snapshot(), pool.snapshot())
    np.testing.assert_array_equal(restored.vectors(pool.ids()), pool.vectors(pool.ids()))


def test_vectors_leave_the_rest_as_it_is():
    plain, ids = filled()
    pool, same = filled(vector=9)
    np.testing.assert_array_equal(same, ids)
    np.testing.assert_array_equal(pool.draw(10, 1, 0.3), plain.draw(10, 1, 0.3))
    assert pool.nbytes - plain.nbytes == 2 * 9 * 20
    assert plain.vector == 0
    assert plain.vectors(ids).shape == (20, 0)


def test_what_is_no_vector_is_refused_and_changes_nothing():
    pool, _ = filled(vector=3)
    before = pool.snapshot()
    batch = columns(5, vector=3)
    good = batch.pop("vector")
    for bad, error, message in [
        (None, errors.DataError, "expected `vector` of 15 numbers, got 0"),
        (good[:, :2].copy(), ValueError, r"expected `vector` of shape \[5, 3\], got \[5, 2\]"),
        (good[:4], ValueError, r"expected `vector` of shape \[5, 3\]"),
        (good.astype(np.float16), TypeError, "expected `vector` as a numpy array float32"),
        (np.where(good == good[2, 1], np.nan, good), errors.DataError, "within float16's range, got NaN at position 7"),
        (np.where(good == good[2, 1], np.float32(-65520), good), errors.DataError, "got -65520 at position 7"),
    ]:
        with pytest.raises(error, match=message):
            pool.push(**batch, vector=bad)
    plain, _ = filled()
    with pytest.raises(ValueError, match=r"expected `vector` of shape \[5, 0\], got \[5, 3\]"):
        plain.push(**batch, vector=good)
    np.testing.assert_array_equal(pool.snapshot(), before)
    with pytest.raises(errors.ConfigError, match="vectors of at most 65536 numbers, got 65537"):
        _core.LatentPool(10, 2, **KEY, vector=65537)
