//! Parsers of untrusted files.

use std::path::PathBuf;

use numpy::PyArray1;
use numpy::prelude::*;
use pyo3::prelude::*;
use sdx_core::parse::{Limits, verification_bin};

use crate::error;

/// A verification set: encoded images and which pairs are of one person.
#[pyclass(frozen, get_all, module = "sdx._core")]
pub struct VerificationBin {
    /// Bytes of all items, one after the other: uint8 [bytes].
    data: Py<PyArray1<u8>>,
    /// Item i lies in data[offsets[i]:offsets[i + 1]]: int64 [2 P + 1].
    offsets: Py<PyArray1<i64>>,
    /// Whether pair i, of items 2 i and 2 i + 1, is mated: bool [P].
    mated: Py<PyArray1<bool>>,
    /// Index of the first item with the same bytes: int64 [2 P].
    first: Py<PyArray1<i64>>,
}

/// Read a verification set in the field's .bin layout, as data: nothing in the file can run.
#[pyfunction]
#[pyo3(signature = (path, max_bytes = 2_147_483_648))]
pub fn read_verification_bin(py: Python<'_>, path: PathBuf, max_bytes: usize) -> PyResult<VerificationBin> {
    let limits = Limits { bytes: max_bytes, ..Limits::default() };
    let set = error::given(py, py.detach(|| verification_bin::read(&path, limits)))?;
    Ok(VerificationBin {
        data: set.data.into_pyarray(py).unbind(),
        offsets: set.offsets.into_pyarray(py).unbind(),
        mated: set.mated.into_pyarray(py).unbind(),
        first: set.first.into_pyarray(py).unbind(),
    })
}
