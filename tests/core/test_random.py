"""Random numbers of the extension against a NumPy twin of Philox and of the normals, and against the inverse CDF."""

import subprocess
import sys
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdx import _core, errors
from sdx.random import Philox
from sdx.types import Stream

WORDS = np.uint64(0xFFFFFFFF)


def philox(seed, stream, index, count):
    """Philox4x32-10 on whole arrays of counters, from the paper (Salmon et al., SC 2011)."""
    block = np.arange((count + 3) // 4, dtype=np.uint64)[None, :]
    row = np.asarray(index, np.int64).astype(np.uint64)[:, None]
    c = [block + 0 * row, (row & WORDS) + 0 * block, (row >> np.uint64(32)) + 0 * block]
    c.append(np.full_like(c[0], stream))
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0),
            p1 & WORDS,
            (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1),
            p0 & WORDS,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=-1).reshape(len(row), 4 * block.size)[:, :count].astype(np.uint32)


def inverse_cdf(words):
    """The normal a word stands for in float64: sign bit, then P(|x| > t) = (2 k + 1) / 2**32."""
    size = [-NormalDist().inv_cdf((2 * int(w & 0x7FFFFFFF) + 1) / 2**33) for w in words]
    return np.where(words >> 31, -1.0, 1.0) * size


def test_philox_gives_the_published_words():
    zeros = _core.philox(0, 0, np.zeros(1, np.int64), 4)
    assert [f"{word:08x}" for word in zeros[0]] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5),
    st.integers(0, 300),
)
def test_philox_is_its_twin(seed, stream, index, count):
    got = _core.philox(seed, stream, np.array(index, np.int64), count)
    assert got.dtype == np.uint32
    assert got.shape == (len(index), count)
    np.testing.assert_array_equal(got, philox(seed, stream, index, count))


def test_large_requests_are_their_twin():
    index = np.array([-1, 5], np.int64)
    np.testing.assert_array_equal(_core.philox(7, 3, index, 100_003), philox(7, 3, index, 100_003))


def test_uniforms_are_the_high_bits():
    words = philox(3, 1, [4], 1000)
    got = _core.uniforms(3, 1, np.array([4]), 1000)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, (words >> 8) / 2.0**24)


def test_normals_are_the_inverse_cdf():
    got = _core.normals(3, 1, np.arange(20), 1000)
    assert got.dtype == np.float32
    want = inverse_cdf(philox(3, 1, range(20), 1000).ravel())
    np.testing.assert_allclose(got.ravel(), want, rtol=4.1e-7, atol=0)


def test_any_order_of_indices_gives_the_same_rows():
    index = np.random.default_rng(0).permutation(500)
    np.testing.assert_array_equal(_core.normals(1, 0, index, 40), _core.normals(1, 0, np.arange(500), 40)[index])


def test_permutation_is_one_and_depends_on_its_key():
    order = Philox(1).permutation(Stream.SHUFFLE, 0, 1000)
    np.testing.assert_array_equal(np.sort(order), np.arange(1000))
    assert (order != Philox(1).permutation(Stream.SHUFFLE, 1, 1000)).mean() > 0.9


def test_what_cannot_be_held_is_refused():
    with pytest.raises(errors.ConfigError, match="fits in memory, got 100000 x 8589934592 numbers"):
        _core.normals(0, 0, np.zeros(100_000, np.int64), 2**33)


@pytest.mark.parametrize(
    ("seed", "stream", "count"), [(-1, 0, 1), (2**64, 0, 1), (0, -1, 1), (0, 2**32, 1), (0, 0, -1)]
)
def test_keys_out_of_range_are_refused(seed, stream, count):
    with pytest.raises(OverflowError):
        _core.philox(seed, stream, np.zeros(1, np.int64), count)


def test_a_forked_child_does_not_wait_for_threads_it_has_not():
    program = """
import os, numpy
from sdx import _core
draw = lambda: _core.normals(1, 0, numpy.arange(1000), 512)
before = draw()  # starts the threads
child = os.fork()
if child == 0:
    os._exit(0 if (draw() == before).all() else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "0\n"
