//! Cosines of embeddings, and the error rates they make.

use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use sdx_core::scoring::{self, Embeddings, Method, Metric};

use crate::array::{Table, View, matrix, vector};
use crate::error;
use crate::scores::OperatingPoint;

/// Numbers of rows, in either of the usual dtypes.
enum Numbers<'py> {
    Narrow(View<'py, i32>, View<'py, i32>),
    Wide(View<'py, i64>, View<'py, i64>),
}

impl<'py> Numbers<'py> {
    fn new(first: &Bound<'py, PyAny>, second: &Bound<'py, PyAny>) -> PyResult<Self> {
        if first.extract::<numpy::PyReadonlyArray1<'py, i32>>().is_ok() {
            return Ok(Self::Narrow(View::new("first", first)?, View::new("second", second)?));
        }
        Ok(Self::Wide(View::new("first", first)?, View::new("second", second)?))
    }
}

/// The same with numbers of either dtype.
macro_rules! with_numbers {
    ($numbers:expr, |$first:ident, $second:ident| $work:expr) => {
        match &$numbers {
            Numbers::Narrow(first, second) => {
                let ($first, $second) = (first.slice()?, second.slice()?);
                $work
            }
            Numbers::Wide(first, second) => {
                let ($first, $second) = (first.slice()?, second.slice()?);
                $work
            }
        }
    };
}

/// Scores of a list of pairs.
#[pyfunction]
#[pyo3(signature = (embedding, first, second, metric = "cosine", method = "auto"))]
pub fn score_pairs<'py>(
    py: Python<'py>,
    embedding: Bound<'py, PyAny>,
    first: Bound<'py, PyAny>,
    second: Bound<'py, PyAny>,
    metric: &str,
    method: &str,
) -> PyResult<Py<PyArray1<f32>>> {
    let known = [("cosine", Metric::Cosine), ("squared_l2", Metric::SquaredL2)];
    let metric = error::choice(py, "metric", metric, &known)?;
    let known = [("auto", Method::Auto), ("dense", Method::Dense), ("sparse", Method::Sparse)];
    let method = error::choice(py, "method", method, &known)?;
    let table = Table::<f32>::new("embedding", &embedding)?;
    let (values, dim) = (table.slice()?, table.columns());
    let numbers = Numbers::new(&first, &second)?;
    let scores = with_numbers!(numbers, |first, second| py
        .detach(|| { scoring::score_pairs(&Embeddings::new(values, dim)?, first, second, metric, method) }));
    Ok(vector(py, error::given(py, scores)?))
}

/// Error rates of a list of pairs.
#[pyclass(frozen, get_all, module = "sdx._core")]
pub struct PairRates {
    /// Number of mated pairs.
    mated: usize,
    /// Number of non-mated pairs.
    nonmated: usize,
    /// The operating point of each asked FMR, never above it.
    points: Py<PyAny>,
    /// The one whose FMR is nearest.
    nearest: Py<PyAny>,
    /// The errors at each asked threshold.
    fixed: Py<PyAny>,
    /// Where FMR and FNMR are closest.
    equal_error: Py<OperatingPoint>,
    /// Probability that a mated pair scores above a non-mated one.
    auc: f64,
}

/// Operating points as a list of Python's.
fn listed(py: Python<'_>, points: Vec<sdx_core::curve::OperatingPoint>) -> PyResult<Py<PyAny>> {
    let points: Vec<OperatingPoint> = points.into_iter().map(OperatingPoint::from).collect();
    Ok(points.into_pyobject(py)?.into_any().unbind())
}

/// Error rates of a list of labelled pairs.
#[pyfunction]
#[pyo3(signature = (embedding, first, second, mated, fmrs, thresholds = Vec::new()))]
pub fn rate_pairs<'py>(
    py: Python<'py>,
    embedding: Bound<'py, PyAny>,
    first: Bound<'py, PyAny>,
    second: Bound<'py, PyAny>,
    mated: Bound<'py, PyAny>,
    fmrs: Vec<f64>,
    thresholds: Vec<f64>,
) -> PyResult<PairRates> {
    let table = Table::<f32>::new("embedding", &embedding)?;
    let (values, dim) = (table.slice()?, table.columns());
    let numbers = Numbers::new(&first, &second)?;
    let labels = View::<bool>::new("mated", &mated)?;
    let labels = labels.slice()?;
    let rates = with_numbers!(numbers, |first, second| py.detach(|| {
        scoring::rate_pairs(&Embeddings::new(values, dim)?, (first, second, labels), &fmrs, &thresholds)
    }));
    let rates = error::given(py, rates)?;
    Ok(PairRates {
        mated: rates.mated,
        nonmated: rates.nonmated,
        points: listed(py, rates.points)?,
        nearest: listed(py, rates.nearest)?,
        fixed: listed(py, rates.fixed)?,
        equal_error: Py::new(py, OperatingPoint::from(rates.equal_error))?,
        auc: rates.auc,
    })
}

