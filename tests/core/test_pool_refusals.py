"""What the pool refuses, each with its class of error, and that it is then as before."""

import numpy as np
import pytest
from pools import KEY, columns, filled

from sdx import _core, errors


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
