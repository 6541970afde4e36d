//! Arrays across the boundary: contiguous or refused going in, moved going out, copied never.

use numpy::ndarray::{Array2, Dimension, Ix1, Ix2};
use numpy::prelude::*;
use numpy::{Element, PyArray1, PyArray2, PyReadonlyArray, PyUntypedArray};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::error;

/// An array of Python's that nobody may write to while it is looked at.
pub struct Shaped<'py, T: Element, D: Dimension>(PyReadonlyArray<'py, T, D>);

/// A one-dimensional array of Python's.
pub type View<'py, T> = Shaped<'py, T, Ix1>;

/// A two-dimensional array of Python's.
pub type Table<'py, T> = Shaped<'py, T, Ix2>;

impl<'py, T: Element, D: Dimension> Shaped<'py, T, D> {
    /// Look at an argument; `TypeError` for another type, dtype or dimension, `ValueError` for a strided array, `DataError`
    /// for bools that are neither 0 nor 1.
    pub fn new(name: &str, argument: &Bound<'py, PyAny>) -> PyResult<Self> {
        let Ok(array) = argument.extract::<PyReadonlyArray<'py, T, D>>() else {
            let expected = T::get_dtype(argument.py());
            let shape = if D::NDIM == Some(2) { "[n, m]" } else { "[n]" };
            let got = match argument.cast::<PyUntypedArray>() {
                Ok(array) => format!("{} {:?}", array.dtype(), array.shape()),
                Err(_) => argument.get_type().name()?.to_string(),
            };
            let message = format!("expected `{name}` as a numpy array {expected} {shape}, got {got}");
            return Err(PyTypeError::new_err(message));
        };
        if !array.is_c_contiguous() || array.as_slice().is_err() {
            return Err(PyValueError::new_err(format!(
                "expected `{name}` to be contiguous, got a strided array: pass numpy.ascontiguousarray({name})"
            )));
        }
        let py = argument.py();
        if T::get_dtype(py).is_equiv_to(&bool::get_dtype(py)) {
            Self::check_bools(name, argument)?;
        }
        Ok(Self(array))
    }

    /// Raise `DataError` for bools whose bytes are neither 0 nor 1: numpy makes them of other arrays and of files, and Rust
    /// has no such value.
    fn check_bools(name: &str, argument: &Bound<'py, PyAny>) -> PyResult<()> {
        let bytes = argument.call_method1("view", ("u1",))?.extract::<PyReadonlyArray<'py, u8, D>>()?;
        let is_sound = |part: &[u8]| part.iter().fold(0, |all, byte| all | byte) <= 1;
        if bytes.as_slice()?.chunks(1 << 12).all(is_sound) {
            return Ok(());
        }
        let message = format!("expected `{name}` as bools of bytes 0 and 1, got others: pass {name}.view(\"u1\") != 0");
        Err(error::raise(argument.py(), "DataError", &message))
    }

    /// Return the elements themselves, not a copy.
    pub fn slice(&self) -> PyResult<&[T]> {
        self.0.as_slice().map_err(PyErr::from)
    }
}

impl<'py, T: Element> Table<'py, T> {
    /// Numbers in a row.
    pub fn columns(&self) -> usize {
        self.0.shape()[1]
    }

    /// As `new`, and `ValueError` for another number of rows or, where it is given, of columns.
    pub fn of(name: &str, argument: &Bound<'py, PyAny>, rows: usize, columns: Option<usize>) -> PyResult<Self> {
        let table = Self::new(name, argument)?;
        let shape = table.0.shape();
        if shape[0] != rows || columns.is_some_and(|columns| shape[1] != columns) {
            let columns = columns.map_or("m".into(), |columns| columns.to_string());
            let message = format!("expected `{name}` of shape [{rows}, {columns}], got {shape:?}");
            return Err(PyValueError::new_err(message));
        }
        Ok(table)
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

/// Hand values over to Python as an array `[n]`.
pub fn vector<T: Element>(py: Python<'_>, values: Vec<T>) -> Py<PyArray1<T>> {
    values.into_pyarray(py).unbind()
}
