//! `sdx._core`: what Python sees of sdx-core.

#![allow(clippy::needless_pass_by_value)] // PyO3 hands arguments over by value

mod array;
mod bootstrap;
mod columns;
mod error;
mod parse;
mod pool;
mod random;
mod scores;
mod scoring;
mod select;
mod templates;

/// Reproducible random numbers, the pool of latents, hard-sample selection, verification scores and parsers of untrusted files.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use super::bootstrap::{Replicates, resample_accuracy, resample_all_pairs, resample_at_threshold, resample_pairs};
    #[pymodule_export]
    use super::columns::read_columns;
    #[pymodule_export]
    use super::parse::{VerificationBin, read_verification_bin};
    #[pymodule_export]
    use super::pool::{LatentPool, PoolEntries, PoolStatistics};
    #[pymodule_export]
    use super::random::{normals, philox, uniforms};
    #[pymodule_export]
    use super::scores::{Curve, OperatingPoint, TenFold, tenfold_accuracy, wilson};
    #[pymodule_export]
    use super::scoring::{AllPairs, PairRates, rate_all_pairs, rate_pairs, score_pairs, search};
    #[pymodule_export]
    use super::select::{priorities, select_above, select_sample, select_top};
    #[pymodule_export]
    use super::templates::aggregate_templates;
}
