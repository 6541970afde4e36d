//! Core errors to the classes of `sdx.errors`.

use pyo3::prelude::*;
use pyo3::types::PyType;
use sdx_core::Error;

/// Return a result of the core as one of Python's.
pub fn given<T>(py: Python<'_>, result: sdx_core::Result<T>) -> PyResult<T> {
    result.map_err(|failure| python(py, &failure))
}

/// Return what a choice's name stands for; `ConfigError` that tells the names for another.
pub fn choice<T: Copy>(py: Python<'_>, what: &str, name: &str, known: &[(&str, T)]) -> PyResult<T> {
    if let Some((_, found)) = known.iter().find(|(known, _)| *known == name) {
        return Ok(*found);
    }
    let names: Vec<String> = known.iter().map(|(name, _)| format!("{name:?}")).collect();
    let all = match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        names => names.concat(),
    };
    Err(raise(py, "ConfigError", &format!("expected {what} {all}, got {name:?}")))
}

/// Return the Python exception of a core error.
fn python(py: Python<'_>, error: &Error) -> PyErr {
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
