//! The books of `sdx`: reproducible random numbers, the pool of latents, hard-sample selection, verification
//! scores and parsers of untrusted files.
//!
//! Plain slices and structs, no Python: the crate `sdx-py` is the skin that Python sees as `sdx._core`.

pub mod bootstrap;
pub mod curve;
mod error;
pub mod normals;
mod pairs;
mod parallel;
pub mod parse;
pub mod philox;
pub mod pool;
mod power;
pub mod priority;
mod rates;
pub mod scoring;
pub mod select;
pub mod templates;
pub mod tenfold;
mod tree;
pub mod uniforms;
mod wide;

pub use error::{Error, Result};
