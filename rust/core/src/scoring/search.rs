//! The nearest of a gallery.

use std::ops::Range;

use super::embeddings::{Embeddings, Exact, slack};
use super::product::{arch, tile};
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
/// The order is that of the cosines in double precision. Memory beyond the input and the result: as much again for both
/// sides' directions, and for 8,192 probes at a time 8 bytes for each of the nearest of every 32,768 gallery entries, more
/// where many are alike.
///
/// # Errors
/// [`Error::Data`] for another embedding size or a row without a direction; [`Error::Config`] for more than
/// the gallery holds, or none; [`Error::TooLarge`] for what does not fit in memory.
pub fn search(gallery: &Embeddings<'_>, probes: &Embeddings<'_>, count: usize) -> Result<Vec<Found>> {
    if gallery.dim() != probes.dim() {
        return error::data(format!("probes of {} numbers, as the gallery", gallery.dim()), probes.dim());
    }
    if count == 0 || count > gallery.len() {
        return error::config(format!("1 to {} of the gallery", gallery.len()), count);
    }
    let (gallery_squares, probe_squares) = (gallery.squares()?, probes.squares()?);
    let every = |side: &Embeddings<'_>| (0..).take(side.len()).collect::<Vec<u32>>();
    let sides = Sides {
        dim: gallery.dim(),
        gallery: gallery.unit(&gallery_squares, &every(gallery))?,
        probes: probes.unit(&probe_squares, &every(probes))?,
    };
    let exact = (Exact { rows: *probes, squares: &probe_squares }, Exact { rows: *gallery, squares: &gallery_squares });
    let mut out = Vec::new();
    let too_large = |_| Error::TooLarge { rows: probes.len(), count };
    out.try_reserve_exact(probes.len().saturating_mul(count)).map_err(too_large)?;
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
        let shards = |probe| (0..gallery).step_by(SHARD).map(move |at| (probe, at));
        let start = || (Vec::new(), Vec::new());
        let done =
            parallel::share(probes.step_by(PROBES).flat_map(shards).collect(), start, |(done, products), corner| {
                let (probe, at) = corner;
                done.push((probe, at, self.nearest(products, probe, at, count)));
            });
        let mut done: Vec<_> = done.into_iter().flat_map(|(done, _)| done).collect();
        done.sort_unstable_by_key(|(probe, at, _)| (*probe, *at));
        let blocks: Vec<_> = done.chunk_by(|a, b| a.0 == b.0).collect();
        let ranked = parallel::share(blocks, Vec::new, |ranked, shards| {
            ranked.push((shards[0].0, rank(exact, shards[0].0, &shards.iter().map(|(_, _, found)| found), count)));
        });
        let mut ranked: Vec<_> = ranked.into_iter().flatten().collect();
        ranked.sort_unstable_by_key(|(probe, _)| *probe);
        out.extend(ranked.into_iter().flat_map(|(_, found)| found));
    }

    /// Return, for each probe of a block, who of a shard may be among its nearest.
    #[allow(clippy::cast_possible_truncation)] // numbers of a gallery; a margin
    fn nearest(&self, products: &mut Vec<f32>, probe: usize, at: usize, count: usize) -> Vec<Nearest> {
        let dim = self.dim;
        let probes = &self.probes[probe * dim..(probe * dim + PROBES * dim).min(self.probes.len())];
        let shard = &self.gallery[at * dim..(at * dim + SHARD * dim).min(self.gallery.len())];
        let margin = 2.5 * slack(dim) as f32;
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
            let any = arch().dispatch(
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
fn rank<'a>(
    (probes, gallery): (Exact<'_>, Exact<'_>),
    probe: usize,
    shards: &(impl Iterator<Item = &'a Vec<Nearest>> + Clone),
    count: usize,
) -> Vec<Found> {
    let mut out = Vec::new();
    let block = shards.clone().next().map_or(0, Vec::len);
    #[allow(clippy::cast_possible_truncation)] // a margin
    let margin = 2.5 * slack(gallery.rows.dim()) as f32;
    for local in 0..block {
        let found = shards.clone().flat_map(|shard| shard[local].found.iter().copied()).collect();
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
