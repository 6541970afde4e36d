//! Error rates over all thresholds: TAR at FAR, equal error rate, area under the ROC curve.
//!
//! A pair is accepted if its score is at least the threshold. Pairs of equal score are accepted or rejected together.
//! Every distinct score is a candidate threshold, and so is one above them all.

use crate::Result;
use crate::curve::{Curve, Policy};
use crate::pairs::rate;

/// What [`error_rates`] returns.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorRates {
    /// Share of mated pairs accepted, for each asked FAR.
    pub tar_at_far: Vec<f64>,
    /// The lowest threshold that keeps to each asked FAR.
    pub threshold: Vec<f64>,
    /// Number of non-mated pairs accepted there.
    pub false_matches: Vec<usize>,
    /// (FMR + FNMR) / 2 where the two are closest.
    pub eer: f64,
    /// The threshold of `eer`, the highest of equals.
    pub eer_threshold: f64,
    /// Probability that a mated pair scores above a non-mated one, ties counted half.
    pub auc: f64,
}

/// Return the error rates of scored pairs (a higher score is more alike).
///
/// The policy for each entry of `far` is "at most": the real false accept rate never exceeds the asked one. Where even
/// the best-scored pairs would exceed it, nothing is accepted and the threshold lies just above the highest score.
///
/// # Errors
/// [`crate::Error::Scores`] for a NaN or infinite score, pairs of one kind only, unequal lengths, or a rate outside [0, 1].
pub fn error_rates(score: &[f64], mated: &[bool], far: &[f64]) -> Result<ErrorRates> {
    let curve = Curve::new(score, mated)?;
    let chosen = far.iter().map(|&far| curve.at_fmr(far, Policy::AtMost)).collect::<Result<Vec<_>>>()?;
    let equal = curve.equal_error();
    Ok(ErrorRates {
        tar_at_far: chosen.iter().map(|point| rate(curve.mated() - point.false_non_matches, curve.mated())).collect(),
        threshold: chosen.iter().map(|point| point.threshold).collect(),
        false_matches: chosen.iter().map(|point| point.false_matches).collect(),
        eer: f64::midpoint(equal.fmr, equal.fnmr),
        eer_threshold: equal.threshold,
        auc: curve.auc(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_accepted_together() {
        // At 0.5 stand one mated and two non-mated pairs: FAR jumps from 0 to 2/4.
        let score = [0.9, 0.5, 0.5, 0.5, 0.1, 0.0];
        let mated = [true, true, false, false, false, false];
        let rates = error_rates(&score, &mated, &[0.0, 0.25, 0.5, 1.0]).unwrap();
        assert_eq!(rates.tar_at_far, [0.5, 0.5, 1.0, 1.0]);
        assert_eq!(rates.threshold, [0.9, 0.9, 0.5, 0.0]);
        assert_eq!(rates.false_matches, [0, 0, 2, 4]);
        assert_eq!((rates.eer, rates.eer_threshold), (0.25, 0.9));
        assert!((rates.auc - 7.0 / 8.0).abs() < 1e-15);
    }

    #[test]
    fn nothing_is_accepted_where_the_best_pair_is_false() {
        let rates = error_rates(&[1.0, 0.5], &[false, true], &[0.1]).unwrap();
        assert_eq!((rates.tar_at_far[0], rates.false_matches[0], rates.threshold[0]), (0.0, 0, 1.0f64.next_up()));
        assert_eq!((rates.eer, rates.auc), (1.0, 0.0));
    }

    #[test]
    fn bad_input_is_named() {
        let message = |score: &[f64], mated: &[bool], far| error_rates(score, mated, &[far]).unwrap_err().to_string();
        assert!(message(&[0.1, f64::NAN], &[true, false], 0.1).contains("NaN at position 1"));
        assert!(message(&[0.1, f64::INFINITY], &[true, false], 0.1).contains("inf at position 1"));
        assert!(message(&[0.1, 0.2], &[true, true], 0.1).contains("2 mated and 0 non-mated"));
        assert!(message(&[0.1, 0.2], &[true], 0.1).contains("1 and 2"));
        assert!(message(&[0.1, 0.2], &[true, false], f64::NAN).contains("[0, 1], got NaN"));
        assert!(message(&[], &[], 0.1).contains("0 mated and 0 non-mated"));
    }
}
