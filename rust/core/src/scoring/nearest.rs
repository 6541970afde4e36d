//! The nearest of a gallery, where the processor multiplies bytes: who may be among them by products of bytes, and the
//! order of those by cosines in double precision.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::bytes::{COLUMNS, Maker, ROWS, Tile};
use super::coarse::{self, Columns, Rows};
use super::embeddings::Exact;
use super::search::Found;
use crate::{Result, parallel};

/// Groups of probes that a thread takes on at once.
const GROUPS: usize = 20;

/// Blocks of probes whose answers are held at once.
const ROUND: usize = 64;

/// Pieces of work for each thread, at least, while the gallery has enough panels.
const PIECES: usize = 4;

/// Candidates in double precision cost as much as so many products: with more of them than that the bytes gain nothing.
const COST: usize = 16;

/// A search by products of bytes.
pub struct Coarse<'a> {
    maker: Maker,
    probes: Rows,
    gallery: Columns,
    exact: (Exact<'a>, Exact<'a>),
    count: usize,
    /// Whether too many are alike.
    given_up: AtomicBool,
}

/// Whether a search is worth a try.
pub fn pays(dim: usize, gallery: usize, count: usize) -> bool {
    coarse::fits(dim) && count <= gallery / 64
}

impl<'a> Coarse<'a> {
    /// Take probes, gallery and how many of it are asked for, of those that [`pays`] is true for.
    pub fn new(maker: Maker, probes: Exact<'a>, gallery: Exact<'a>, count: usize) -> Result<Self> {
        let dim = gallery.rows.dim();
        let direction =
            |side: Exact<'a>| move |place: usize, out: &mut [f32]| side.rows.direction(side.squares, place, out);
        Ok(Self {
            maker,
            probes: Rows::new(probes.rows.len(), dim, false, direction(probes))?,
            gallery: Columns::new(gallery.rows.len(), dim, false, direction(gallery))?,
            exact: (probes, gallery),
            count,
            given_up: AtomicBool::new(false),
        })
    }

    /// Add the nearest of every probe to `out`; return whether that was done, which it is not where too many are alike.
    pub fn search(&self, out: &mut Vec<Found>) -> bool {
        let before = out.len();
        let probes = self.exact.0.rows.len();
        let blocks: Vec<Range<usize>> = (0..probes.div_ceil(ROWS))
            .step_by(GROUPS)
            .map(|group| group * ROWS..((group + GROUPS) * ROWS).min(probes))
            .collect();
        for blocks in blocks.chunks(ROUND) {
            let shards = self.shards(blocks.len());
            let work = blocks.iter().flat_map(|block| shards.iter().map(move |shard| (block.clone(), shard.clone())));
            let found =
                parallel::ordered(work.collect(), Tile::new, |tile, (block, shard)| self.block(tile, block, shard));
            let Some(found) = found.into_iter().collect::<Option<Vec<_>>>() else {
                out.truncate(before);
                return false;
            };
            for shards in found.chunks_exact(shards.len()) {
                for probe in 0..shards[0].len() {
                    let found = shards.iter().flat_map(|shard| shard[probe].iter().copied()).collect();
                    out.extend(best(found, self.count));
                }
            }
        }
        true
    }

    /// Return parts of the gallery: few, for the best of one part tell who need not be looked at in the next.
    fn shards(&self, blocks: usize) -> Vec<Range<usize>> {
        let panels = self.exact.1.rows.len().div_ceil(COLUMNS);
        let parts = (PIECES * parallel::threads()).div_ceil(blocks).min(panels);
        let size = panels.div_ceil(parts);
        (0..panels).step_by(size).map(|start| start..(start + size).min(panels)).collect()
    }

