//! The nearest of a gallery.

use std::ops::Range;

use super::bytes::Maker;
use super::embeddings::{Embeddings, Exact, slack};
use super::nearest::{self, Coarse};
use super::product::tile;
use crate::wide::widest;
use crate::{Error, Result, error, parallel};

/// Probes and gallery entries of a tile, and gallery entries that a thread takes on at once.
const PROBES: usize = 256;
const COLUMNS: usize = 1024;
const SHARD: usize = 1 << 15;

/// Probes whose candidates are held at once.
const ROUND: usize = 32 * PROBES;

/// A gallery entry near a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Its number in the gallery.
    pub index: u32,
    /// The cosine in double precision.
    pub score: f64,
}

/// Return the `count` nearest gallery entries of every probe by cosine, row-major `[probes, count]`, nearest first, the
/// lower number of equals first.
///
/// The order is that of the cosines in double precision. Memory beyond the input and the result: where the processor
/// multiplies bytes (AVX-512 VNNI), a byte for each number of both sides, and 16 for each candidate of the probes in work;
/// elsewhere, and where a sixteenth of the gallery or more may be among the nearest, as much again for both sides'
/// directions, and for 8,192 probes at a time 8 bytes for each of the nearest of every 32,768 gallery entries, more where
/// many are alike.
///
/// # Errors
/// [`Error::Data`] for another embedding size or a row without a direction; [`Error::Config`] for more than
/// the gallery holds, or none; [`Error::TooLarge`] for what does not fit in memory.
pub fn search(gallery: &Embeddings<'_>, probes: &Embeddings<'_>, count: usize) -> Result<Vec<Found>> {
    search_by(Maker::new(), gallery, probes, count)
}

/// As [`search`], by products of bytes if there is something that makes them; the answer is the same.
pub(super) fn search_by(
    maker: Option<Maker>,
    gallery: &Embeddings<'_>,
    probes: &Embeddings<'_>,
    count: usize,
) -> Result<Vec<Found>> {
    if gallery.dim() != probes.dim() {
        return error::data(format!("probes of {} numbers, as the gallery", gallery.dim()), probes.dim());
    }
    if count == 0 || count > gallery.len() {
        return error::config(format!("1 to {} of the gallery", gallery.len()), count);
    }
    let (gallery_squares, probe_squares) = (gallery.squares()?, probes.squares()?);
    let exact = (Exact { rows: *probes, squares: &probe_squares }, Exact { rows: *gallery, squares: &gallery_squares });
    let mut out = Vec::new();
    let too_large = |_| Error::TooLarge { rows: probes.len(), count };
    out.try_reserve_exact(probes.len().saturating_mul(count)).map_err(too_large)?;
    if let Some(maker) = maker.filter(|_| nearest::pays(gallery.dim(), gallery.len(), count))
        && Coarse::new(maker, exact.0, exact.1, count)?.search(&mut out)
    {
        return Ok(out);
    }
    let every = |side: &Embeddings<'_>| (0..).take(side.len()).collect::<Vec<u32>>();
    let sides = Sides {
        dim: gallery.dim(),
        gallery: gallery.unit(&gallery_squares, &every(gallery))?,
        probes: probes.unit(&probe_squares, &every(probes))?,
    };
    for from in (0..probes.len()).step_by(ROUND) {
        sides.round(from..(from + ROUND).min(probes.len()), gallery.len(), exact, count, &mut out);
    }
    Ok(out)
}

/// Directions of both sides.
struct Sides {
    dim: usize,
    gallery: Vec<f32>,
    probes: Vec<f32>,
}

/// Candidates of one probe.
struct Nearest {
    /// None below it can be among the nearest.
    least: f32,
    found: Vec<(f32, u32)>,
    /// How many to hold before the next look at who can go.
    room: usize,
}