/// Error rates of every pair of some embeddings.
#[pyclass(frozen, get_all, module = "sdx._core")]
pub struct AllPairs {
    /// Number of mated pairs.
    mated: usize,
    /// Number of non-mated pairs.
    nonmated: usize,
    /// The operating point of each asked FMR.
    points: Py<PyAny>,
    /// The errors at each asked threshold.
    fixed: Py<PyAny>,
    /// Cosines of the mated pairs, ascending: float64 `[mated]`.
    mated_score: Py<PyArray1<f64>>,
    /// Their embeddings: int64 `[mated, 2]`.
    mated_pair: Py<PyArray2<i64>>,
    /// The highest cosines of non-mated pairs, descending: float64 `[tail]`.
    tail_score: Py<PyArray1<f64>>,
    /// Their embeddings: int64 `[tail, 2]`.
    tail_pair: Py<PyArray2<i64>>,
}

/// Error rates of every pair of some embeddings.
#[pyfunction]
#[pyo3(signature = (embedding, subject, fmrs, thresholds = Vec::new(), tail = 0))]
pub fn rate_all_pairs<'py>(
    py: Python<'py>,
    embedding: Bound<'py, PyAny>,
    subject: Bound<'py, PyAny>,
    fmrs: Vec<f64>,
    thresholds: Vec<f64>,
    tail: usize,
) -> PyResult<AllPairs> {
    let table = Table::<f32>::new("embedding", &embedding)?;
    let (values, dim) = (table.slice()?, table.columns());
    let subject = View::<i64>::new("subject", &subject)?;
    let subject = subject.slice()?;
    let rates =
        py.detach(|| scoring::rate_all_pairs(&Embeddings::new(values, dim)?, subject, &fmrs, &thresholds, tail));
    let rates = error::given(py, rates)?;
    let split = |pairs: Vec<scoring::Pair>| {
        let score = pairs.iter().map(|pair| pair.score).collect();
        let numbers = pairs.iter().flat_map(|pair| [pair.first.into(), pair.second.into()]).collect();
        Ok::<_, PyErr>((vector(py, score), matrix::<i64>(py, numbers, pairs.len(), 2)?.unbind()))
    };
    let mated = rates.mated.len();
    let ((mated_score, mated_pair), (tail_score, tail_pair)) = (split(rates.mated)?, split(rates.tail)?);
    Ok(AllPairs {
        mated,
        nonmated: rates.nonmated,
        points: listed(py, rates.points)?,
        fixed: listed(py, rates.fixed)?,
        mated_score,
        mated_pair,
        tail_score,
        tail_pair,
    })
}

/// Numbers and cosines, a row for each probe.
type Nearest = (Py<PyArray2<i64>>, Py<PyArray2<f64>>);

/// The nearest of a gallery.
#[pyfunction]
pub fn search<'py>(
    py: Python<'py>,
    gallery: Bound<'py, PyAny>,
    probe: Bound<'py, PyAny>,
    count: usize,
) -> PyResult<Nearest> {
    let (gallery, probe) = (Table::<f32>::new("gallery", &gallery)?, Table::<f32>::new("probe", &probe)?);
    let sides = ((gallery.slice()?, gallery.columns()), (probe.slice()?, probe.columns()));
    let found = py.detach(|| {
        let ((gallery, dim), (probe, wide)) = sides;
        scoring::search(&Embeddings::new(gallery, dim)?, &Embeddings::new(probe, wide)?, count)
    });
    let found = error::given(py, found)?;
    let rows = found.len() / count;
    let index = found.iter().map(|found| i64::from(found.index)).collect();
    let score = found.iter().map(|found| found.score).collect();
    Ok((matrix(py, index, rows, count)?.unbind(), matrix(py, score, rows, count)?.unbind()))
}
