//! Arrays across the boundary: contiguous or refused going in, moved going out, copied never.

use numpy::ndarray::Array2;
use numpy::prelude::*;
use numpy::{Element, PyArray2, PyReadonlyArray1, PyUntypedArray};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// A one-dimensional array of Python's that nobody may write to while it is looked at.
pub struct View<'py, T: Element>(PyReadonlyArray1<'py, T>);

impl<'py, T: Element> View<'py, T> {
    /// Look at an argument; `TypeError` for another type, dtype or dimension, `ValueError` for a strided array.
    pub fn new(name: &str, argument: &Bound<'py, PyAny>) -> PyResult<Self> {
        let Ok(array) = argument.extract::<PyReadonlyArray1<'py, T>>() else {
            let expected = T::get_dtype(argument.py());
            let got = match argument.cast::<PyUntypedArray>() {
                Ok(array) => format!("{} {:?}", array.dtype(), array.shape()),
                Err(_) => argument.get_type().name()?.to_string(),
            };
            return Err(PyTypeError::new_err(format!("expected `{name}` as a numpy array {expected} [n], got {got}")));
        };
        if !array.is_c_contiguous() || array.as_slice().is_err() {
            return Err(PyValueError::new_err(format!(
                "expected `{name}` to be contiguous, got a strided array: pass numpy.ascontiguousarray({name})"
            )));
        }
        Ok(Self(array))
    }

    /// Return the elements themselves, not a copy.
    pub fn slice(&self) -> PyResult<&[T]> {
        self.0.as_slice().map_err(PyErr::from)
    }
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
