"""Verification files: read as data, each distinct image once; hostile ones refused."""

import hashlib
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdx.errors import DataError
from sdx.evaluation import datasets


def png(seed, side=8):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write(path, items, mated, protocol=3):
    path.write_bytes(pickle.dumps((items, mated), protocol))
    return str(path)


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("arrays", [False, True])
def test_equal_items_are_one_image_and_pairs_stay_in_file_order(tmp_path, protocol, arrays):
    seeds = [4, 2, 2, 4, 7, 1, 1, 1]
    items = [png(seed) for seed in seeds]
    if arrays:
        items = [np.frombuffer(item, np.uint8).copy() for item in items]
    file = write(tmp_path / "my set.bin", items, [True, False, False, True], protocol)
    found = datasets.load(file)
    assert (found.name, found.frame, found.size, len(found.images)) == ("my set", "aligned", 8, 4)
    assert found.sha256 == hashlib.sha256((tmp_path / "my set.bin").read_bytes()).hexdigest()
    np.testing.assert_array_equal(found.mated, [True, False, False, True])
    assert found.mated.dtype == np.bool_
    assert found.pairs.dtype == np.int64
    assert found.subjects is None
    pixels = found.images.read(0, 4)
    expected = np.array([np.asarray(Image.open(io.BytesIO(png(seed)))) for seed in seeds])
    np.testing.assert_array_equal(pixels[found.pairs.ravel()], expected)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pickle.dumps(([Evil(), png(1)], [True]), 3), id="code"),
        pytest.param(pickle.dumps(([png(1), png(2)], [True]), 3)[:-40], id="truncated"),
        pytest.param(pickle.dumps(([png(1), png(2), png(3)], [True]), 3), id="odd"),
        pytest.param(pickle.dumps(([png(1), png(2)], [True, False]), 3), id="counts differ"),
        pytest.param(pickle.dumps(([], []), 3), id="no pair"),
        pytest.param(b"\x80\x03]q\x00(B\xff\xff\xff\x7f", id="length beyond the file"),
        pytest.param(b"\x80\x04\x8e" + (10 * 2**30).to_bytes(8, "little"), id="ten gigabytes"),
        pytest.param(b"", id="empty"),
        pytest.param(png(1), id="an image"),
        pytest.param(pickle.dumps(([b"no image", png(2)], [True]), 3), id="first item is no image"),
    ],
)
def test_a_hostile_file_is_refused_in_one_line_and_never_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "bad.bin"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.bin") as caught:
        datasets.load(str(file))
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.bin"]


def test_a_bad_image_later_in_the_file_is_named_by_its_item(tmp_path):
    found = datasets.load(write(tmp_path / "set.bin", [png(1), png(2), png(2), png(3, side=9)], [True, False]))
    with pytest.raises(DataError, match=r"set\.bin: item 3: expected 8 x 8, as the first, got an image of 9 x 9"):
        found.images.read(0, 3)


SEEDS = [4, 2, 2, 4, 7, 8, 4, 1]


def subjects_of(tmp_path, subjects):
    file = write(tmp_path / "set.bin", [png(seed) for seed in SEEDS], [True, True, False, True])
    np.save(tmp_path / "ids.npy", subjects)
    return datasets.load(file, tmp_path / "ids.npy")


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_subjects_of_a_file_are_those_of_its_distinct_images(tmp_path, dtype):
    sides = np.array([5, 5, 5, 5, 9, 3, 5, 5], dtype)
    found = subjects_of(tmp_path, sides)
    assert found.subjects.dtype == np.int64
    assert len(found.subjects) == len(found.images) == 5
    np.testing.assert_array_equal(found.subjects[found.pairs], sides.reshape(-1, 2))


@pytest.mark.parametrize(
    ("subjects", "named"),
    [
        (np.arange(7), r"integers \[8\], one an image in file order, got int64 \[7\]"),
        (np.zeros((4, 2), int), r"got int64 \[4, 2\]"),
        (np.zeros(8), r"got float64 \[8\]"),
        (np.array([5, 6, 5, 5, 9, 3, 5, 5]), r"expected one subject in pair 0, got \[5, 6\]"),
        (np.array([5, 5, 5, 5, 3, 3, 5, 5]), r"expected two subjects in pair 2, got \[3, 3\]"),
        (np.array([5, 5, 6, 6, 9, 3, 5, 5]), "expected one subject an image"),
        (np.array([Evil()] * 8), "expected an .npy file of subjects"),
    ],
)
def test_subjects_that_contradict_the_pairs_are_refused(tmp_path, monkeypatch, subjects, named):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=named) as caught:
        subjects_of(tmp_path, subjects)
    assert str(caught.value).startswith(str(tmp_path / "ids.npy"))
    assert not (tmp_path / "executed").exists()


HUGE = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<i8', 'fortran_order': False, 'shape': (4611686018427387904,), }".ljust(
    118
)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"no array", b"PK\x03\x04" + bytes(30), HUGE])
def test_what_is_no_file_of_subjects_is_refused(tmp_path, content):
    file = write(tmp_path / "set.bin", [png(1), png(2)], [False])
    (tmp_path / "ids.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"ids\.npy: expected an \.npy file of subjects"):
        datasets.load(file, tmp_path / "ids.npy")


def test_a_set_that_knows_its_people_takes_no_others(tmp_path):
    with pytest.raises(DataError, match=r"subjects of a \.bin file alone, got ids\.npy for sim-easy"):
        datasets.load("sim-easy", Path("ids.npy"))
