//! Random numbers, each a pure function of (seed, stream, index, element).

use numpy::{Element, PyArray2, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::{array, error};

type Matrix<'py, T> = PyResult<Bound<'py, PyArray2<T>>>;

/// Random words of Philox4x32-10, uint32 [len(index), count].
#[pyfunction]
pub fn philox<'py>(
    py: Python<'py>,
    seed: u64,
    stream: u32,
    index: PyReadonlyArray1<'py, i64>,
    count: usize,
) -> Matrix<'py, u32> {
    draw(py, &index, count, |index| sdx_core::philox::philox(seed, stream, index, count))
}

/// Standard normals, float32 [len(index), count], the same bits on every CPU.
#[pyfunction]
pub fn normals<'py>(
    py: Python<'py>,
    seed: u64,
    stream: u32,
    index: PyReadonlyArray1<'py, i64>,
    count: usize,
) -> Matrix<'py, f32> {
    draw(py, &index, count, |index| sdx_core::normals::normals(seed, stream, index, count))
}

/// Uniforms in [0, 1), float32 [len(index), count].
#[pyfunction]
pub fn uniforms<'py>(
    py: Python<'py>,
    seed: u64,
    stream: u32,
    index: PyReadonlyArray1<'py, i64>,
    count: usize,
) -> Matrix<'py, f32> {
    draw(py, &index, count, |index| sdx_core::uniforms::uniforms(seed, stream, index, count))
}

fn draw<'py, T: Element + Send>(
    py: Python<'py>,
    index: &PyReadonlyArray1<'py, i64>,
    count: usize,
    numbers: impl FnOnce(&[i64]) -> sdx_core::Result<Vec<T>> + Send,
) -> Matrix<'py, T> {
    let index = array::slice("index", index)?;
    let values = py.detach(|| numbers(index)).map_err(|failure| error::python(py, &failure))?;
    array::matrix(py, values, index.len(), count)
}
