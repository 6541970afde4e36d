//! Error rates of scored pairs at any threshold: operating points, equal error rate, ROC and DET points, intervals.
//!
//! A pair is accepted if its score is at least the threshold, so pairs of equal score go together. FMR is the share of
//! non-mated pairs accepted, FNMR the share of mated pairs rejected (ISO/IEC 19795-1). Every distinct score is a candidate
//! threshold, and so is one just above them all.

use rayon::prelude::*;

use crate::pairs::{self, rate};
use crate::{Result, parallel};

/// Which candidate threshold stands for an asked FMR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The lowest whose FMR does not exceed it.
    AtMost,
    /// The one whose FMR is nearest, the larger of two as near, then the lowest threshold: what the field's scripts take
    /// from an ROC curve. Its FMR may exceed the asked one.
    Nearest,
}

/// A threshold and the errors made there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatingPoint {
    /// Scores from here on are accepted.
    pub threshold: f64,
    /// Share of non-mated pairs accepted.
    pub fmr: f64,
    /// Share of mated pairs rejected.
    pub fnmr: f64,
    /// Number of non-mated pairs accepted.
    pub false_matches: usize,
    /// Number of mated pairs rejected.
    pub false_non_matches: usize,
}

/// The scores of both kinds of pairs, sorted.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Ascending.
    mated: Vec<f64>,
    /// Ascending.
    nonmated: Vec<f64>,
}

impl Curve {
    /// Sort scored pairs (a higher score is more alike).
    ///
    /// # Errors
    /// [`crate::Error::Scores`] for a NaN or infinite score, pairs of one kind only, or unequal lengths.
    pub fn new(score: &[f64], mated: &[bool]) -> Result<Self> {
        let count = pairs::check("score", score, mated)?;
        let of_kind = |kind: bool, count: usize| {
            let mut found = Vec::with_capacity(count);
            // -0.0 and 0.0 are one score; sorted by their bits they would be two.
            found.extend(score.iter().zip(mated).filter(|pair| *pair.1 == kind).map(|pair| pair.0 + 0.0));
            sort(&mut found);
            found
        };
        Ok(Self { mated: of_kind(true, count.mated), nonmated: of_kind(false, count.nonmated) })
    }

    /// Number of mated pairs, at least 1.
    #[must_use]
    pub fn mated(&self) -> usize {
        self.mated.len()
    }

    /// Number of non-mated pairs, at least 1.
    #[must_use]
    pub fn nonmated(&self) -> usize {
        self.nonmated.len()
    }

    /// Return the errors at a threshold that was fixed beforehand.
    ///
    /// # Errors
    /// [`crate::Error::Scores`] for NaN.
    pub fn at_threshold(&self, threshold: f64) -> Result<OperatingPoint> {
        if threshold.is_nan() {
            return pairs::fail("a threshold", "NaN");
        }
        Ok(self.point(threshold))
    }

    /// Return the operating point of an asked FMR.
    ///
    /// # Errors
    /// [`crate::Error::Scores`] for a rate outside [0, 1].
    pub fn at_fmr(&self, fmr: f64, policy: Policy) -> Result<OperatingPoint> {
        if !(0.0..=1.0).contains(&fmr) {
            return pairs::fail("a false match rate in [0, 1]", fmr.to_string());
        }
        let all = self.nonmated.len();
        let within = self.point(self.lowest(most(fmr, all)));
        if policy == Policy::AtMost || within.false_matches == all {
            return Ok(within);
        }
        // The next score of a non-mated pair below brings the next larger FMR.
        let next = self.nonmated[all - 1 - within.false_matches];
        let beyond = self.point(self.lowest(all - first_at_least(&self.nonmated, next)));
        Ok(if beyond.fmr - fmr <= fmr - within.fmr { beyond } else { within })
    }

    /// Return the candidate where FMR and FNMR are closest, the highest threshold of equals; the equal error rate is the
    /// mean of the two there.
    #[must_use]
    pub fn equal_error(&self) -> OperatingPoint {
        let gap = |point: &OperatingPoint| (point.fmr - point.fnmr).abs();
        // FMR falls and FNMR rises with the threshold, so their difference changes its sign once.
        let candidates = self.candidates();
        let crossed = candidates.partition_point(|&threshold| {
            let point = self.point(threshold);
            point.fmr > point.fnmr
        });
        let above = self.point(candidates[crossed.min(candidates.len() - 1)]);
        // Further up the gap only grows, but candidates without an error between them share it: take the last of those.
        let above = self.point(self.highest_like(&candidates, crossed, &above));
        match crossed.checked_sub(1).map(|place| self.point(candidates[place])) {
            Some(below) if gap(&below) < gap(&above) => below,
            _ => above,
        }
    }

    /// Return the probability that a mated pair scores above a non-mated one, ties counted half; exact in integers.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // the one rounding, at the end
    pub fn auc(&self) -> f64 {
        let twice = |score: &f64| {
            let below = first_at_least(&self.nonmated, *score);
            let not_above = self.nonmated.partition_point(|other| other <= score);
            (below + not_above) as u128
        };
        let total: u128 = if parallel::available() {
            self.mated.par_iter().map(twice).sum()
        } else {
            self.mated.iter().map(twice).sum()
        };
        total as f64 / (2 * self.mated.len() as u128 * self.nonmated.len() as u128) as f64
    }

