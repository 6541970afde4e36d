//! The one error type of the crate.

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
}
