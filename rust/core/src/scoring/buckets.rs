//! Scores known by their bucket, and exactly where a question asks for more.

use std::cell::RefCell;

use crate::rates::Ranked;
use crate::wide::widest;
use crate::{Error, Result};

/// Buckets over [-1, 1] are numbered from 1; 0 is for what does not count.
pub const COUNT: usize = 1 << 16;

/// Entries computed exactly at most: as many within rounding of a threshold mean that scores are alike by design.
pub const MOST: usize = 1 << 22;

const SCALE: f32 = 32_000.0; // a little wider than [-1, 1], for rounding
const MIDDLE: f32 = 32_769.0;

/// The score of what does not count.
pub const NONE: f32 = f32::NEG_INFINITY;

/// Return the bucket of a score, 0 for [`NONE`]. Never falls as the score rises.
#[inline(always)]
pub fn bucket(score: f32) -> u32 {
    // The nearest whole number, read off the mantissa: what every processor has wide instructions for.
    const WHOLE: f32 = 8_388_608.0;
    ((score * SCALE + MIDDLE).clamp(0.0, 65_535.0) + WHOLE).to_bits() & 0x7F_FFFF
}

/// No scores yet, by bucket.
pub fn empty() -> Vec<u64> {
    vec![0; COUNT + 1]
}

/// Add what another thread has counted.
pub fn add(sum: &mut [u64], counts: &[u64]) {
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

/// Put the buckets of some scores into `out`; return the lowest and the highest.
pub fn of_all(scores: &[f32], out: &mut Vec<u32>) -> (u32, u32) {
    out.resize(scores.len(), 0);
    widest(
        #[inline(always)]
        || {
            out.iter_mut().zip(scores).for_each(|(out, score)| *out = bucket(*score));
            out.iter().fold((u32::MAX, 0), |span, bucket| (span.0.min(*bucket), span.1.max(*bucket)))
        },
    )
}

fn width() -> f64 {
    1.0 / f64::from(SCALE)
}

/// The lower edge of a bucket; single precision moves it by less than a hundredth of the width.
#[allow(clippy::cast_precision_loss)] // a bucket's number is below 2^17
fn edge(bucket: usize) -> f64 {
    (bucket as f64 - 0.5 - f64::from(MIDDLE)) * width()
}

/// A score below which no pair of a bucket lies in single precision.
pub fn floor(bucket: usize) -> f64 {
    edge(bucket) - width() / 64.0
}

/// A stretch of buckets and those that reach into it by as much as `margin`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most a few times the number of buckets
pub fn widened((from, to): (usize, usize), margin: f64) -> (usize, usize) {
    let wide = (margin / width()).ceil() as usize;
    (from.saturating_sub(wide).max(1), (to + wide).min(COUNT + 1))
}

/// A pair whose cosine is known exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    pub bucket: u32,
    pub first: u32,
    pub second: u32,
    pub score: f64,
}

/// All pairs of some neighbouring buckets, by ascending score.
struct Stretch {
    from: usize,
    to: usize,
    pairs: Vec<Known>,
}

/// Scores counted by bucket.
pub struct Bucketed {
    /// Number of scores in the buckets below, from bucket 0.
    start: Vec<usize>,
    slack: f64,
    stretches: Vec<Stretch>,
    asked: RefCell<Vec<(usize, usize)>>,
}

impl Bucketed {
    /// Take the number of scores in each bucket, of which those in bucket 0 do not count; `slack` is how far a score may
    /// lie from the exact one.
    pub fn new(counts: &[u64], slack: f64) -> Self {
        let mut start = vec![0, 0];
        for count in &counts[1..] {
            start.push(start[start.len() - 1] + usize::try_from(*count).unwrap_or(usize::MAX));
        }
        Self { start, slack: slack + width() / 64.0, stretches: Vec::new(), asked: RefCell::new(Vec::new()) }
    }

    /// Answer a question; what it needs exactly is gathered first. `gather` gets a flag a bucket, and returns all pairs of
    /// the buckets whose flag is set.
    pub fn ask<T>(&mut self, question: impl Fn(&Self) -> T, gather: impl Fn(&[bool]) -> Vec<Known>) -> Result<T> {
        loop {
            let answer = question(self);
            let asked = merged(&self.asked.take());
            if asked.is_empty() {
                return Ok(answer);
            }
            let total = self.within(&asked);
            if total > MOST {
                return too_many(total);
            }
            self.learn(&asked, gather(&flags(&asked)));
        }
    }

    /// Take note of all pairs of some stretches of buckets.
    pub fn learn(&mut self, asked: &[(usize, usize)], mut pairs: Vec<Known>) {
        pairs.sort_unstable_by(|a, b| a.score.total_cmp(&b.score).then((a.first, a.second).cmp(&(b.first, b.second))));
        for &(from, to) in asked {
            let here = |pair: &&Known| (from..to).contains(&(pair.bucket as usize));
            self.stretches.push(Stretch { from, to, pairs: pairs.iter().filter(here).copied().collect() });
        }
    }