impl Sides {
    /// Add the nearest of some probes.
    fn round(
        &self,
        probes: Range<usize>,
        gallery: usize,
        exact: (Exact<'_>, Exact<'_>),
        count: usize,
        out: &mut Vec<Found>,
    ) {
        let blocks: Vec<usize> = probes.step_by(PROBES).collect();
        let shards: Vec<usize> = (0..gallery).step_by(SHARD).collect();
        let work = blocks.iter().flat_map(|probe| shards.iter().map(move |at| (*probe, *at))).collect();
        let found = parallel::ordered(work, Vec::new, |products, (probe, at)| self.nearest(products, probe, at, count));
        let work = blocks.into_iter().zip(found.chunks_exact(shards.len())).collect();
        let ranked = parallel::ordered(work, || (), |(), (probe, shards)| rank(exact, probe, shards, count));
        out.extend(ranked.into_iter().flatten());
    }

    /// Return, for each probe of a block, who of a shard may be among its nearest.
    #[allow(clippy::cast_possible_truncation)] // a gallery has at most 2^31 rows
    fn nearest(&self, products: &mut Vec<f32>, probe: usize, at: usize, count: usize) -> Vec<Nearest> {
        let dim = self.dim;
        let probes = &self.probes[probe * dim..(probe * dim + PROBES * dim).min(self.probes.len())];
        let shard = &self.gallery[at * dim..(at * dim + SHARD * dim).min(self.gallery.len())];
        let margin = margin(dim);
        let start = || Nearest { least: f32::NEG_INFINITY, found: Vec::new(), room: 4 * count + 64 };
        let mut nearest: Vec<Nearest> = std::iter::repeat_with(start).take(probes.len() / dim).collect();
        for (number, columns) in shard.chunks(COLUMNS * dim).enumerate() {
            let wide = columns.len() / dim;
            products.resize(nearest.len() * wide, 0.0);
            tile(probes, columns, dim, products);
            let first = (at + number * COLUMNS) as u32;
            for (nearest, products) in nearest.iter_mut().zip(products.chunks_exact(wide)) {
                nearest.take(products, first, count, margin);
            }
        }
        for nearest in &mut nearest {
            nearest.prune(count, margin);
            nearest.found.shrink_to_fit();
        }
        nearest
    }
}

impl Nearest {
    /// Take over who may be among the nearest.
    fn take(&mut self, products: &[f32], first: u32, count: usize, margin: f32) {
        for (part, scores) in (0_u32..).zip(products.chunks(64)) {
            // Without a branch for each, which wide instructions do at once.
            let least = self.least;
            let any = widest(
                #[inline(always)]
                || scores.iter().fold(0, |any, score| any | u32::from(*score >= least)),
            );
            if any != 0 {
                let index = first + 64 * part;
                self.found
                    .extend((index..).zip(scores).filter(|(_, score)| **score >= self.least).map(|(i, s)| (*s, i)));
                if self.found.len() >= self.room {
                    self.prune(count, margin);
                    self.room = self.room.max(2 * self.found.len()); // where many are alike
                }
            }
        }
    }

    /// Forget who cannot be among the nearest any more.
    fn prune(&mut self, count: usize, margin: f32) {
        if self.found.len() > count {
            self.found.select_nth_unstable_by(count - 1, |a, b| b.0.total_cmp(&a.0));
            self.least = self.found[count - 1].0 - margin;
            self.found.retain(|(score, _)| *score >= self.least);
        }
    }
}

/// Return the nearest of each probe of a block, given the candidates of each shard.
fn rank((probes, gallery): (Exact<'_>, Exact<'_>), probe: usize, shards: &[Vec<Nearest>], count: usize) -> Vec<Found> {
    let mut out = Vec::new();
    let block = shards.first().map_or(0, Vec::len);
    let margin = margin(gallery.rows.dim());
    for local in 0..block {
        let found = shards.iter().flat_map(|shard| shard[local].found.iter().copied()).collect();
        let mut all = Nearest { least: f32::NEG_INFINITY, found, room: 0 };
        all.prune(count, margin);
        let exactly =
            |&(_, index): &(f32, u32)| Found { index, score: probes.to(probe + local, &gallery, index as usize) };
        let mut found: Vec<Found> = all.found.iter().map(exactly).collect();
        found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
        found.truncate(count);
        out.extend(found);
    }
    out
}

/// How far below the last of the nearest another may score in single precision and yet be nearer: both may be wrong by
/// the slack, and half of it is room for the rounding of this very sum.
#[allow(clippy::cast_possible_truncation)] // the room is wider than that rounding
fn margin(dim: usize) -> f32 {
    2.5 * slack(dim) as f32
}