    /// Return the nearest among some panels of each of some probes, nearest first; none where too many are alike.
    fn block(&self, tile: &mut Tile, probes: Range<usize>, panels: Range<usize>) -> Option<Vec<Vec<Found>>> {
        let score = |probe: usize| {
            let (rows, gallery) = &self.exact;
            move |index: u32| rows.to(probe, gallery, index as usize)
        };
        let mut lists: Vec<Shortlist> = probes.clone().map(|_| Shortlist::new(self.count)).collect();
        let mut products = 0;
        for panel in panels {
            let held = (self.exact.1.rows.len() - panel * COLUMNS).min(COLUMNS);
            for (group, lists) in (probes.start / ROWS..).zip(lists.chunks_mut(ROWS)) {
                self.tile(tile, group, panel, lists, u64::MAX >> (COLUMNS - held));
                for (probe, list) in (group * ROWS..).zip(lists) {
                    if list.found.len() >= list.room {
                        list.prune(self.count, score(probe));
                    }
                }
            }
            products += held * probes.len();
            // Those that are held will be scored; this bounds memory, too.
            let scored: usize = lists.iter().map(|list| list.scored + list.found.len()).sum();
            if scored > products / COST + 2 * room(self.count) * probes.len() {
                self.given_up.store(true, Ordering::Relaxed);
            }
            if self.given_up.load(Ordering::Relaxed) {
                return None;
            }
        }
        Some(probes.zip(lists).map(|(probe, list)| list.finish(self.count, score(probe))).collect())
    }

    /// Add who of a panel may be among the nearest of a group of probes; `held` has a bit for each column there is.
    #[allow(clippy::cast_possible_truncation)] // a gallery has at most 2^31 rows
    fn tile(&self, tile: &mut Tile, group: usize, panel: usize, lists: &mut [Shortlist], held: u64) {
        let bound = |place: usize| self.probes.bound(group * ROWS + place, &self.gallery, panel);
        let mut least = [i32::MAX; ROWS];
        for (place, list) in lists.iter().enumerate() {
            least[place] = bound(place).least(list.least);
        }
        if !self.maker.multiply([(self.probes.group(group), self.gallery.panel(panel))], &least, tile) {
            return;
        }
        for (place, list) in lists.iter_mut().enumerate() {
            let mut hits = tile.hits[place] & held;
            let bound = bound(place);
            while hits != 0 {
                let column = hits.trailing_zeros() as usize;
                hits &= hits - 1;
                let most = bound.estimate(tile.sums[place][column]) + bound.margin;
                list.found.push(Candidate { most, index: (panel * COLUMNS + column) as u32, exact: false });
            }
        }
    }
}

/// Who may be among the nearest.
#[derive(Clone, Copy)]
struct Candidate {
    /// The most that the cosine can be; the cosine itself if `exact`.
    most: f64,
    index: u32,
    exact: bool,
}

/// Candidates of one probe.
struct Shortlist {
    /// None below it can be among the nearest.
    least: f64,
    found: Vec<Candidate>,
    /// How many to hold before the next look at who can go.
    room: usize,
    /// How many were scored in double precision.
    scored: usize,
}

impl Shortlist {
    fn new(count: usize) -> Self {
        Self { least: f64::NEG_INFINITY, found: Vec::new(), room: room(count), scored: 0 }
    }

    /// Forget who cannot be among the nearest any more: the most promising are scored, and tell what it takes.
    fn prune(&mut self, count: usize, score: impl Fn(u32) -> f64) {
        if self.found.len() > count {
            self.found.select_nth_unstable_by(count - 1, |a, b| b.most.total_cmp(&a.most));
            self.scored += settle(&mut self.found[..count], score);
            let mut exact: Vec<f64> = self.found.iter().filter(|one| one.exact).map(|one| one.most).collect();
            let (_, least, _) = exact.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
            self.least = self.least.max(*least);
            self.found.retain(|one| one.most >= self.least);
        }
        self.room = self.room.max(2 * self.found.len()); // where many are alike
    }

    fn finish(mut self, count: usize, score: impl Fn(u32) -> f64) -> Vec<Found> {
        self.prune(count, &score);
        settle(&mut self.found, score);
        best(self.found.iter().map(|one| Found { index: one.index, score: one.most }).collect(), count)
    }
}

/// How many candidates to hold before a first look at who can go.
fn room(count: usize) -> usize {
    4 * count + COLUMNS
}

/// Score candidates in double precision; return how many were not before.
fn settle(candidates: &mut [Candidate], score: impl Fn(u32) -> f64) -> usize {
    let mut scored = 0;
    for one in candidates.iter_mut().filter(|one| !one.exact) {
        (one.most, one.exact) = (score(one.index), true);
        scored += 1;
    }
    scored
}

/// Return the best, best first, the lower number of equals first.
fn best(mut found: Vec<Found>, count: usize) -> Vec<Found> {
    found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
    found.truncate(count);
    found
}
