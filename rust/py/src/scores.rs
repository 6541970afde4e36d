//! Verification accuracy and error rates.

use numpy::PyArray1;
use numpy::prelude::*;
use pyo3::prelude::*;
use sdx_core::{rates, tenfold};

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
    let protocol = match protocol {
        "insightface" => tenfold::Protocol::InsightFace,
        "exact" => tenfold::Protocol::Exact,
        other => {
            let message = format!("expected protocol \"insightface\" or \"exact\", got {other:?}");
            return Err(error::raise(py, "ConfigError", &message));
        }
    };
    let (distance, mated) = (View::new("distance", &distance)?, View::new("mated", &mated)?);
    let (distance, mated) = (distance.slice()?, mated.slice()?);
    let result = py.detach(|| tenfold::tenfold_accuracy(distance, mated, protocol));
    let result = result.map_err(|failure| error::python(py, &failure))?;
    Ok(TenFold {
        accuracy: result.accuracy.to_vec().into_pyarray(py).unbind(),
        threshold: result.threshold.to_vec().into_pyarray(py).unbind(),
        tar: result.tar,
        tar_std: result.tar_std,
        far: result.far,
    })
}

/// Error rates over all thresholds, a pair being accepted at or above the threshold.
#[pyclass(frozen, get_all, module = "sdx._core")]
pub struct ErrorRates {
    /// Share of mated pairs accepted, for each asked FAR.
    tar_at_far: Vec<f64>,
    /// The lowest threshold that keeps to each asked FAR.
    threshold: Vec<f64>,
    /// Number of non-mated pairs accepted there.
    false_matches: Vec<usize>,
    /// (FMR + FNMR) / 2 where the two are closest.
    eer: f64,
    /// The threshold of the EER.
    eer_threshold: f64,
    /// Probability that a mated pair scores above a non-mated one, ties counted half.
    auc: f64,
}

/// TAR at FAR "at most", EER and AUC from scores (higher is more alike).
#[pyfunction]
pub fn error_rates<'py>(
    py: Python<'py>,
    score: Bound<'py, PyAny>,
    mated: Bound<'py, PyAny>,
    far: Vec<f64>,
) -> PyResult<ErrorRates> {
    let (score, mated) = (View::new("score", &score)?, View::new("mated", &mated)?);
    let (score, mated) = (score.slice()?, mated.slice()?);
    let result = py.detach(|| rates::error_rates(score, mated, &far));
    let rates::ErrorRates { tar_at_far, threshold, false_matches, eer, eer_threshold, auc } =
        result.map_err(|failure| error::python(py, &failure))?;
    Ok(ErrorRates { tar_at_far, threshold, false_matches, eer, eer_threshold, auc })
}
