//! Core errors to the classes of `sdx.errors`.

use pyo3::prelude::*;
use pyo3::types::PyType;
use sdx_core::Error;

/// Return the Python exception of a core error.
pub fn python(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::Io { .. }
        | Error::File { .. }
        | Error::Parse { .. }
        | Error::Scores { .. }
        | Error::Data { .. }
        | Error::Snapshot(_) => "DataError",
        Error::TooLarge { .. } | Error::Config { .. } => "ConfigError",
    };
    raise(py, class, &error.to_string())
}

/// Return an exception of `sdx.errors`, which is imported when first needed.
pub fn raise(py: Python<'_>, class: &str, message: &str) -> PyErr {
    let found = py.import("sdx.errors").and_then(|module| Ok(module.getattr(class)?.cast_into::<PyType>()?));
    found.map_or_else(|missing| missing, |class| PyErr::from_type(class, message.to_owned()))
}
