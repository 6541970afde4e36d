"""What crosses between Python and Rust: arrays as they are or refused, nothing copied, the interpreter left free."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from sdx import _core

INDEX = np.arange(4)
PAIRS = np.linspace(0, 1, 20), np.arange(20) % 2 == 0


@pytest.mark.parametrize(
    ("index", "got"),
    [
        (INDEX.astype(np.int32), r"int32 \[4\]"),
        (INDEX.astype(">i8"), r">i8 \[4\]"),
        (INDEX.reshape(2, 2), r"int64 \[2, 2\]"),
        (np.int64(3), "int64"),
        ([0, 1], "list"),
        (None, "NoneType"),
    ],
)
def test_another_index_is_a_type_error(index, got):
    for function in (_core.philox, _core.normals, _core.uniforms):
        with pytest.raises(TypeError, match=rf"expected `index` as a numpy array int64 \[n\], got {got}"):
            function(0, 0, index, 4)


def test_other_dtypes_of_pairs_are_type_errors():
    values, mated = PAIRS
    for function in (lambda score, mated: _core.tenfold_accuracy(score, mated, "exact"), _core.Curve):
        with pytest.raises(TypeError, match=r"as a numpy array float64 \[n\], got float32 \[20\]"):
            function(values.astype(np.float32), mated)
        with pytest.raises(TypeError, match=r"expected `mated` as a numpy array bool \[n\], got uint8 \[20\]"):
            function(values, mated.astype(np.uint8))


def test_strided_arrays_are_refused_and_not_copied():
    values, mated = PAIRS
    with pytest.raises(ValueError, match=r"expected `index` to be contiguous.*ascontiguousarray\(index\)"):
        _core.philox(0, 0, np.arange(8)[::2], 4)
    with pytest.raises(ValueError, match="expected `index` to be contiguous"):
        _core.philox(0, 0, INDEX[::-1], 4)
    with pytest.raises(ValueError, match="expected `score` to be contiguous"):
        _core.Curve(values[::2], mated[:10])
    with pytest.raises(ValueError, match="expected `mated` to be contiguous"):
        _core.tenfold_accuracy(values, np.repeat(mated, 2)[::2], "exact")


def test_read_only_and_shifted_views_are_taken():
    index = np.arange(10)
    index.flags.writeable = False
    np.testing.assert_array_equal(_core.philox(0, 0, index[3:7], 4), _core.philox(0, 0, np.arange(3, 7), 4))


def test_inputs_are_left_as_they_are():
    values, mated = (array.copy() for array in PAIRS)
    _core.Curve(values, mated)
    _core.tenfold_accuracy(values, mated, "exact")
    np.testing.assert_array_equal(values, PAIRS[0])
    np.testing.assert_array_equal(mated, PAIRS[1])


def test_results_are_writable_and_held_once(tmp_path):
    numbers = _core.normals(0, 0, INDEX, 4)
    numbers[:] = 0
    assert not numbers.any()
    path = tmp_path / "set.bin"
    path.write_bytes(b"\x80\x02](U\x01aU\x01be](\x88e\x86.")
    bin_set = _core.read_verification_bin(path)
    ten_fold = _core.tenfold_accuracy(*PAIRS, "exact")
    for holder, name in ((bin_set, "data"), (bin_set, "first"), (ten_fold, "accuracy"), (ten_fold, "threshold")):
        assert np.shares_memory(getattr(holder, name), getattr(holder, name))
        with pytest.raises(AttributeError):
            setattr(holder, name, None)


def peak_growth(setup, call):
    """Growth of the peak memory over a call, in bytes, in a fresh process.

    Read from VmHWM: ru_maxrss starts at the peak of the process that forked this one, here the whole test suite's.
    """
    program = f"""
import re, pathlib, numpy as np
from sdx import _core
def peak(): return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
{setup}
before = peak()
kept = {call}
print(peak() - before)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/status is Linux's")
def test_results_are_moved_and_inputs_looked_at():
    moved = peak_growth("_core.normals(0, 0, np.arange(64), 4096)", "_core.normals(0, 0, np.arange(4096), 2**14)")
    assert 0.8 * 2**28 < moved < 1.2 * 2**28  # the 256 MiB of the result, once
    setup = "x = np.linspace(0, 3, 2**23); m = np.arange(2**23) % 2 == 0; _core.Curve(x[:20], m[:20])"
    looked = peak_growth(setup, "_core.tenfold_accuracy(x, m, 'insightface')")
    assert looked < 2**24  # far below the 72 MiB of the two arrays


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/status is Linux's")
def test_a_search_holds_candidates_of_some_probes_alone():
    setup = (
        "g, q = np.random.default_rng(0).standard_normal((2, 100_000, 4)).astype('f4'); _core.search(g[:9], q[:9], 1)"
    )
    searched = peak_growth(setup, "_core.search(g, q, 1)")
    assert searched < 2**26  # all the candidates of all probes would be 200 MiB


def test_other_threads_run_meanwhile():
    ended = threading.Event()
    started = time.monotonic()

    def work():
        _core.normals(0, 0, np.arange(8000), 8192)
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    longest, last = 0.0, time.monotonic()
    while not ended.is_set():
        time.sleep(0.001)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    thread.join()
    assert longest < (time.monotonic() - started) / 2
