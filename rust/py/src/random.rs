//! Random numbers, each a pure function of (seed, stream, index, element).

use numpy::{Element, PyArray2};
use pyo3::prelude::*;

use crate::array::{self, View};
use crate::error;

type Matrix<'py, T> = PyResult<Bound<'py, PyArray2<T>>>;

/// Random words of Philox4x32-10, uint32 [len(index), count].
#[pyfunction]
pub fn philox<'py>(
    py: Python<'py>,
    seed: u64,
    stream: u32,
    index: Bound<'py, PyAny>,
    count: usize,
) -> Matrix<'py, u32> {
    draw(&index, count, |index| py.detach(|| sdx_core::philox::philox(seed, stream, index, count)))
}

/// Standard normals, float32 [len(index), count], the same bits on every CPU.
#[pyfunction]
pub fn normals<'py>(
    py: Python<'py>,
    seed: u64,
    stream: u32,
    index: Bound<'py, PyAny>,
    count: usize,
) -> Matrix<'py, f32> {
    draw(&index, count, |index| py.detach(|| sdx_core::normals::normals(seed, stream, index, count)))
}

/// Uniforms in [0, 1), float32 [len(index), count].
#[pyfunction]
pub fn uniforms<'py>(
    py: Python<'py>,
    seed: u64,
    stream: u32,
    index: Bound<'py, PyAny>,
    count: usize,
) -> Matrix<'py, f32> {
    draw(&index, count, |index| py.detach(|| sdx_core::uniforms::uniforms(seed, stream, index, count)))
}

fn draw<'py, T: Element>(
    index: &Bound<'py, PyAny>,
    count: usize,
    numbers: impl FnOnce(&[i64]) -> sdx_core::Result<Vec<T>>,
) -> Matrix<'py, T> {
    let view = View::new("index", index)?;
    let values = error::given(index.py(), numbers(view.slice()?))?;
    array::matrix(index.py(), values, view.slice()?.len(), count)
}
