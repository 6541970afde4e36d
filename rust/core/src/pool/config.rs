//! Settings of a pool.

use super::{MOST_ENTRIES, MOST_STUDENTS};
use crate::Result;
use crate::error::config;
use crate::tree::Leaver;

/// Whose similarity says how hard an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// The mean over all students.
    Mean,
    /// The lowest of any student.
    Hardest,
    /// One student's own.
    Student(usize),
}

/// Who leaves a full pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The entry of lowest priority, the oldest of equals; the newcomer itself where it is easier than all.
    Easiest,
    /// The entry pushed first.
    Oldest,
    /// Any, with equal chances.
    Random,
}

/// Settings of a pool, fixed for its life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Most entries, 1 to 2^28.
    pub capacity: usize,
    /// Number of students observed, 1 to 64.
    pub students: usize,
    /// Whose similarity counts.
    pub steer: Steer,
    /// What is kept of the smoothed similarity at each observation, in [0, 1); 0 forgets at once.
    pub smoothing: f32,
    /// Who leaves a full pool.
    pub eviction: Eviction,
    /// Seed of draws and evictions.
    pub seed: u64,
    /// Philox stream of draws (indices 0, 1, ...) and evictions (indices -1, -2, ...).
    pub stream: u32,
}

impl Config {
    pub(super) fn check(&self) -> Result<()> {
        if !(1..=MOST_ENTRIES).contains(&self.capacity) {
            return config(format!("a capacity of 1 to {MOST_ENTRIES}"), self.capacity);
        }
        if !(1..=MOST_STUDENTS).contains(&self.students) {
            return config(format!("1 to {MOST_STUDENTS} students"), self.students);
        }
        if !(0.0..1.0).contains(&self.smoothing) {
            return config("a smoothing in [0, 1)", self.smoothing);
        }
        match self.steer {
            Steer::Student(student) if student >= self.students => {
                config(format!("a student to steer by below {}", self.students), student)
            }
            _ => Ok(()),
        }
    }
}

impl Eviction {
    /// Return whom the tree is to look for.
    pub(super) fn leaver(self) -> Leaver {
        match self {
            Self::Easiest => Leaver::Lightest,
            Self::Oldest => Leaver::Oldest,
            Self::Random => Leaver::None,
        }
    }
}

impl Steer {
    /// Return the similarity that counts out of all students'.
    #[allow(clippy::cast_precision_loss)] // at most 64 students
    pub(super) fn of(self, mut similarity: impl Iterator<Item = f32> + Clone) -> f32 {
        match self {
            Self::Mean => similarity.clone().sum::<f32>() / similarity.count() as f32,
            Self::Hardest => similarity.fold(f32::INFINITY, f32::min),
            Self::Student(student) => similarity.nth(student).unwrap_or(f32::INFINITY),
        }
    }
}
