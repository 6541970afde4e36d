//! The pool of latents.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use sdx_core::pool::{self, Arrivals, Config, Eviction, HOPS, Lineages, Steer};

use crate::array::{self, Table, View, matrix, vector};
use crate::error;

type Vector<T> = Py<PyArray1<T>>;
type Matrix<T> = Py<PyArray2<T>>;

/// Faces worth another visit: lineages, and how hard they are.
#[pyclass(frozen, module = "sdx._core")]
pub struct LatentPool(Mutex<pool::LatentPool>);

#[pymethods]
impl LatentPool {
    #[new]
    #[pyo3(signature = (capacity, students, *, seed, stream, steer, smoothing = 0.0, eviction = "easiest", vector = 0))]
    #[allow(clippy::too_many_arguments)] // Python's have names
    fn new(
        py: Python<'_>,
        capacity: usize,
        students: usize,
        seed: u64,
        stream: u32,
        steer: Bound<'_, PyAny>,
        smoothing: f32,
        eviction: &str,
        vector: usize,
    ) -> PyResult<Self> {
        let steer = match steer.extract::<String>().as_deref() {
            Ok("mean") => Steer::Mean,
            Ok("hardest") => Steer::Hardest,
            Ok(other) => {
                let expected = "steer \"mean\", \"hardest\" or the number of a student";
                return Err(error::raise(py, "ConfigError", &format!("expected {expected}, got {other:?}")));
            }
            Err(_) => Steer::Student(steer.extract()?),
        };
        let known = [("easiest", Eviction::Easiest), ("oldest", Eviction::Oldest), ("random", Eviction::Random)];
        let eviction = error::choice(py, "eviction", eviction, &known)?;
        let config = Config { capacity, students, steer, smoothing, eviction, seed, stream };
        Ok(Self(Mutex::new(error::given(py, pool::LatentPool::with_vectors(config, vector))?)))
    }

    /// Most entries.
    #[getter]
    fn capacity(&self, py: Python<'_>) -> usize {
        self.with(py, |pool| pool.config().capacity)
    }

    /// Number of students observed.
    #[getter]
    fn students(&self, py: Python<'_>) -> usize {
        self.with(py, |pool| pool.config().students)
    }

    /// Numbers in the vector of an entry, 0 where none is kept.
    #[getter]
    fn vector(&self, py: Python<'_>) -> usize {
        self.with(py, |pool| pool.vector_length())
    }

    /// Bytes of memory held.
    #[getter]
    fn nbytes(&self, py: Python<'_>) -> usize {
        self.with(py, |pool| pool.bytes())
    }

    /// Sum of the draw weights, in units of 2**-30 of priority.
    #[getter]
    fn total(&self, py: Python<'_>) -> u64 {
        self.with(py, |pool| pool.total())
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.with(py, |pool| pool.len())
    }

