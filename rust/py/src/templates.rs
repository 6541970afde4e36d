//! Templates of images.

use numpy::PyArray2;
use pyo3::prelude::*;
use sdx_core::templates::{self, Flip, Images, Mirrored};

use crate::array::{Table, View, matrix};
use crate::error;

/// Unit templates, float32 [count, width], of image embeddings.
#[pyfunction]
#[pyo3(signature = (
    embedding, template, media, count, *, norm_weighting, flip, mirrored = None, halves = false, detector_score = None,
))]
#[allow(clippy::too_many_arguments)] // Python's have names
pub fn aggregate_templates<'py>(
    py: Python<'py>,
    embedding: Bound<'py, PyAny>,
    template: Bound<'py, PyAny>,
    media: Bound<'py, PyAny>,
    count: usize,
    norm_weighting: bool,
    flip: &str,
    mirrored: Option<Bound<'py, PyAny>>,
    halves: bool,
    detector_score: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let known = [("none", Flip::None), ("sum", Flip::Sum), ("concat", Flip::Concat)];
    let flip = error::choice(py, "flip", flip, &known)?;
    let (template, media) = (View::<i64>::new("template", &template)?, View::<i64>::new("media", &media)?);
    let (template, media) = (template.slice()?, media.slice()?);
    let embedding = Table::<f32>::of("embedding", &embedding, template.len(), None)?;
    let embedding = embedding.slice()?;
    let columns = embedding.len() / template.len().max(1);
    let table = |mirrored| Table::<f32>::of("mirrored", mirrored, template.len(), Some(columns));
    let apart = mirrored.as_ref().map(table).transpose()?;
    let mirrored = match (apart.as_ref().map(Table::slice).transpose()?, halves) {
        (Some(_), true) => {
            let message = "expected mirrored embeddings as `mirrored` or as `halves`, got both: pass one";
            return Err(error::raise(py, "ConfigError", message));
        }
        (Some(apart), false) => Mirrored::Apart(apart),
        (None, true) => Mirrored::Beside,
        (None, false) => Mirrored::Absent,
    };
    let score = detector_score.as_ref().map(|score| View::<f32>::new("detector_score", score)).transpose()?;
    let detector = score.as_ref().map(View::slice).transpose()?;
    let images = Images { embedding, mirrored, template, media, detector };
    let unit = py.detach(|| templates::aggregate(&images, count, norm_weighting, flip));
    let unit = error::given(py, unit)?;
    let width = unit.len() / count;
    matrix(py, unit, count, width)
}
