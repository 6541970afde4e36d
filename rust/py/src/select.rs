//! Hard-sample selection.

use std::collections::BTreeMap;

use numpy::PyArray1;
use pyo3::prelude::*;
use sdx_core::select::{self, Chances, Diversity, Quota, Rules};

use crate::array::{Table, View, vector};
use crate::error;

/// Gap x reliability, float32 [n].
#[pyfunction]
pub fn priorities(
    py: Python<'_>,
    similarity: Bound<'_, PyAny>,
    reliability: Bound<'_, PyAny>,
) -> PyResult<Py<PyArray1<f32>>> {
    let (similarity, reliability) = (View::new("similarity", &similarity)?, View::new("reliability", &reliability)?);
    let (similarity, reliability) = (similarity.slice()?, reliability.slice()?);
    let result = py.detach(|| sdx_core::priority::priorities(similarity, reliability));
    Ok(vector(py, error::given(py, result)?))
}

/// Positions of the highest priorities.
#[pyfunction]
#[pyo3(signature = (priority, count, *, group = None, quota = None, vector = None, cosine = None))]
#[allow(clippy::too_many_arguments)] // Python's have names
pub fn select_top(
    py: Python<'_>,
    priority: Bound<'_, PyAny>,
    count: usize,
    group: Option<Bound<'_, PyAny>>,
    quota: Option<BTreeMap<i64, usize>>,
    vector: Option<Bound<'_, PyAny>>,
    cosine: Option<f64>,
) -> PyResult<Py<PyArray1<i64>>> {
    let limits = Limits { group, quota, vector, cosine };
    limits.select(py, &priority, count, select::top)
}

/// Positions of the priorities at or above a threshold.
#[pyfunction]
#[pyo3(signature = (priority, threshold, count = None, *, group = None, quota = None, vector = None, cosine = None))]
#[allow(clippy::too_many_arguments)] // Python's have names
pub fn select_above(
    py: Python<'_>,
    priority: Bound<'_, PyAny>,
    threshold: f32,
    count: Option<usize>,
    group: Option<Bound<'_, PyAny>>,
    quota: Option<BTreeMap<i64, usize>>,
    vector: Option<Bound<'_, PyAny>>,
    cosine: Option<f64>,
) -> PyResult<Py<PyArray1<i64>>> {
    let limits = Limits { group, quota, vector, cosine };
    let count = count.unwrap_or(usize::MAX);
    limits.select(py, &priority, count, |priority, rules| select::above(priority, threshold, rules))
}

/// Positions drawn without replacement.
#[pyfunction]
#[pyo3(signature = (
    priority, count, *, seed, stream, number, alpha = 1.0, temperature = None, exploration = 0.0, group = None,
    quota = None, vector = None, cosine = None,
))]
#[allow(clippy::too_many_arguments)] // Python's have names
pub fn select_sample(
    py: Python<'_>,
    priority: Bound<'_, PyAny>,
    count: usize,
    seed: u64,
    stream: u32,
    number: i64,
    alpha: f64,
    temperature: Option<f64>,
    exploration: f64,
    group: Option<Bound<'_, PyAny>>,
    quota: Option<BTreeMap<i64, usize>>,
    vector: Option<Bound<'_, PyAny>>,
    cosine: Option<f64>,
) -> PyResult<Py<PyArray1<i64>>> {
    let chances = Chances { alpha, temperature, exploration, seed, stream, number };
    let limits = Limits { group, quota, vector, cosine };
    limits.select(py, &priority, count, |priority, rules| select::sample(priority, &chances, rules))
}

/// What picks must respect, as Python says it.
struct Limits<'py> {
    group: Option<Bound<'py, PyAny>>,
    quota: Option<BTreeMap<i64, usize>>,
    vector: Option<Bound<'py, PyAny>>,
    cosine: Option<f64>,
}

impl<'py> Limits<'py> {
    fn select(
        &self,
        py: Python<'py>,
        priority: &Bound<'py, PyAny>,
        count: usize,
        choose: impl FnOnce(&[f32], &Rules) -> sdx_core::Result<Vec<usize>> + Send,
    ) -> PyResult<Py<PyArray1<i64>>> {
        if self.group.is_some() != self.quota.is_some() || self.vector.is_some() != self.cosine.is_some() {
            let message = "expected `group` with `quota` and `vector` with `cosine`, got one of two: pass both or none";
            return Err(error::raise(py, "ConfigError", message));
        }
        let priority = View::new("priority", priority)?;
        let priority = priority.slice()?;
        let group = self.group.as_ref().map(|group| View::new("group", group)).transpose()?;
        let table = |vector| Table::of("vector", vector, priority.len(), None);
        let table = self.vector.as_ref().map(table).transpose()?;
        let group = group.as_ref().map(View::slice).transpose()?;
        let table = table.as_ref().map(Table::slice).transpose()?;
        let quota = group.zip(self.quota.as_ref()).map(|(group, most)| Quota { group, most });
        let diversity = table.zip(self.cosine).map(|(vector, cosine)| Diversity { vector, cosine });
        let rules = Rules { count, quota, diversity };
        let picks = error::given(py, py.detach(|| choose(priority, &rules)))?;
        Ok(vector(py, picks.into_iter().map(|pick| i64::try_from(pick).unwrap_or(i64::MAX)).collect()))
    }
}