    /// Add entries; (ids, ids that had to leave).
    #[pyo3(signature = (root, hops, index, scale, similarity, reliability, group, images_seen, vector = None))]
    #[allow(clippy::too_many_arguments)] // Python's have names
    fn push(
        &self,
        py: Python<'_>,
        root: Bound<'_, PyAny>,
        hops: Bound<'_, PyAny>,
        index: Bound<'_, PyAny>,
        scale: Bound<'_, PyAny>,
        similarity: Bound<'_, PyAny>,
        reliability: Bound<'_, PyAny>,
        group: Bound<'_, PyAny>,
        images_seen: i64,
        vector: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(Vector<i64>, Vector<i64>)> {
        let (root, hops) = (View::new("root", &root)?, View::new("hops", &hops)?);
        let root = root.slice()?;
        let index = Table::of("index", &index, root.len(), Some(HOPS))?;
        let scale = Table::of("scale", &scale, root.len(), Some(HOPS))?;
        let similarity = Table::of("similarity", &similarity, self.students(py), Some(root.len()))?;
        let (reliability, group) = (View::new("reliability", &reliability)?, View::new("group", &group)?);
        let lineage = Lineages { root, hops: hops.slice()?, index: index.slice()?, scale: scale.slice()? };
        let (similarity, reliability, group) = (similarity.slice()?, reliability.slice()?, group.slice()?);
        let arrivals = Arrivals { lineage, similarity, reliability, group, images_seen };
        let kept = vector.map(|kept| Table::of("vector", &kept, root.len(), Some(self.vector(py)))).transpose()?;
        let kept = kept.as_ref().map_or(Ok(&[][..]), Table::slice)?;
        let pushed = self.checked(py, |pool| pool.push_vectors(&arrivals, kept))?;
        Ok((array::vector(py, pushed.id), array::vector(py, pushed.evicted)))
    }

    /// Take note of similarities; whether each id was still in the pool.
    fn observe(
        &self,
        py: Python<'_>,
        id: Bound<'_, PyAny>,
        similarity: Bound<'_, PyAny>,
        images_seen: i64,
    ) -> PyResult<Vector<bool>> {
        let id = View::new("id", &id)?;
        let id = id.slice()?;
        let similarity = Table::of("similarity", &similarity, self.students(py), Some(id.len()))?;
        let similarity = similarity.slice()?;
        Ok(vector(py, self.checked(py, |pool| pool.observe(id, similarity, images_seen))?))
    }

    /// Remove entries; whether each id was still in the pool.
    fn evict(&self, py: Python<'_>, id: Bound<'_, PyAny>) -> PyResult<Vector<bool>> {
        let id = View::new("id", &id)?;
        let id = id.slice()?;
        Ok(vector(py, self.with(py, |pool| pool.evict(id))))
    }

    /// Draw entries by priority, without replacement; their ids.
    #[pyo3(signature = (count, number, exploration = 0.0))]
    fn draw(&self, py: Python<'_>, count: usize, number: i64, exploration: f64) -> PyResult<Vector<i64>> {
        Ok(vector(py, self.checked(py, |pool| pool.draw(count, number, exploration))?))
    }

    /// Ids of the hardest entries, hardest first.
    fn hardest(&self, py: Python<'_>, count: usize) -> Vector<i64> {
        vector(py, self.with(py, |pool| pool.hardest(count)))
    }

    /// Ids of all entries.
    fn ids(&self, py: Python<'_>) -> Vector<i64> {
        vector(py, self.with(py, |pool| pool.ids()))
    }

    /// Priority and group of all entries, in the order of `ids`.
    fn priorities(&self, py: Python<'_>) -> (Vector<f32>, Vector<i64>) {
        let (priority, group) = self.with(py, |pool| pool.priorities());
        (vector(py, priority), vector(py, group))
    }

    /// What is known of entries.
    fn entries(&self, py: Python<'_>, id: Bound<'_, PyAny>) -> PyResult<PoolEntries> {
        let id = View::new("id", &id)?;
        let id = id.slice()?;
        let entries = self.checked(py, |pool| pool.entries(id))?;
        PoolEntries::new(py, entries, id.len(), self.students(py))
    }

    /// The vectors of entries.
    fn vectors(&self, py: Python<'_>, id: Bound<'_, PyAny>) -> PyResult<Matrix<f32>> {
        let id = View::new("id", &id)?;
        let id = id.slice()?;
        let (vectors, length) = self.checked(py, |pool| Ok((pool.vectors(id)?, pool.vector_length())))?;
        Ok(matrix(py, vectors, id.len(), length)?.unbind())
    }

    /// Numbers of entries by difficulty, age, hops and group.
    fn statistics(&self, py: Python<'_>, images_seen: i64) -> PoolStatistics {
        let pool::Statistics { difficulty, age, hops, group } = self.with(py, |pool| pool.statistics(images_seen));
        PoolStatistics { difficulty: vector(py, difficulty), age: vector(py, age), hops: vector(py, hops), group }
    }

    /// The whole state as bytes.
    fn snapshot(&self, py: Python<'_>) -> PyResult<Vector<u8>> {
        Ok(vector(py, self.checked(py, |pool| pool.snapshot())?))
    }

    /// A pool from a snapshot.
    #[staticmethod]
    fn restore(py: Python<'_>, snapshot: Bound<'_, PyAny>) -> PyResult<Self> {
        let snapshot = View::new("snapshot", &snapshot)?;
        let bytes = snapshot.slice()?;
        let restored = py.detach(|| pool::LatentPool::restore(bytes));
        Ok(Self(Mutex::new(error::given(py, restored)?)))
    }
}

impl LatentPool {
    /// Work on the pool with the interpreter left free; threads take turns.
    fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut pool::LatentPool) -> T + Send) -> T {
        py.detach(|| work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn checked<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut pool::LatentPool) -> sdx_core::Result<T> + Send,
    ) -> PyResult<T> {
        error::given(py, self.with(py, work))
    }
}

/// Columns of n entries of a pool.
#[pyclass(frozen, get_all, module = "sdx._core")]
pub struct PoolEntries {
    /// Index of the root latent: int64 [n].
    root: Vector<i64>,
    /// Number of hops: int64 [n].
    hops: Vector<i64>,
    /// Index of each hop: int64 [n, 8].
    index: Matrix<i64>,
    /// Scale of each hop: float32 [n, 8].
    scale: Matrix<f32>,
    /// Similarity at the last visit: float32 [students, n].
    latest: Matrix<f32>,
    /// Smoothed similarity: float32 [students, n].
    smoothed: Matrix<f32>,
    /// The teacher's cosine of face and mirror image: float32 [n].
    reliability: Vector<f32>,
    /// Gap x reliability: float32 [n].
    priority: Vector<f32>,
    /// Group: int64 [n].
    group: Vector<i64>,
    /// Number of visits: int64 [n].
    visits: Vector<i64>,
    /// Images seen at the last visit: int64 [n].
    last_visit: Vector<i64>,
    /// Number of the push: int64 [n].
    pushed: Vector<i64>,
}

impl PoolEntries {
    fn new(py: Python<'_>, entries: pool::Entries, count: usize, students: usize) -> PyResult<Self> {
        Ok(Self {
            root: vector(py, entries.root),
            hops: vector(py, entries.hops),
            index: matrix(py, entries.index, count, HOPS)?.unbind(),
            scale: matrix(py, entries.scale, count, HOPS)?.unbind(),
            latest: matrix(py, entries.latest, students, count)?.unbind(),
            smoothed: matrix(py, entries.smoothed, students, count)?.unbind(),
            reliability: vector(py, entries.reliability),
            priority: vector(py, entries.priority),
            group: vector(py, entries.group),
            visits: vector(py, entries.visits),
            last_visit: vector(py, entries.last_visit),
            pushed: vector(py, entries.pushed),
        })
    }
}

/// Numbers of entries of a pool, by what they are.
#[pyclass(frozen, get_all, module = "sdx._core")]
pub struct PoolStatistics {
    /// By gap, in bins of 0.05: int64 [40].
    difficulty: Vector<i64>,
    /// By images seen since the last visit, in powers of two: int64 [64].
    age: Vector<i64>,
    /// By number of hops: int64 [9].
    hops: Vector<i64>,
    /// By group.
    group: BTreeMap<i64, i64>,
}
