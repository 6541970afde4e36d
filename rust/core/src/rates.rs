//! The arithmetic of operating points over sorted scores, however those are held.
//!
//! A pair is accepted if its score is at least the threshold, so pairs of equal score go together. Every distinct score
//! is a candidate threshold, and so is one just above them all.

use crate::Result;
use crate::curve::{OperatingPoint, Policy};
use crate::pairs::{self, rate};

/// Refuse false match rates outside [0, 1], and thresholds that are NaN.
///
/// # Errors
/// [`crate::Error::Scores`] for one of those.
pub fn check_asked(fmrs: &[f64], thresholds: &[f64]) -> Result<()> {
    if let Some(fmr) = fmrs.iter().find(|fmr| !(0.0..=1.0).contains(*fmr)) {
        return pairs::fail("a false match rate in [0, 1]", fmr.to_string());
    }
    if thresholds.iter().any(|threshold| threshold.is_nan()) {
        return pairs::fail("a threshold", "NaN");
    }
    Ok(())
}

/// Return the AUC from twice the number of times that a mated pair lies above a non-mated one, ties counted once.
#[allow(clippy::cast_precision_loss)] // the one rounding of an exact count
pub fn auc(twice_above: u128, mated: usize, nonmated: usize) -> f64 {
    twice_above as f64 / (2 * mated as u128 * nonmated as u128) as f64
}

/// Scores of non-mated pairs by ascending rank.
pub trait Ranked {
    /// How many there are.
    fn count(&self) -> usize;
    /// The score of a rank.
    fn at(&self, rank: usize) -> f64;
    /// How many lie below a threshold.
    fn below(&self, threshold: f64) -> usize;
    /// How many do not lie above a score.
    fn not_above(&self, score: f64) -> usize;
    /// As `at`, near enough to tell on which side of a far threshold the score lies.
    fn near(&self, rank: usize) -> f64 {
        self.at(rank)
    }
    /// As `below`, near enough to tell which of two rates is larger where they differ much.
    fn about_below(&self, threshold: f64) -> usize {
        self.below(threshold)
    }
    /// Whether every answer of `at`, `below` and `not_above` so far was exact.
    fn settled(&self) -> bool {
        true
    }
}

impl Ranked for [f64] {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, rank: usize) -> f64 {
        self[rank]
    }

    fn below(&self, threshold: f64) -> usize {
        self.partition_point(|score| *score < threshold)
    }

    fn not_above(&self, score: f64) -> usize {
        self.partition_point(|other| *other <= score)
    }
}

/// Scores of both kinds of pairs.
pub struct Errors<'a, R: ?Sized> {
    /// Ascending; without any, every FNMR is NaN.
    pub mated: &'a [f64],
    /// At least one.
    pub nonmated: &'a R,
}