    /// Return at most about `count` operating points for a plot, by ascending threshold, evenly spread over the logarithms
    /// of both rates, ends included. Each is a candidate's own: thinning moves none.
    #[must_use]
    pub fn points(&self, count: usize) -> Vec<OperatingPoint> {
        let half = (count / 2).max(2);
        let mut thresholds = vec![self.lowest(self.nonmated.len()), self.lowest(0), self.above_all()];
        for k in spread(self.nonmated.len(), half) {
            thresholds.push(self.lowest(k));
        }
        for k in spread(self.mated.len(), half) {
            thresholds.push(self.mated[k.min(self.mated.len() - 1)]); // the highest that rejects k mated pairs, or fewer
        }
        thresholds.sort_unstable_by(f64::total_cmp);
        let mut points: Vec<OperatingPoint> = thresholds.into_iter().map(|threshold| self.point(threshold)).collect();
        points.dedup_by(|a, b| (a.false_matches, a.false_non_matches) == (b.false_matches, b.false_non_matches));
        points
    }

    fn point(&self, threshold: f64) -> OperatingPoint {
        let false_matches = self.nonmated.len() - first_at_least(&self.nonmated, threshold);
        let false_non_matches = first_at_least(&self.mated, threshold);
        OperatingPoint {
            threshold,
            fmr: rate(false_matches, self.nonmated.len()),
            fnmr: rate(false_non_matches, self.mated.len()),
            false_matches,
            false_non_matches,
        }
    }

    /// The lowest candidate with at most `false_matches` of them.
    fn lowest(&self, false_matches: usize) -> f64 {
        let all = self.nonmated.len();
        if false_matches >= all {
            return self.mated[0].min(self.nonmated[0]);
        }
        let refused = self.nonmated[all - 1 - false_matches];
        let next = |scores: &[f64]| scores.get(scores.partition_point(|score| *score <= refused)).copied();
        match (next(&self.mated), next(&self.nonmated)) {
            (Some(one), Some(other)) => one.min(other),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => self.above_all(),
        }
    }

    fn above_all(&self) -> f64 {
        self.mated[self.mated.len() - 1].max(self.nonmated[self.nonmated.len() - 1]).next_up()
    }

    /// Every candidate threshold, ascending.
    fn candidates(&self) -> Vec<f64> {
        let mut all = [self.mated.as_slice(), self.nonmated.as_slice(), &[self.above_all()]].concat();
        sort(&mut all);
        all.dedup();
        all
    }

    /// The highest candidate from `place` on with the errors of `point`.
    fn highest_like(&self, candidates: &[f64], place: usize, point: &OperatingPoint) -> f64 {
        let gap = (point.fmr - point.fnmr).abs();
        let alike = candidates[place.min(candidates.len() - 1)..].partition_point(|&threshold| {
            let other = self.point(threshold);
            (other.fmr - other.fnmr).abs() <= gap
        });
        candidates[(place + alike).saturating_sub(1).min(candidates.len() - 1)]
    }
}

/// Return the interval of a share of independent trials (Wilson 1927), `z` standard deviations wide on either side.
///
/// Pairs that share a face are not independent: for them it is too narrow, and it says so where it is printed.
///
/// # Errors
/// [`crate::Error::Scores`] for no trials, more errors than trials, or a `z` that is not positive and finite.
pub fn wilson(errors: usize, trials: usize, z: f64) -> Result<(f64, f64)> {
    if trials == 0 || errors > trials {
        return pairs::fail("0 <= errors <= trials, and a trial", format!("{errors} of {trials}"));
    }
    if !(z > 0.0 && z.is_finite()) {
        return pairs::fail("a positive finite number of standard deviations", z.to_string());
    }
    let (share, one) = (rate(errors, trials), rate(1, trials));
    let square = z * z * one;
    let centre = (share + square / 2.0) / (1.0 + square);
    let reach = z * (share * (1.0 - share) * one + square * one / 4.0).sqrt() / (1.0 + square);
    let low = if errors == 0 { 0.0 } else { (centre - reach).max(0.0) };
    let high = if errors == trials { 1.0 } else { (centre + reach).min(1.0) };
    Ok((low, high))
}

fn sort(scores: &mut [f64]) {
    if parallel::available() {
        scores.par_sort_unstable_by(f64::total_cmp);
    } else {
        scores.sort_unstable_by(f64::total_cmp);
    }
}

fn first_at_least(scores: &[f64], threshold: f64) -> usize {
    scores.partition_point(|score| *score < threshold)
}

/// The largest k with k / all <= share.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // a first guess
pub(crate) fn most(share: f64, all: usize) -> usize {
    let mut k = ((share * all as f64) as usize).min(all);
    while k < all && rate(k + 1, all) <= share {
        k += 1;
    }
    while k > 0 && rate(k, all) > share {
        k -= 1;
    }
    k
}

/// Whole numbers from 1 to `all`, `count` of them or fewer, about evenly spread over their logarithms.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // of a plot's marks
fn spread(all: usize, count: usize) -> impl Iterator<Item = usize> {
    let step = (all as f64).ln() / (count - 1) as f64;
    (0..count).map(move |i| ((step * i as f64).exp().round() as usize).clamp(1, all))
}
