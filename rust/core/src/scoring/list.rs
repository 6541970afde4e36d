//! Scores of a list of pairs.

use super::blocks::{Blocks, CHUNK, Index, Pairs};
use super::buckets::NONE;
use super::embeddings::Embeddings;
use super::product::{dot, tile};
use crate::wide::widest;
use crate::{Error, Result, parallel};

/// What is computed of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Cosine, from -1 to 1.
    Cosine,
    /// Squared Euclidean distance of the embeddings as they are.
    SquaredL2,
}

/// How it is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By the share of all products that the list asks for.
    Auto,
    /// All products of a block of rows at once, of which the list's are taken.
    Dense,
    /// One product after another.
    Sparse,
}

/// Share of products from which making all of them costs less.
const DENSE: f64 = 1.0 / 16.0;

/// Columns of a tile: as many as a thread's cache holds beside their products.
const TILE: usize = 1024;

/// Directions of the embeddings that a list of pairs names, and who is compared.
pub struct Scorer<'a, I> {
    pub blocks: Blocks<'a, I>,
    dim: usize,
    rows: Vec<f32>,
    columns: Vec<f32>,
    dense: bool,
}

impl<'a, I: Index> Scorer<'a, I> {
    pub fn new(embeddings: &Embeddings<'_>, squares: &[f64], pairs: Pairs<'a, I>, method: Method) -> Result<Self> {
        let blocks = Blocks::new(embeddings, pairs)?;
        let dense = match method {
            Method::Auto => blocks.density() >= DENSE,
            Method::Dense => true,
            Method::Sparse => false,
        };
        let (rows, columns) = (embeddings.unit(squares, &blocks.rows)?, embeddings.unit(squares, &blocks.columns)?);
        Ok(Self { blocks, dim: embeddings.dim(), rows, columns, dense })
    }

    /// Room for the products of a block.
    pub fn strip(&self) -> Strip {
        let size = if self.dense { self.blocks.height * self.blocks.columns.len() } else { 0 };
        Strip { products: vec![0.0; size], tile: Vec::new() }
    }

    /// Return the cosine of every pair of a block, in single precision and in the order of `each`; `NONE` for mated pairs.
    pub fn score(&self, strip: &mut Strip, block: usize) -> Vec<f32> {
        let (rows, dim, wide) = (self.blocks.rows(block), self.dim, self.blocks.columns.len());
        let height = rows.len();
        let rows = &self.rows[rows.start * dim..rows.end * dim];
        let mut scores = Vec::with_capacity(self.blocks.size(block));
        if self.dense {
            for (number, columns) in self.columns.chunks(TILE * dim).enumerate() {
                let count = columns.len() / dim;
                strip.tile.resize(height * count, 0.0);
                tile(rows, columns, dim, &mut strip.tile);
                for (row, tile) in strip.tile.chunks_exact(count).enumerate() {
                    strip.products[row * wide + number * TILE..][..count].copy_from_slice(tile);
                }
            }
            let products = &strip.products;
            self.blocks.each(block, |entry| {
                let product = products[entry.row() * wide + entry.column()];
                scores.push(if entry.is_mated() { NONE } else { product });
            });
        } else {
            self.blocks.each(block, |entry| {
                let (row, column) = (&rows[entry.row() * dim..][..dim], &self.columns[entry.column() * dim..][..dim]);
                scores.push(if entry.is_mated() {
                    NONE
                } else {
                    widest(
                        #[inline(always)]
                        || dot(row, column),
                    )
                });
            });
        }
        scores
    }
}

/// Products of a block of rows with all columns.
pub struct Strip {
    products: Vec<f32>,
    tile: Vec<f32>,
}

/// Return the cosine or the squared distance of every pair, float32, in order.
///
/// A cosine is within (n + 8) 2^-24 of the exact one for rows of n numbers, a squared distance within 32 times that of
/// itself.
///
/// # Errors
/// [`Error::Data`] for unequal lengths, a row that does not exist, or, for cosines, one without a direction;
/// [`Error::TooLarge`] for what does not fit in memory.
pub fn score_pairs<I: Index>(
    embeddings: &Embeddings<'_>,
    first: &[I],
    second: &[I],
    metric: Metric,
    method: Method,
) -> Result<Vec<f32>> {
    let pairs = Pairs { first, second, mated: &[] };
    let mut out = Vec::new();
    out.try_reserve_exact(first.len()).map_err(|_| Error::TooLarge { rows: first.len(), count: 1 })?;
    out.resize(first.len(), 0.0);
    let squares = embeddings.squares()?;
    let scorer = Scorer::new(embeddings, &squares, pairs, method)?;
    let scores = parallel::ordered(
        (0..scorer.blocks.count()).collect(),
        || scorer.strip(),
        |strip, block| scorer.score(strip, block),
    );
    scorer.blocks.in_order(&scores, &mut out);
    if metric == Metric::SquaredL2 {
        let work = out.chunks_mut(CHUNK).enumerate().collect();
        parallel::share(
            work,
            || (),
            |(), (chunk, out): (usize, &mut [f32])| {
                for (out, pair) in out.iter_mut().zip(pairs.chunk(chunk)) {
                    *out = squared(embeddings, &squares, first[pair].checked(), second[pair].checked(), *out);
                }
            },
        );
    }
    Ok(out)
}

/// Return a squared distance, given the cosine in single precision: by way of it where little cancels.
#[allow(clippy::cast_possible_truncation)] // rounding to single precision is what it is for
fn squared(embeddings: &Embeddings<'_>, squares: &[f64], first: usize, second: usize, cosine: f32) -> f32 {
    let sum = squares[first] + squares[second];
    let distance = sum - 2.0 * (squares[first] * squares[second]).sqrt() * f64::from(cosine);
    if distance > sum / 16.0 { distance as f32 } else { embeddings.distance(first, second) as f32 }
}
