//! Error rates of scored pairs at any threshold: operating points, equal error rate, ROC and DET points, intervals.
//!
//! A pair is accepted if its score is at least the threshold, so pairs of equal score go together. FMR is the share of
//! non-mated pairs accepted, FNMR the share of mated pairs rejected (ISO/IEC 19795-1). Every distinct score is a candidate
//! threshold, and so is one just above them all.

use rayon::prelude::*;

use crate::pairs::{self, rate};
use crate::rates::{self, Errors, Ranked, check_asked};
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
        check_asked(&[], &[threshold])?;
        Ok(self.errors().point(threshold))
    }

    /// Return the operating point of an asked FMR.
    ///
    /// # Errors
    /// [`crate::Error::Scores`] for a rate outside [0, 1].
    pub fn at_fmr(&self, fmr: f64, policy: Policy) -> Result<OperatingPoint> {
        check_asked(&[fmr], &[])?;
        Ok(self.errors().at_fmr(fmr, policy))
    }

    /// Return the candidate where FMR and FNMR are closest, the higher of two as close; the equal error rate is the mean
    /// of the two there.
    #[must_use]
    pub fn equal_error(&self) -> OperatingPoint {
        self.errors().equal_error()
    }

    /// Return the probability that a mated pair scores above a non-mated one, ties counted half; exact in integers.
    #[must_use]
    pub fn auc(&self) -> f64 {
        let twice = |score: &f64| (self.nonmated.below(*score) + self.nonmated.not_above(*score)) as u128;
        let total: u128 = if parallel::available() {
            self.mated.par_iter().map(twice).sum()
        } else {
            self.mated.iter().map(twice).sum()
        };
        rates::auc(total, self.mated.len(), self.nonmated.len())
    }

    /// Return at most about `count` operating points for a plot, by ascending threshold, evenly spread over the logarithms
    /// of both rates, ends included. Each is a candidate's own: thinning moves none.
    #[must_use]
    pub fn points(&self, count: usize) -> Vec<OperatingPoint> {
        let (half, errors) = ((count / 2).max(2), self.errors());
        let mut thresholds = vec![errors.lowest(self.nonmated.len()), errors.lowest(0), errors.above_all()];
        for k in spread(self.nonmated.len(), half) {
            thresholds.push(errors.lowest(k));
        }
        for k in spread(self.mated.len(), half) {
            thresholds.push(self.mated[k.min(self.mated.len() - 1)]); // the highest that rejects k mated pairs, or fewer
        }
        thresholds.sort_unstable_by(f64::total_cmp);
        let mut points: Vec<OperatingPoint> = thresholds.into_iter().map(|threshold| errors.point(threshold)).collect();
        points.dedup_by(|a, b| (a.false_matches, a.false_non_matches) == (b.false_matches, b.false_non_matches));
        points
    }

    fn errors(&self) -> Errors<'_, [f64]> {
        Errors { mated: &self.mated, nonmated: &self.nonmated }
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

pub(crate) fn sort(scores: &mut [f64]) {
    if parallel::available() {
        scores.par_sort_unstable_by(f64::total_cmp);
    } else {
        scores.sort_unstable_by(f64::total_cmp);
    }
}

/// Whole numbers from 1 to `all`, `count` of them or fewer, each once, about evenly spread over their logarithms.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // where a plot has its marks is no figure
fn spread(all: usize, count: usize) -> impl Iterator<Item = usize> {
    // From all ln(all) steps on they leave none out.
    let count = count.min(all.saturating_mul(all.ilog2() as usize + 2).max(2));
    let step = (all as f64).ln() / (count - 1) as f64;
    let mut last = 0;
    (0..count)
        .map(move |i| ((step * i as f64).exp().round() as usize).clamp(1, all))
        .filter(move |k| std::mem::replace(&mut last, *k) != *k)
}
