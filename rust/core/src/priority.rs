//! How much there is to learn from a face: its gap times the teacher's reliability.

use crate::error::data;
use crate::{Error, Result};

/// A cosine of unit vectors and what rounding may add to it, bfloat16 included.
pub(crate) const MOST_COSINE: f32 = 1.01;
/// Units of [`weight`] to priority 1.
const UNIT: f64 = 1_073_741_824.0; // 2^30

/// Return what a student misses of a cosine, 1 - similarity, and 0 above 1.
#[must_use]
pub fn gap(similarity: f32) -> f32 {
    (1.0 - similarity).max(0.0)
}

/// Return gap x reliability, a negative reliability counting as 0: about 0 to 2 for cosines.
#[must_use]
pub fn priority(similarity: f32, reliability: f32) -> f32 {
    gap(similarity) * reliability.max(0.0)
}

/// Return [`priority`] of each pair.
///
/// # Errors
/// [`Error::Data`] for unequal lengths, or a number that is no cosine: NaN, or more than 0.01 outside [-1, 1].
pub fn priorities(similarity: &[f32], reliability: &[f32]) -> Result<Vec<f32>> {
    if similarity.len() != reliability.len() {
        return data("one reliability per similarity", format!("{} and {}", reliability.len(), similarity.len()));
    }
    check_cosines("similarity", similarity)?;
    check_cosines("reliability", reliability)?;
    Ok(similarity
        .iter()
        .zip(reliability)
        .map(|(&similarity, &reliability)| priority(similarity, reliability))
        .collect())
}

/// Return a cosine's priority in units of 2^-30 and at least one unit, so that whatever is there can be drawn.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within [0, 2.04 x 2^30]
pub(crate) fn weight(priority: f32) -> u32 {
    ((f64::from(priority) * UNIT + 0.5) as u32).max(1) // `round` is a call where the processor need not know it
}

pub(crate) fn is_cosine(value: f32) -> bool {
    value.abs() <= MOST_COSINE // false for NaN
}

pub(crate) fn check_cosines(name: &str, values: &[f32]) -> Result<()> {
    match values.iter().position(|&value| !is_cosine(value)) {
        Some(place) => {
            let got = format!("{} at position {place}", values[place]);
            Err(Error::Data { expected: format!("{name} to be a cosine in [-1, 1]"), got })
        }
        None => Ok(()),
    }
}
