"""Columns of text files as Python gets them; what they may hold is tested in Rust."""

import numpy as np
import pytest

from sdx import _core, errors


def test_each_kind_is_an_array_of_its_own(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a.jpg 1 0.5 1\nb/ä.jpg -2 1e3 0\n")
    text, integer, number, flag = _core.read_columns(path, "tifb")
    assert text == ["a.jpg", "b/ä.jpg"]
    np.testing.assert_array_equal(integer, np.array([1, -2], np.int32), strict=True)
    np.testing.assert_array_equal(number, np.array([0.5, 1000.0]), strict=True)
    np.testing.assert_array_equal(flag, np.array([True, False]), strict=True)


def test_it_reads_what_numpy_reads(tmp_path):
    rows = np.random.default_rng(0).integers(-(2**31), 2**31, (5000, 3))
    path = tmp_path / "list.csv"
    np.savetxt(path, rows, "%d", delimiter=",", header="x,y,z")
    found = _core.read_columns(str(path), "iii", separator=",", header=True)
    np.testing.assert_array_equal(np.stack(found, 1), np.loadtxt(path, np.int64, delimiter=","))


def test_what_it_does_not_read(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("1 2 1\n3 x 0\n")
    with pytest.raises(errors.DataError, match=r'list\.txt: expected a whole .* in column 2, got "x" in line 2'):
        _core.read_columns(path, "iib")
    with pytest.raises(errors.DataError, match="No such file"):
        _core.read_columns(tmp_path / "other.txt", "iib")
    with pytest.raises(errors.DataError, match="a regular file"):
        _core.read_columns(tmp_path, "iib")
    with pytest.raises(errors.ConfigError, match="kinds i, b, f or t"):
        _core.read_columns(path, "iix")
    with pytest.raises(errors.ConfigError, match="at least one column"):
        _core.read_columns(path, "*")
    with pytest.raises(errors.ConfigError, match='separator " " or ","'):
        _core.read_columns(path, "iib", separator=";")