    /// The pairs of the highest `count` scores, highest first, the lower numbers of equals first.
    pub fn highest(&self, count: usize) -> Vec<Known> {
        let all = self.count();
        let wanted = all - count.min(all);
        if wanted == all {
            return Vec::new();
        }
        self.at(wanted); // asks for its stretch
        let from = self.reach(self.bucket_of_rank(wanted)).0;
        let whole = |stretch: &&Stretch| stretch.from <= from && self.start[stretch.to] == all;
        let Some(stretch) = self.stretches.iter().find(whole) else {
            self.asked.borrow_mut().push((from, COUNT + 1));
            return Vec::new();
        };
        let mut found = stretch.pairs.clone();
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then((a.first, a.second).cmp(&(b.first, b.second))));
        found.truncate(count);
        found
    }

    /// The stretch of buckets that can hold the exact score of a rank.
    pub fn stretch_of_rank(&self, rank: usize) -> (usize, usize) {
        self.reach(self.bucket_of_rank(rank))
    }

    /// The stretch of buckets around a score.
    pub fn stretch_of_score(&self, score: f64) -> (usize, usize) {
        self.reach(Self::bucket_of(score))
    }

    /// Number of scores in some stretches, which do not overlap.
    pub fn within(&self, stretches: &[(usize, usize)]) -> usize {
        stretches.iter().map(|(from, to)| self.start[*to] - self.start[*from]).sum()
    }

    fn bucket_of_rank(&self, rank: usize) -> usize {
        self.start.partition_point(|start| *start <= rank) - 1
    }

    /// The buckets that hold every pair whose exact score may lie in a bucket, and all pairs that may lie among those.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 4 at 512 numbers a row, 400 at 100,000
    fn reach(&self, bucket: usize) -> (usize, usize) {
        let wide = (2.0 * self.slack / width()).ceil() as usize + 1;
        (bucket.saturating_sub(wide).max(1), (bucket + wide + 1).min(COUNT + 1))
    }

    fn bucket_of(score: f64) -> usize {
        #[allow(clippy::cast_possible_truncation)] // the bucket may be the next one, for which `reach` has room
        let score = score as f32;
        bucket(score) as usize
    }

    /// Note that a bucket must be known exactly.
    fn note(&self, bucket: usize) {
        let (mut from, mut to) = self.reach(bucket);
        while self.stretches.iter().any(|stretch| stretch.from <= from && to <= stretch.to) {
            (from, to) = (from.saturating_sub(to - from).max(1), (to + (to - from)).min(COUNT + 1));
            if (from, to) == (1, COUNT + 1) {
                break;
            }
        }
        self.asked.borrow_mut().push((from, to));
    }

    /// Whether all pairs with an exact score on the other side lie on the other side of the stretch, too.
    fn holds(&self, stretch: &Stretch, score: f64) -> bool {
        (self.start[stretch.from] == 0 || score >= edge(stretch.from) + self.slack)
            && (self.start[stretch.to] == self.count() || score < edge(stretch.to) - self.slack)
    }

    fn rank(&self, score: f64, rough: bool, before: impl Fn(&Known) -> bool) -> usize {
        if let Some(stretch) = self.stretches.iter().find(|stretch| self.holds(stretch, score)) {
            return self.start[stretch.from] + stretch.pairs.partition_point(before);
        }
        let bucket = Self::bucket_of(score);
        let (from, to) = self.reach(bucket);
        if !rough && self.start[from] != self.start[to] {
            self.note(bucket);
        }
        self.start[bucket]
    }

    fn score(&self, rank: usize, rough: bool) -> f64 {
        for stretch in &self.stretches {
            let start = self.start[stretch.from];
            if (start..start + stretch.pairs.len()).contains(&rank) {
                let score = stretch.pairs[rank - start].score;
                if self.holds(stretch, score) {
                    return score;
                }
            }
        }
        let bucket = self.bucket_of_rank(rank);
        if !rough {
            self.note(bucket);
        }
        edge(bucket) + width() / 2.0
    }
}

impl Ranked for Bucketed {
    fn count(&self) -> usize {
        self.start[COUNT + 1]
    }

    fn at(&self, rank: usize) -> f64 {
        self.score(rank, false)
    }

    fn below(&self, threshold: f64) -> usize {
        self.rank(threshold, false, |pair| pair.score < threshold)
    }

    fn not_above(&self, score: f64) -> usize {
        self.rank(score, false, |pair| pair.score <= score)
    }

    fn near(&self, rank: usize) -> f64 {
        self.score(rank, true)
    }

    fn about_below(&self, threshold: f64) -> usize {
        self.rank(threshold, true, |pair| pair.score < threshold)
    }

    fn settled(&self) -> bool {
        self.asked.borrow().is_empty()
    }
}

/// Return a flag a bucket, set in some stretches.
pub fn flags(stretches: &[(usize, usize)]) -> Vec<bool> {
    let mut flags = vec![false; COUNT + 1];
    for (from, to) in stretches {
        flags[*from..*to].fill(true);
    }
    flags
}

/// Refuse to compute so many exactly.
fn too_many<T>(total: usize) -> Result<T> {
    Err(Error::Data {
        expected: format!("at most {MOST} pairs within rounding of a threshold or in the tail"),
        got: format!("{total}: ask for a lower rate or a shorter tail, or give fewer embeddings"),
    })
}

/// Return overlapping and touching stretches as one.
pub fn merged(stretches: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut sorted = stretches.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (from, to) in sorted {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}
