//! Embeddings as they came, and their directions.

use rayon::prelude::*;

use super::product::{exact_distance, exact_dot};
use crate::wide::widest;
use crate::{Error, Result, error, parallel};

/// Rows of numbers, each the embedding of one image or template.
#[derive(Clone, Copy, Debug)]
pub struct Embeddings<'a> {
    values: &'a [f32],
    dim: usize,
}

impl<'a> Embeddings<'a> {
    /// Take `values`, row-major `[n, dim]`, with at most 2^31 rows.
    ///
    /// # Errors
    /// [`Error::Data`] for no numbers in a row, a row that is cut short, or too many.
    pub fn new(values: &'a [f32], dim: usize) -> Result<Self> {
        check_shape(values.len(), dim)?;
        Ok(Self { values, dim })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers in a row.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    pub(super) fn row(&self, place: usize) -> &'a [f32] {
        &self.values[place * self.dim..][..self.dim]
    }

    /// Squared distance of two rows as they are.
    pub(super) fn distance(&self, first: usize, second: usize) -> f64 {
        widest(
            #[inline(always)]
            || exact_distance(self.row(first), self.row(second)),
        )
    }

    /// Return the squared lengths of the rows; refuse those without a direction.
    pub(super) fn squares(&self) -> Result<Vec<f64>> {
        let square = |row: &[f32]| {
            widest(
                #[inline(always)]
                || exact_dot(row, row),
            )
        };
        let squares: Vec<f64> = if parallel::available() {
            self.values.par_chunks_exact(self.dim).map(square).collect()
        } else {
            self.values.chunks_exact(self.dim).map(square).collect()
        };
        match squares.iter().position(|square| !(square.is_finite() && *square > 0.0)) {
            None => Ok(squares),
            Some(row) => {
                let what = if squares[row] == 0.0 { "zeros alone" } else { "a number that is not finite" };
                Err(Error::Data {
                    expected: "embeddings of finite numbers, not all zero".into(),
                    got: format!("{what} in row {row}"),
                })
            }
        }
    }

    /// Return chosen rows scaled to unit length.
    pub(super) fn unit(&self, squares: &[f64], chosen: &[u32]) -> Result<Vec<f32>> {
        let size = chosen.len() * self.dim;
        let mut out = Vec::new();
        out.try_reserve_exact(size).map_err(|_| Error::TooLarge { rows: chosen.len(), count: self.dim })?;
        out.resize(size, 0.0);
        let scale = |(out, place): (&mut [f32], &u32)| self.direction(squares, *place as usize, out);
        if parallel::available() {
            out.par_chunks_exact_mut(self.dim).zip(chosen).for_each(scale);
        } else {
            out.chunks_exact_mut(self.dim).zip(chosen).for_each(scale);
        }
        Ok(out)
    }

    /// Write a row scaled to unit length.
    pub(super) fn direction(&self, squares: &[f64], place: usize, out: &mut [f32]) {
        let inverse = 1.0 / squares[place].sqrt();
        widest(
            #[inline(always)]
            || {
                for (out, value) in out.iter_mut().zip(self.row(place)) {
                    *out = single(f64::from(*value) * inverse);
                }
            },
        );
    }
}

/// Refuse what are no rows, and more of them than are numbered in 32 bits with one to spare.
fn check_shape(values: usize, dim: usize) -> Result<()> {
    if dim == 0 || !values.is_multiple_of(dim) || values / dim > 1 << 31 {
        let got = format!("{values} numbers for rows of {dim}");
        return error::data("embeddings of at least one number, at most 2^31 of them", got);
    }
    Ok(())
}

/// Embeddings and their squared lengths: what a cosine in double precision takes.
#[derive(Clone, Copy)]
pub struct Exact<'a> {
    pub rows: Embeddings<'a>,
    pub squares: &'a [f64],
}

impl Exact<'_> {
    /// The cosine of two rows; its bits do not depend on the processor, or on which comes first.
    pub fn cosine(&self, first: usize, second: usize) -> f64 {
        self.to(first, self, second)
    }

    /// The cosine of a row and one of others.
    pub fn to(&self, first: usize, other: &Exact<'_>, second: usize) -> f64 {
        let product = widest(
            #[inline(always)]
            || exact_dot(self.rows.row(first), other.rows.row(second)),
        );
        // One root of both, so that equal rows have the cosine 1.
        (product / (self.squares[first] * other.squares[second]).sqrt()).clamp(-1.0, 1.0)
    }
}

/// The most that a product of unit rows in single precision can differ from their cosine, however it is summed.
///
/// Each of the numbers was rounded once, each product and each sum once more (Higham 2002, section 3.1: n + 2 roundings a
/// term, whose absolute values add up to 1 at most); the rest is room for the double precision of the cosine.
pub fn slack(dim: usize) -> f64 {
    let roundings = f64::from(u32::try_from(dim).unwrap_or(u32::MAX)) + 8.0;
    let error = roundings * f64::from(f32::EPSILON) / 2.0;
    error / (1.0 - error).max(0.5)
}

#[allow(clippy::cast_possible_truncation)] // rounding to single precision is what it is for
fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_rows_than_have_a_number() {
        for dim in [1, 512] {
            assert!(check_shape(0, dim).is_ok());
            assert!(check_shape(dim << 31, dim).is_ok());
            let told = check_shape((dim << 31) + dim, dim).unwrap_err().to_string();
            assert!(told.contains("at most 2^31 of them"), "{told}");
        }
        assert!(check_shape(5, 2).is_err() && check_shape(0, 0).is_err());
    }
}
