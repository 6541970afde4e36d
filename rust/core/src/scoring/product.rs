//! Inner products: one at a time, and a tile of them.

#![allow(clippy::inline_always)] // what `Arch::dispatch` runs takes its instructions only where it is inlined

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

const LANES: usize = 16;

/// Write the products of the rows of `a` `[m, dim]` with those of `b` `[n, dim]` into `out` `[m, n]`.
pub fn tile(a: &[f32], b: &[f32], dim: usize, out: &mut [f32]) {
    let (m, n) = (a.len() / dim, b.len() / dim);
    let (a, b) = (MatRef::from_row_major_slice(a, m, dim), MatRef::from_row_major_slice(b, n, dim));
    matmul(MatMut::from_row_major_slice_mut(out, m, n), Accum::Replace, a, b.transpose(), 1.0, Par::Seq);
}

/// Return the product of two rows in single precision; the bits do not depend on the processor.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sum = [0.0; LANES];
    let (a_parts, a_rest) = a.as_chunks::<LANES>();
    let (b_parts, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_parts.iter().zip(b_parts) {
        for lane in 0..LANES {
            sum[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sum.iter().sum::<f32>() + rest
}

/// Return the product of two rows in double precision; the bits do not depend on the processor.
#[inline(always)]
pub fn exact_dot(a: &[f32], b: &[f32]) -> f64 {
    reduce(a, b, |a, b| f64::from(a) * f64::from(b))
}

/// Return the squared distance of two rows in double precision; the bits do not depend on the processor.
#[inline(always)]
pub fn exact_distance(a: &[f32], b: &[f32]) -> f64 {
    reduce(a, b, |a, b| (f64::from(a) - f64::from(b)) * (f64::from(a) - f64::from(b)))
}

#[inline(always)]
fn reduce(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f64) -> f64 {
    let mut sum = [0.0; LANES];
    let (a_parts, a_rest) = a.as_chunks::<LANES>();
    let (b_parts, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_parts.iter().zip(b_parts) {
        for lane in 0..LANES {
            sum[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b)).sum();
    sum.iter().sum::<f64>() + rest
}
