//! The one error type of the crate.

use std::path::PathBuf;

use crate::parse::ParseError;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong; every message says what was expected, what came, and where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request whose result cannot be held in memory.
    #[error("expected a result that fits in memory, got {rows} x {count} numbers: ask for fewer at a time")]
    TooLarge {
        /// Number of rows asked for.
        rows: usize,
        /// Numbers in a row.
        count: usize,
    },
    /// A file that cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something that is not a file, or too large a one.
    #[error("{}: expected {expected}, got {got}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the reader takes.
        expected: String,
        /// What it found.
        got: String,
    },
    /// A file that is not what it claims to be.
    #[error("{}: not a verification set: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: ParseError,
    },
    /// Distances, scores or labels that no rate can be computed from.
    #[error("expected {expected}, got {got}")]
    Scores {
        /// What the computation needs.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A setting or an argument that nothing can be computed for.
    #[error("expected {expected}, got {got}")]
    Config {
        /// What is allowed.
        expected: String,
        /// What was asked for.
        got: String,
    },
    /// Values that cannot be what they are passed as.
    #[error("expected {expected}, got {got}")]
    Data {
        /// What is allowed.
        expected: String,
        /// What came.
        got: String,
    },
    /// Bytes that are no snapshot of a pool.
    #[error("not a snapshot of a pool: {0}")]
    Snapshot(#[from] ParseError),
}

/// Return [`Error::Config`].
#[allow(clippy::needless_pass_by_value)] // reads better where it is called
pub(crate) fn config<T>(expected: impl Into<String>, got: impl ToString) -> Result<T> {
    Err(Error::Config { expected: expected.into(), got: got.to_string() })
}

/// Return [`Error::Data`].
#[allow(clippy::needless_pass_by_value)] // reads better where it is called
pub(crate) fn data<T>(expected: impl Into<String>, got: impl ToString) -> Result<T> {
    Err(Error::Data { expected: expected.into(), got: got.to_string() })
}
