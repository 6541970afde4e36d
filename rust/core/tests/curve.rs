//! Operating points against brute force over every candidate threshold.

use proptest::prelude::*;
use sdx_core::curve::{Curve, OperatingPoint, Policy, wilson};

/// Few distinct values, so that ties are common; at least one pair of each kind.
fn pairs() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    prop::collection::vec((-20_i8..20, any::<bool>()), 2..60).prop_map(|pairs| {
        let scores = pairs.iter().map(|pair| f64::from(pair.0) * 0.1).collect();
        let mut mated: Vec<bool> = pairs.iter().map(|pair| pair.1).collect();
        (mated[0], mated[1]) = (true, false);
        (scores, mated)
    })
}

/// Every candidate from the lowest, by counting.
#[allow(clippy::cast_precision_loss)]
fn brute(scores: &[f64], mated: &[bool]) -> Vec<OperatingPoint> {
    let highest = scores.iter().copied().fold(f64::MIN, f64::max);
    let mut thresholds: Vec<f64> = scores.iter().map(|score| score + 0.0).chain([highest.next_up()]).collect();
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    let of = |kind: bool| mated.iter().filter(|&&is| is == kind).count();
    let point = |threshold: f64| {
        let pairs = || scores.iter().zip(mated);
        let false_matches = pairs().filter(|pair| !pair.1 && *pair.0 >= threshold).count();
        let false_non_matches = pairs().filter(|pair| *pair.1 && *pair.0 < threshold).count();
        OperatingPoint {
            threshold,
            fmr: false_matches as f64 / of(false) as f64,
            fnmr: false_non_matches as f64 / of(true) as f64,
            false_matches,
            false_non_matches,
        }
    };
    thresholds.into_iter().map(point).collect()
}

proptest! {
    #[test]
    fn at_most_is_the_lowest_threshold_that_keeps_to_it((scores, mated) in pairs(), fmr in (0_i32..=1_000_000).prop_map(|part| f64::from(part) / 1e6)) {
        let curve = Curve::new(&scores, &mated).unwrap();
        let expected = brute(&scores, &mated).into_iter().find(|point| point.fmr <= fmr).unwrap();
        prop_assert_eq!(curve.at_fmr(fmr, Policy::AtMost).unwrap(), expected);
    }

    #[test]
    fn nearest_is_what_a_search_over_the_roc_finds((scores, mated) in pairs(), fmr in (0_i32..=1_000_000).prop_map(|part| f64::from(part) / 1e6)) {
        let curve = Curve::new(&scores, &mated).unwrap();
        let far = |point: &OperatingPoint| (point.fmr - fmr).abs();
        let all = brute(&scores, &mated);
        let near = all.iter().map(far).fold(f64::MAX, f64::min);
        let got = curve.at_fmr(fmr, Policy::Nearest).unwrap();
        prop_assert!(far(&got) <= near + 1e-15);
        // Of those with its FMR it has the lowest threshold, and so the lowest FNMR.
        prop_assert_eq!(got, *all.iter().find(|point| point.false_matches == got.false_matches).unwrap());
    }

    #[test]
    fn the_equal_error_rate_is_that_of_the_closest_candidate((scores, mated) in pairs()) {
        let curve = Curve::new(&scores, &mated).unwrap();
        let count = |kind: bool| i64::try_from(mated.iter().filter(|&&is| is == kind).count()).unwrap();
        let all = brute(&scores, &mated);
        // FMR and FNMR over one denominator: a tie of rates as floats may be none, and the other way round.
        let share = |errors: usize, other: bool| i64::try_from(errors).unwrap() * count(other);
        let gap = |p: &OperatingPoint| (share(p.false_matches, true) - share(p.false_non_matches, false)).abs();
        let least = all.iter().map(gap).min().unwrap();
        let expected = all.iter().rev().find(|point| gap(point) == least).unwrap();
        prop_assert_eq!(curve.equal_error(), *expected);
    }

    #[test]
    fn the_area_counts_the_pairs_of_pairs_in_order((scores, mated) in pairs()) {
        let of = |kind: bool| scores.iter().zip(&mated).filter(move |pair| *pair.1 == kind).map(|pair| *pair.0);
        let (mut twice, mut count) = (0_u32, 0_u32);
        for one in of(true) {
            for other in of(false) {
                twice += if one > other { 2 } else { u32::from(one == other) };
                count += 2;
            }
        }
        let got = Curve::new(&scores, &mated).unwrap().auc();
        prop_assert!((got - f64::from(twice) / f64::from(count)).abs() < 1e-15);
    }

    #[test]
    fn points_are_candidates_from_end_to_end((scores, mated) in pairs(), count in 0_usize..40) {
        let curve = Curve::new(&scores, &mated).unwrap();
        let points = curve.points(count);
        let all = brute(&scores, &mated);
        prop_assert!(points.iter().all(|point| all.contains(point)));
        prop_assert!(points.windows(2).all(|two| two[0].threshold < two[1].threshold));
        prop_assert_eq!((points[0].fmr, points[0].fnmr), (1.0, 0.0));
        prop_assert_eq!(points.last().unwrap().false_matches, 0);
        prop_assert!(points.len() <= count.max(4) + 3);
    }

    #[test]
    fn a_fixed_threshold_counts_what_it_accepts((scores, mated) in pairs(), threshold in (-3000_i32..3000).prop_map(|part| f64::from(part) / 1e3)) {
        let point = Curve::new(&scores, &mated).unwrap().at_threshold(threshold).unwrap();
        let pairs = || scores.iter().zip(&mated);
        prop_assert_eq!(point.false_matches, pairs().filter(|pair| !pair.1 && *pair.0 >= threshold).count());
        prop_assert_eq!(point.false_non_matches, pairs().filter(|pair| *pair.1 && *pair.0 < threshold).count());
    }
}

#[test]
#[allow(clippy::cast_precision_loss)]
fn an_interval_ends_where_the_share_lies_z_deviations_off() {
    for (errors, trials, z) in [(3, 1000, 1.96), (1, 7, 1.0), (500, 1000, 2.5), (0, 10, 1.96), (10, 10, 1.96)] {
        let (low, high) = wilson(errors, trials, z).unwrap();
        let share = errors as f64 / trials as f64;
        assert!(low <= share && share <= high);
        for end in [low, high] {
            if (end - share).abs() > 1e-12 {
                let deviation = (end * (1.0 - end) / trials as f64).sqrt();
                assert!(((end - share).abs() / deviation - z).abs() < 1e-9, "{errors} of {trials}: {end}");
            }
        }
    }
    assert_eq!((wilson(0, 10, 2.0).unwrap().0, wilson(10, 10, 2.0).unwrap().1), (0.0, 1.0));
}

#[test]
fn bad_input_is_named() {
    let curve = Curve::new(&[0.1, 0.2], &[true, false]).unwrap();
    assert!(curve.at_threshold(f64::NAN).unwrap_err().to_string().contains("a threshold, got NaN"));
    assert!(curve.at_fmr(1.1, Policy::AtMost).unwrap_err().to_string().contains("[0, 1], got 1.1"));
    assert!(Curve::new(&[0.1, f64::NAN], &[true, false]).unwrap_err().to_string().contains("NaN at position 1"));
    assert!(wilson(2, 1, 2.0).unwrap_err().to_string().contains("2 of 1"));
    assert!(wilson(1, 2, 0.0).unwrap_err().to_string().contains("got 0"));
}
