"""Every public callable of `sdx._core` refuses what it cannot take, in one line, and leaves its arguments alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boundaries
import boundaries_scoring
import numpy as np
import pytest
from boundaries import Case, Entry, public
from numpy.typing import NDArray

from sdx import _core
from sdx.errors import DataError, SdxError

TABLE = {**boundaries.TABLE, **boundaries_scoring.TABLE}
RESULTS = (*boundaries.RESULTS, *boundaries_scoring.RESULTS)
OTHER = {"float64": "float32", "float32": "float64", "int64": "int16", "int32": "int16", "bool": "u1", "uint8": "i1"}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set.bin").write_bytes(b"\x80\x02](U\x01aU\x01be](\x88e\x86.")
    (tmp_path / "columns.txt").write_text("3 1 x\n5 0 y z\n")
    (tmp_path / "cut.bin").write_bytes(b"\x80\x02](U\x01aU")
    monkeypatch.chdir(tmp_path)


def misaligned(array: NDArray[Any]) -> NDArray[Any]:
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    raw[:] = np.frombuffer(array.tobytes(), np.uint8)
    return raw.view(array.dtype).reshape(array.shape)


def wrong_arrays(name: str, array: NDArray[Any], free: tuple[str, ...]) -> Iterator[Case]:
    """What stands for an array and is none that the function can look at."""
    yield {name: array.tolist()}, TypeError
    yield {name: array.astype(OTHER[array.dtype.name])}, TypeError
    yield {name: array[..., None]}, TypeError
    yield {name: np.repeat(array, 2, axis=-1)[..., ::2]}, ValueError
    yield {name: array[::-1]}, ValueError
    shape = (DataError, ValueError)
    if array.itemsize > 1:
        yield {name: array.astype(array.dtype.newbyteorder())}, TypeError
        yield {name: misaligned(array)}, ValueError
    if array.ndim == 2:
        yield {name: np.asfortranarray(array)}, ValueError
    if name not in free:
        yield {name: np.concatenate([array, array[:1]])}, shape
    if array.ndim == 2 and f"{name}.columns" not in free:
        yield {name: np.concatenate([array, array[:, :1]], axis=1)}, shape
    for value in (np.nan, np.inf, -np.inf) if array.dtype.kind == "f" else ():
        spoilt = array.copy()
        spoilt.flat[0] = value
        yield {name: spoilt}, DataError


def cases(entry: Entry) -> Iterator[Case]:
    yield from entry.bad
    yield {"unheard_of": 1}, TypeError
    for name, value in entry.good.items():
        if isinstance(value, np.ndarray):
            yield from wrong_arrays(name, value, entry.free)


def test_nothing_is_missing_from_the_table() -> None:
    assert {*TABLE, *RESULTS} == set(public())
    assert not {*TABLE} & {*RESULTS}


@pytest.mark.parametrize("name", TABLE)
def test_what_is_good_is_taken_and_left_as_it_was(name: str) -> None:
    entry = TABLE[name]
    arrays = {key: value.copy() for key, value in entry.good.items() if isinstance(value, np.ndarray)}
    entry.call(**entry.good)
    for key, value in arrays.items():
        np.testing.assert_array_equal(entry.good[key], value)
        value.flags.writeable = False
    entry.call(**{**entry.good, **arrays})  # what may not be written to is read all the same


@pytest.mark.parametrize("name", TABLE)
def test_what_is_not_is_refused_in_one_line(name: str) -> None:
    entry = TABLE[name]
    for replaced, error in cases(entry):
        with pytest.raises(error) as caught:
            entry.call(**{**entry.good, **replaced})
        message = str(caught.value)
        assert message, replaced
        assert "\n" not in message, message
        assert "panic" not in message.lower(), message
        if isinstance(caught.value, SdxError) and "os error" not in message:
            assert "expected " in message, message


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_made_by_rust_alone(name: str) -> None:
    with pytest.raises(TypeError, match=f"cannot create '{_core.__name__}.{name}'"):
        getattr(_core, name)()