impl<R: Ranked + ?Sized> Errors<'_, R> {
    /// The errors at a threshold.
    pub fn point(&self, threshold: f64) -> OperatingPoint {
        let all = self.nonmated.count();
        let false_matches = all - self.nonmated.below(threshold);
        let false_non_matches = self.mated.below(threshold);
        OperatingPoint {
            threshold,
            fmr: rate(false_matches, all),
            fnmr: rate(false_non_matches, self.mated.len()),
            false_matches,
            false_non_matches,
        }
    }

    /// The operating point of an asked FMR in [0, 1].
    pub fn at_fmr(&self, fmr: f64, policy: Policy) -> OperatingPoint {
        let all = self.nonmated.count();
        let within = self.point(self.lowest(most(fmr, all)));
        if policy == Policy::AtMost || within.false_matches == all {
            return within;
        }
        // The next score of a non-mated pair below brings the next larger FMR.
        let next = self.nonmated.at(all - 1 - within.false_matches);
        let beyond = self.point(self.lowest(all - self.nonmated.below(next)));
        if beyond.fmr - fmr <= fmr - within.fmr { beyond } else { within }
    }

    /// The candidate where FMR and FNMR are closest, the higher of two as close.
    pub fn equal_error(&self) -> OperatingPoint {
        // From one candidate to the next a pair more is rejected, so FMR - FNMR falls with each and crosses zero once.
        let (own, other) = (self.crossing_of_mated(), self.crossing_of_nonmated());
        let mated = |place: usize| self.mated.get(place).copied();
        let nonmated = |rank: usize| (rank < self.nonmated.count()).then(|| self.nonmated.at(rank));
        let either = |one: Option<f64>, two: Option<f64>, pick: fn(f64, f64) -> f64| match (one, two) {
            (Some(one), Some(two)) => Some(pick(one, two)),
            (one, two) => one.or(two),
        };
        let above = either(mated(own), nonmated(other), f64::min).unwrap_or_else(|| self.above_all());
        let above = self.point(above);
        let last = |place: usize| place.checked_sub(1);
        let below = either(last(own).and_then(mated), last(other).and_then(nonmated), f64::max);
        let gap = |point: &OperatingPoint| {
            let (fmr, fnmr) = self.over_one_denominator(point.false_matches, point.false_non_matches);
            fmr.abs_diff(fnmr)
        };
        match below.map(|threshold| self.point(threshold)) {
            Some(below) if gap(&below) < gap(&above) => below,
            _ => above,
        }
    }

    /// The first mated score at which FMR does not exceed FNMR.
    fn crossing_of_mated(&self) -> usize {
        let mut place = self.mated.partition_point(|&score| !self.crossed(score, self.nonmated.about_below(score)));
        let exactly = |place: usize| self.crossed(self.mated[place], self.nonmated.below(self.mated[place]));
        while place > 0 && exactly(place - 1) && self.nonmated.settled() {
            place -= 1;
        }
        while place < self.mated.len() && !exactly(place) && self.nonmated.settled() {
            place += 1;
        }
        place
    }

    /// The first non-mated rank at whose score FMR does not exceed FNMR.
    fn crossing_of_nonmated(&self) -> usize {
        let (mut low, mut high) = (0, self.nonmated.count());
        while low < high {
            let middle = usize::midpoint(low, high);
            let score = self.nonmated.near(middle);
            let crossed = self.crossed(score, self.nonmated.about_below(score));
            (low, high) = if crossed { (low, middle) } else { (middle + 1, high) };
        }
        let exactly = |rank: usize| {
            let score = self.nonmated.at(rank);
            self.crossed(score, self.nonmated.below(score))
        };
        while low > 0 && exactly(low - 1) && self.nonmated.settled() {
            low -= 1;
        }
        while low < self.nonmated.count() && !exactly(low) && self.nonmated.settled() {
            low += 1;
        }
        low
    }

    /// Whether FMR does not exceed FNMR at a threshold that `below` non-mated scores lie below.
    fn crossed(&self, threshold: f64, below: usize) -> bool {
        let (fmr, fnmr) = self.over_one_denominator(self.nonmated.count() - below, self.mated.below(threshold));
        fmr <= fnmr
    }

    /// FMR and FNMR times the same number, exactly: rates that are as close may not be so once they are rounded.
    fn over_one_denominator(&self, false_matches: usize, false_non_matches: usize) -> (u128, u128) {
        let times = |errors: usize, others: usize| errors as u128 * others as u128;
        (times(false_matches, self.mated.len()), times(false_non_matches, self.nonmated.count()))
    }

    /// The lowest candidate with at most `false_matches` of them.
    pub fn lowest(&self, false_matches: usize) -> f64 {
        let all = self.nonmated.count();
        if false_matches >= all {
            let lowest = self.nonmated.at(0);
            return self.mated.first().map_or(lowest, |score| score.min(lowest));
        }
        self.next(self.nonmated.at(all - 1 - false_matches)).unwrap_or_else(|| self.above_all())
    }

    /// The candidate just above every score.
    pub fn above_all(&self) -> f64 {
        let highest = self.nonmated.at(self.nonmated.count() - 1);
        self.mated.last().map_or(highest, |score| score.max(highest)).next_up()
    }

    /// The lowest score above one of a non-mated pair.
    fn next(&self, score: f64) -> Option<f64> {
        let rank = self.nonmated.not_above(score);
        let other = (rank < self.nonmated.count()).then(|| self.nonmated.at(rank));
        let own = self.mated.get(self.mated.not_above(score)).copied();
        match (own, other) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        }
    }
}

/// The largest k with k / all <= share.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // a first guess, mended below
pub fn most(share: f64, all: usize) -> usize {
    let mut k = ((share * all as f64) as usize).min(all);
    while k < all && rate(k + 1, all) <= share {
        k += 1;
    }
    while k > 0 && rate(k, all) > share {
        k -= 1;
    }
    k
}
