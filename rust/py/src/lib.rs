//! `sdx._core`: what Python sees of sdx-core.

#![allow(clippy::needless_pass_by_value)] // PyO3 hands arguments over by value

mod array;
mod error;
mod parse;
mod random;
mod scores;

/// Reproducible random numbers, verification scores and parsers of untrusted files.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use super::parse::{VerificationBin, read_verification_bin};
    #[pymodule_export]
    use super::random::{normals, philox, uniforms};
    #[pymodule_export]
    use super::scores::{Curve, ErrorRates, OperatingPoint, TenFold, error_rates, tenfold_accuracy, wilson};
}
