//! Parsers of untrusted files: allow-listed, capped, and never larger in memory than the file warrants.

pub mod columns;
pub(crate) mod cursor;
mod escape;
mod numpy;
mod opcode;
mod pickle;
pub mod verification_bin;

/// Why bytes are not what they claim to be, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {offset})")]
pub struct ParseError {
    /// Position of the offending opcode in the file.
    pub offset: usize,
    /// What was expected and what came.
    pub message: String,
}

/// Caps that a file must respect, whatever it says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Size of the file, and of all its items together once shared ones are written out.
    pub bytes: usize,
    /// Number of items (two to a pair).
    pub items: usize,
    /// Size of one item.
    pub item_bytes: usize,
    /// Values waiting on the stack.
    pub stack: usize,
    /// Lists, tuples and arrays.
    pub nodes: usize,
    /// Values kept for later reference.
    pub memo: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 31, items: 1 << 21, item_bytes: 1 << 26, stack: 1 << 22, nodes: 1 << 24, memo: 1 << 24 }
    }
}
