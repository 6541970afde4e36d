//! Verification accuracy and error rates.

use numpy::PyArray1;
use numpy::prelude::*;
use pyo3::prelude::*;
use sdx_core::{curve, tenfold};

use crate::array::View;
use crate::error;

/// Ten-fold verification accuracy.
#[pyclass(frozen, get_all, module = "sdx._core")]
pub struct TenFold {
    /// Share of correct decisions on each fold: float64 [10].
    accuracy: Py<PyArray1<f64>>,
    /// Threshold applied to each fold: float64 [10].
    threshold: Py<PyArray1<f64>>,
    /// Mean TAR over the folds at a threshold chosen for FAR 1e-3.
    tar: f64,
    /// Population standard deviation of the TAR over the folds.
    tar_std: f64,
    /// Mean FAR over the folds.
    far: f64,
}

/// Ten-fold accuracy from squared L2 distances, accepted below the threshold.
#[pyfunction]
pub fn tenfold_accuracy<'py>(
    py: Python<'py>,
    distance: Bound<'py, PyAny>,
    mated: Bound<'py, PyAny>,
    protocol: &str,
) -> PyResult<TenFold> {
    let protocol = self::protocol(py, protocol)?;
    let (distance, mated) = (View::new("distance", &distance)?, View::new("mated", &mated)?);
    let (distance, mated) = (distance.slice()?, mated.slice()?);
    let result = py.detach(|| tenfold::tenfold_accuracy(distance, mated, protocol));
    let result = error::given(py, result)?;
    Ok(TenFold {
        accuracy: result.accuracy.to_vec().into_pyarray(py).unbind(),
        threshold: result.threshold.to_vec().into_pyarray(py).unbind(),
        tar: result.tar,
        tar_std: result.tar_std,
        far: result.far,
    })
}

/// Return the protocol of a name.
pub fn protocol(py: Python<'_>, name: &str) -> PyResult<tenfold::Protocol> {
    let known = [("insightface", tenfold::Protocol::InsightFace), ("exact", tenfold::Protocol::Exact)];
    error::choice(py, "protocol", name, &known)
}

/// A threshold and the errors made there.
#[pyclass(frozen, get_all, module = "sdx._core")]
pub struct OperatingPoint {
    /// Scores from here on are accepted.
    threshold: f64,
    /// Share of non-mated pairs accepted.
    fmr: f64,
    /// Share of mated pairs rejected.
    fnmr: f64,
    /// Number of non-mated pairs accepted.
    false_matches: usize,
    /// Number of mated pairs rejected.
    false_non_matches: usize,
}

impl From<curve::OperatingPoint> for OperatingPoint {
    fn from(point: curve::OperatingPoint) -> Self {
        let curve::OperatingPoint { threshold, fmr, fnmr, false_matches, false_non_matches } = point;
        Self { threshold, fmr, fnmr, false_matches, false_non_matches }
    }
}

/// Error rates of scored pairs at any threshold.
#[pyclass(frozen, module = "sdx._core")]
pub struct Curve(curve::Curve);

#[pymethods]
impl Curve {
    #[new]
    fn new<'py>(py: Python<'py>, score: Bound<'py, PyAny>, mated: Bound<'py, PyAny>) -> PyResult<Self> {
        let (score, mated) = (View::new("score", &score)?, View::new("mated", &mated)?);
        let (score, mated) = (score.slice()?, mated.slice()?);
        let result = py.detach(|| curve::Curve::new(score, mated));
        error::given(py, result.map(Self))
    }

    /// Number of mated pairs.
    #[getter]
    fn mated(&self) -> usize {
        self.0.mated()
    }

    /// Number of non-mated pairs.
    #[getter]
    fn nonmated(&self) -> usize {
        self.0.nonmated()
    }

    /// The errors at a threshold fixed beforehand.
    fn at_threshold(&self, py: Python<'_>, threshold: f64) -> PyResult<OperatingPoint> {
        error::given(py, self.0.at_threshold(threshold).map(OperatingPoint::from))
    }

    /// The operating point of an asked FMR.
    #[pyo3(signature = (fmr, policy = "at most"))]
    fn at_fmr(&self, py: Python<'_>, fmr: f64, policy: &str) -> PyResult<OperatingPoint> {
        let known = [("at most", curve::Policy::AtMost), ("nearest", curve::Policy::Nearest)];
        let policy = error::choice(py, "policy", policy, &known)?;
        error::given(py, self.0.at_fmr(fmr, policy).map(OperatingPoint::from))
    }

    /// Where FMR and FNMR are closest.
    fn equal_error(&self, py: Python<'_>) -> OperatingPoint {
        py.detach(|| self.0.equal_error()).into()
    }

    /// Area under the ROC curve.
    fn auc(&self, py: Python<'_>) -> f64 {
        py.detach(|| self.0.auc())
    }

    /// Operating points for a plot.
    fn points(&self, py: Python<'_>, count: usize) -> Vec<OperatingPoint> {
        py.detach(|| self.0.points(count)).into_iter().map(OperatingPoint::from).collect()
    }
}

/// Wilson's interval of a share.
#[pyfunction]
pub fn wilson(py: Python<'_>, errors: usize, trials: usize, z: f64) -> PyResult<(f64, f64)> {
    error::given(py, curve::wilson(errors, trials, z))
}
