//! Subject bootstrap.

use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use sdx_core::bootstrap::{self, AllPairs, Asked, Draw, Pairs};
use sdx_core::scoring::Embeddings;

use crate::array::{Table, View, matrix, vector};
use crate::error;
use crate::scores::protocol;

/// Rates of every replicate of a subject bootstrap.
#[pyclass(frozen, get_all, module = "sdx._core")]
pub struct Replicates {
    /// Threshold at each asked FMR: float64 [fmrs, replicates].
    threshold: Py<PyArray2<f64>>,
    /// FNMR there: float64 [fmrs, replicates].
    fnmr: Py<PyArray2<f64>>,
    /// FMR at each fixed threshold: float64 [thresholds, replicates].
    fixed_fmr: Py<PyArray2<f64>>,
    /// FNMR at each fixed threshold: float64 [thresholds, replicates].
    fixed_fnmr: Py<PyArray2<f64>>,
    /// Equal error rate: float64 [replicates], empty where non-mated pairs are missing.
    eer: Py<PyArray1<f64>>,
}

/// Rates of every replicate of a list of pairs.
#[pyfunction]
#[pyo3(signature = (score, mated, first, second, *, fmrs, thresholds, seed, stream, replicates))]
#[allow(clippy::too_many_arguments)] // Python's have names
pub fn resample_pairs<'py>(
    py: Python<'py>,
    score: Bound<'py, PyAny>,
    mated: Bound<'py, PyAny>,
    first: Bound<'py, PyAny>,
    second: Bound<'py, PyAny>,
    fmrs: Vec<f64>,
    thresholds: Vec<f64>,
    seed: u64,
    stream: u32,
    replicates: usize,
) -> PyResult<Replicates> {
    let (score, mated) = (View::new("score", &score)?, View::new("mated", &mated)?);
    let (first, second) = (View::new("first", &first)?, View::new("second", &second)?);
    let pairs = Pairs { score: score.slice()?, mated: mated.slice()?, first: first.slice()?, second: second.slice()? };
    let asked = Asked { fmrs: &fmrs, thresholds: &thresholds };
    let draw = Draw { seed, stream, replicates };
    let result = py.detach(|| bootstrap::of_pairs(&pairs, &asked, &draw));
    given(py, result, &asked, replicates)
}

/// Rates of every replicate of all pairs of a set of images.
#[pyfunction]
#[pyo3(signature = (
    subject, mated_score, mated_first, mated_second, tail_score, tail_first, tail_second, *, fmrs, thresholds, seed,
    stream, replicates,
))]
#[allow(clippy::too_many_arguments)] // Python's have names
pub fn resample_all_pairs<'py>(
    py: Python<'py>,
    subject: Bound<'py, PyAny>,
    mated_score: Bound<'py, PyAny>,
    mated_first: Bound<'py, PyAny>,
    mated_second: Bound<'py, PyAny>,
    tail_score: Bound<'py, PyAny>,
    tail_first: Bound<'py, PyAny>,
    tail_second: Bound<'py, PyAny>,
    fmrs: Vec<f64>,
    thresholds: Vec<f64>,
    seed: u64,
    stream: u32,
    replicates: usize,
) -> PyResult<Replicates> {
    let subject = View::new("subject", &subject)?;
    let (mated_score, tail_score) = (View::new("mated_score", &mated_score)?, View::new("tail_score", &tail_score)?);
    let mated = [View::new("mated_first", &mated_first)?, View::new("mated_second", &mated_second)?];
    let tail = [View::new("tail_first", &tail_first)?, View::new("tail_second", &tail_second)?];
    let pairs = AllPairs {
        subject: subject.slice()?,
        mated_score: mated_score.slice()?,
        mated: [mated[0].slice()?, mated[1].slice()?],
        tail_score: tail_score.slice()?,
        tail: [tail[0].slice()?, tail[1].slice()?],
    };
    let asked = Asked { fmrs: &fmrs, thresholds: &thresholds };
    let draw = Draw { seed, stream, replicates };
    let result = py.detach(|| bootstrap::of_all_pairs(&pairs, &asked, &draw));
    given(py, result, &asked, replicates)
}

/// Rates of every replicate of all pairs of a set of images at one threshold, the non-mated ones compared anew.
#[pyfunction]
#[pyo3(signature = (
    embedding, subject, mated_score, mated_first, mated_second, threshold, *, seed, stream, replicates,
))]
#[allow(clippy::too_many_arguments)] // Python's have names
pub fn resample_at_threshold<'py>(
    py: Python<'py>,
    embedding: Bound<'py, PyAny>,
    subject: Bound<'py, PyAny>,
    mated_score: Bound<'py, PyAny>,
    mated_first: Bound<'py, PyAny>,
    mated_second: Bound<'py, PyAny>,
    threshold: f64,
    seed: u64,
    stream: u32,
    replicates: usize,
) -> PyResult<Replicates> {
    let table = Table::<f32>::new("embedding", &embedding)?;
    let (values, dim) = (table.slice()?, table.columns());
    let (subject, mated_score) = (View::new("subject", &subject)?, View::new("mated_score", &mated_score)?);
    let mated = [View::new("mated_first", &mated_first)?, View::new("mated_second", &mated_second)?];
    let (subject, mated_score) = (subject.slice()?, mated_score.slice()?);
    let mated = [mated[0].slice()?, mated[1].slice()?];
    let draw = Draw { seed, stream, replicates };
    let result = py.detach(|| {
        bootstrap::at_threshold(&Embeddings::new(values, dim)?, subject, mated_score, mated, threshold, &draw)
    });
    given(py, result, &Asked { fmrs: &[], thresholds: &[threshold] }, replicates)
}

/// Ten-fold accuracy of every replicate, float64 [replicates].
#[pyfunction]
#[pyo3(signature = (distance, mated, first, second, protocol, *, seed, stream, replicates))]
#[allow(clippy::too_many_arguments)] // Python's have names
pub fn resample_accuracy<'py>(
    py: Python<'py>,
    distance: Bound<'py, PyAny>,
    mated: Bound<'py, PyAny>,
    first: Bound<'py, PyAny>,
    second: Bound<'py, PyAny>,
    protocol: &str,
    seed: u64,
    stream: u32,
    replicates: usize,
) -> PyResult<Py<PyArray1<f64>>> {
    let protocol = self::protocol(py, protocol)?;
    let (distance, mated) = (View::new("distance", &distance)?, View::new("mated", &mated)?);
    let (first, second) = (View::new("first", &first)?, View::new("second", &second)?);
    let pairs =
        Pairs { score: distance.slice()?, mated: mated.slice()?, first: first.slice()?, second: second.slice()? };
    let draw = Draw { seed, stream, replicates };
    let result = py.detach(|| bootstrap::of_accuracy(&pairs, protocol, &draw));
    Ok(vector(py, error::given(py, result)?))
}

fn given(
    py: Python<'_>,
    result: sdx_core::Result<bootstrap::Replicates>,
    asked: &Asked,
    replicates: usize,
) -> PyResult<Replicates> {
    let found = error::given(py, result)?;
    let table = |values, rows| Ok::<_, PyErr>(matrix(py, values, rows, replicates)?.unbind());
    let (fmrs, thresholds) = (asked.fmrs.len(), asked.thresholds.len());
    Ok(Replicates {
        threshold: table(found.threshold, fmrs)?,
        fnmr: table(found.fnmr, fmrs)?,
        fixed_fmr: table(found.fixed_fmr, thresholds)?,
        fixed_fnmr: table(found.fixed_fnmr, thresholds)?,
        eer: vector(py, found.eer),
    })
}
