//! Arrays across the boundary: contiguous or refused going in, moved going out, copied never.

use numpy::ndarray::Array2;
use numpy::{Element, IntoPyArray, PyArray2, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Return the elements of a contiguous array; the caller must not write to it meanwhile.
pub fn slice<'a, T: Element>(name: &str, array: &'a PyReadonlyArray1<'_, T>) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|_| {
        PyValueError::new_err(format!(
            "expected `{name}` to be a contiguous array, got a strided view: pass numpy.ascontiguousarray({name})"
        ))
    })
}

/// Hand row-major values over to Python as an array `[rows, count]`.
pub fn matrix<T: Element>(
    py: Python<'_>,
    values: Vec<T>,
    rows: usize,
    count: usize,
) -> PyResult<Bound<'_, PyArray2<T>>> {
    let array =
        Array2::from_shape_vec((rows, count), values).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(array.into_pyarray(py))
}
