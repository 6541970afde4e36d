"""The reader of verification sets: what Python's pickle writes is read, what is hostile is refused without harm."""

import io
import itertools
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdx import _core, errors

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"


def read(tmp_path, content, **options):
    path = tmp_path / "set.bin"
    path.write_bytes(content)
    return _core.read_verification_bin(path, **options)


IMAGE = st.binary(min_size=1, max_size=300)


@given(st.lists(st.tuples(IMAGE, IMAGE, st.booleans()), min_size=1), st.integers(0, 5), st.booleans())
def test_what_pickle_writes_is_read(tmp_path_factory, pairs, protocol, as_arrays):
    images = [image for a, b, _ in pairs for image in (a, b)]
    same = [same for _, _, same in pairs]
    items = [np.frombuffer(image, np.uint8).copy() for image in images] if as_arrays else images
    got = read(tmp_path_factory.getbasetemp(), pickle.dumps((items, same), protocol))
    ends = got.offsets.tolist()
    assert [got.data[a:b].tobytes() for a, b in itertools.pairwise(ends)] == images
    assert got.mated.tolist() == same
    assert got.first.tolist() == [images.index(image) for image in images]
    assert (got.data.dtype, got.offsets.dtype, got.mated.dtype, got.first.dtype) == (np.uint8, np.int64, bool, np.int64)


def test_the_path_may_be_text_or_a_path(tmp_path):
    read(tmp_path, pickle.dumps(([b"a", b"b"], [True])))
    assert _core.read_verification_bin(str(tmp_path / "set.bin")).mated.tolist() == [True]


class Command:
    """Unpickles into a call of the shell."""

    def __reduce__(self):
        return __import__("os").system, ("touch hacked",)


def test_nothing_in_the_file_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.DataError, match=r"set\.bin: not a verification set: .*`posix system`.*at byte \d+"):
        read(tmp_path, pickle.dumps(([Command(), b"b"], [True]), 4))
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "end of the file"),
        (pickle.dumps(([b"a", b"b"], [True]))[:-4], "truncated|end of the file"),
        (pickle.dumps({"a": 1}), "opcode EMPTY_DICT"),
        (pickle.dumps(([b"a", b"b"], [True, False])), "got 2 images and 2 labels"),
        (pickle.dumps(([np.zeros(3, np.float32)] * 2, [True])), "uint8 or bool, got `f4`"),
        (pickle.dumps(([b"a", 1.5], [True])), "opcode BINFLOAT"),
    ],
)
def test_what_is_no_set_is_refused(tmp_path, content, message):
    with pytest.raises(errors.DataError, match=message) as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(errors.DataError, match=r"missing\.bin: No such file"):
        _core.read_verification_bin(tmp_path / "missing.bin")
    with pytest.raises(errors.DataError, match="expected a regular file"):
        _core.read_verification_bin(tmp_path)


def test_the_size_is_capped(tmp_path):
    content = pickle.dumps(([b"a" * 100, b"b" * 100], [True]))
    assert read(tmp_path, content, max_bytes=len(content)).data.size == 200
    with pytest.raises(errors.DataError, match=r"at most 100 bytes, got .*max_bytes"):
        read(tmp_path, content, max_bytes=100)


def test_a_false_length_allocates_nothing(tmp_path):
    path = tmp_path / "ten-gigabytes.bin"
    path.write_bytes(b"\x80\x04](\x8e" + (10 * 2**30).to_bytes(8, "little") + b"abc")
    program = f"""
import re, resource
from pathlib import Path
from sdx import _core, errors
used = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))
try:
    _core.read_verification_bin({str(path)!r})
except errors.DataError as error:
    print(error)
"""
    if not Path("/proc/self/status").exists():
        pytest.skip("the limit on address space is Linux's")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "expected 10737418240 more bytes, got 3" in run.stdout


class Reader(pickle.Unpickler):
    """Python's own machine on a trusted file, with byte strings as bytes."""

    def __init__(self, content):
        super().__init__(io.BytesIO(content), encoding="bytes")


@pytest.mark.real
@pytest.mark.parametrize(("name", "pairs", "distinct"), [("lfw.bin", 6000, 7701), ("small_lfw.bin", 10, 17)])
def test_real_sets_are_what_pickle_reads(name, pairs, distinct):
    if not REAL.is_dir():
        pytest.skip("needs the verification sets in ../shared/real")
    got = _core.read_verification_bin(REAL / name)
    images, same = Reader((REAL / name).read_bytes()).load()
    assert len(got.mated) == pairs
    assert len(np.unique(got.first)) == distinct
    assert got.mated.tolist() == [bool(label) for label in same]
    assert got.data.tobytes() == b"".join(bytes(image) for image in images)
    assert np.diff(got.offsets).tolist() == [len(image) for image in images]
    encoded = [bytes(image) for image in images]
    seen = {}
    assert got.first.tolist() == [seen.setdefault(image, number) for number, image in enumerate(encoded)]
