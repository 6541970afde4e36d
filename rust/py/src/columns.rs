//! Columns of text files.

use std::path::PathBuf;

use numpy::prelude::*;
use pyo3::prelude::*;
use pyo3::types::PyList;
use sdx_core::parse::columns::{self, Column, Separator};

use crate::error;

/// Read the columns of a text file.
#[pyfunction]
#[pyo3(signature = (path, kinds, *, separator = " ", header = false))]
pub fn read_columns<'py>(
    py: Python<'py>,
    path: PathBuf,
    kinds: &str,
    separator: &str,
    header: bool,
) -> PyResult<Bound<'py, PyList>> {
    let known = [(" ", Separator::Blanks), (",", Separator::Comma)];
    let separator = error::choice(py, "separator", separator, &known)?;
    let columns = py.detach(|| columns::read(&path, kinds, separator, header));
    let list = PyList::empty(py);
    for column in error::given(py, columns)? {
        match column {
            Column::Integers(values) => list.append(values.into_pyarray(py))?,
            Column::Flags(values) => list.append(values.into_pyarray(py))?,
            Column::Numbers(values) => list.append(values.into_pyarray(py))?,
            Column::Texts(values) => list.append(values)?,
        }
    }
    Ok(list)
}
