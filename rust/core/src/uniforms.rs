//! Uniform numbers from random words.

use crate::{Result, philox};

/// Return the word's 24 highest bits as a multiple of 2^-24 in [0, 1), exactly.
#[must_use]
#[allow(clippy::cast_precision_loss)] // 24 bits are exact in a float32
pub fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Return uniforms in [0, 1), row-major `[index.len(), count]`, one from each word of [`philox::philox`].
///
/// # Errors
/// [`crate::Error::TooLarge`] where the result cannot be held.
pub fn uniforms(seed: u64, stream: u32, index: &[i64], count: usize) -> Result<Vec<f32>> {
    philox::rows(seed, stream, index, count, uniform)
}

/// Return a uniform integer in [0, bound), 0 for bound 0; no number's probability is off by more than 2^-128.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // the product's high word, which is below `bound`
pub fn below(words: [u32; 4], bound: u64) -> u64 {
    let [low, high] = [0, 2].map(|at| u128::from(words[at]) | u128::from(words[at + 1]) << 32);
    let bound = u128::from(bound);
    ((high * bound + ((low * bound) >> 64)) >> 64) as u64
}
