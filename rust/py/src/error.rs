//! Core errors to the classes of `sdx.errors`.

use pyo3::prelude::*;
use pyo3::types::PyType;
use sdx_core::Error;

/// Return the Python exception of a core error.
pub fn python(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::TooLarge { .. } => "ConfigError",
    };
    match py.import("sdx.errors").and_then(|module| module.getattr(class)?.cast_into::<PyType>().map_err(PyErr::from)) {
        Ok(class) => PyErr::from_type(class, error.to_string()),
        Err(missing) => missing,
    }
}
