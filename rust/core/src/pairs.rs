//! What every computation on scored pairs asks of its input.

use crate::{Error, Result};

/// Numbers of mated and of non-mated pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub mated: usize,
    pub nonmated: usize,
}

/// Check that values (called `name` in the message) and labels agree, are finite, and hold both kinds of pairs.
pub fn check(name: &str, values: &[f64], mated: &[bool]) -> Result<Count> {
    if values.len() != mated.len() {
        return fail(format!("one `mated` per {name}"), format!("{} and {}", mated.len(), values.len()));
    }
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        return fail(format!("finite {name}s"), format!("{} at position {place}", values[place]));
    }
    let count = mated.iter().filter(|&&mated| mated).count();
    let count = Count { mated: count, nonmated: mated.len() - count };
    if count.mated == 0 || count.nonmated == 0 {
        let got = format!("{} mated and {} non-mated", count.mated, count.nonmated);
        return fail("mated and non-mated pairs, at least one of each", got);
    }
    Ok(count)
}

pub fn fail<T>(expected: impl Into<String>, got: impl Into<String>) -> Result<T> {
    Err(Error::Scores { expected: expected.into(), got: got.into() })
}

/// A share of counts as a float; exact for counts below 2^53.
#[allow(clippy::cast_precision_loss)] // none below 2^53
pub fn rate(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
