//! Ten-fold accuracy against brute force over every threshold.

use proptest::prelude::*;
use sdx_core::tenfold::{Protocol, tenfold_accuracy};

/// Few distinct values, so that ties are common; at least one pair of each kind.
fn pairs(least: usize) -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    prop::collection::vec((0_u8..40, any::<bool>()), least..70).prop_map(move |pairs| {
        let values = pairs.iter().map(|pair| f64::from(pair.0) * 0.1).collect();
        let mut mated: Vec<bool> = pairs.iter().map(|pair| pair.1).collect();
        (mated[0], mated[least - 1]) = (true, false);
        (values, mated)
    })
}

#[allow(clippy::cast_precision_loss)]
fn share(of: impl Iterator<Item = bool>) -> f64 {
    let all: Vec<bool> = of.collect();
    all.iter().filter(|&&yes| yes).count() as f64 / all.len() as f64
}

fn accuracy(distance: &[f64], mated: &[bool], threshold: f64, inside: impl Fn(usize) -> bool) -> f64 {
    share((0..mated.len()).filter(|&pair| inside(pair)).map(|pair| (distance[pair] < threshold) == mated[pair]))
}

/// Fold of each pair, as `sklearn.model_selection.KFold(10, shuffle=False)` deals them out.
fn folds(pairs: usize) -> Vec<usize> {
    (0..10).flat_map(|fold| std::iter::repeat_n(fold, pairs / 10 + usize::from(fold < pairs % 10))).collect()
}

#[test]
fn a_threshold_is_strict_and_the_first_of_equals() {
    // Perfectly separable: mated at 0.25, non-mated at 3.0005. The first grid threshold above 0.25 is 0.26.
    let mated: Vec<bool> = (0..20).map(|pair| pair % 2 == 0).collect();
    let distance: Vec<f64> = mated.iter().map(|&mated| if mated { 0.25 } else { 3.0005 }).collect();
    let grid = tenfold_accuracy(&distance, &mated, Protocol::InsightFace).unwrap();
    assert_eq!((grid.accuracy, grid.threshold), ([1.0; 10], [0.26; 10]));
    assert_eq!((grid.tar, grid.tar_std, grid.far), (1.0, 0.0, 0.0));
    let exact = tenfold_accuracy(&distance, &mated, Protocol::Exact).unwrap();
    assert_eq!((exact.accuracy, exact.threshold), ([1.0; 10], [f64::midpoint(0.25, 3.0005); 10]));
}

#[test]
fn exact_separates_what_the_grid_cannot() {
    let mated: Vec<bool> = (0..20).map(|pair| pair % 2 == 0).collect();
    let distance: Vec<f64> = mated.iter().map(|&mated| if mated { 1.0 } else { 1.0_f64.next_up() }).collect();
    let exact = tenfold_accuracy(&distance, &mated, Protocol::Exact).unwrap();
    assert_eq!((exact.accuracy, exact.threshold), ([1.0; 10], [1.0_f64.next_up(); 10]));
    assert_eq!(tenfold_accuracy(&distance, &mated, Protocol::InsightFace).unwrap().accuracy, [0.5; 10]);
}

#[test]
fn bad_input_is_named() {
    let message =
        |distance: &[f64], mated: &[bool]| tenfold_accuracy(distance, mated, Protocol::Exact).unwrap_err().to_string();
    let mated: Vec<bool> = (0..9).map(|pair| pair % 2 == 0).collect();
    assert!(message(&[1.0; 9], &mated).contains("at least ten pairs, one a fold, got 9"));
    assert!(message(&[1.0; 10], &[true; 10]).contains("10 mated and 0 non-mated"));
    assert!(message(&[1.0; 10], &[false; 10]).contains("0 mated and 10 non-mated"));
    assert!(message(&[1.0; 10], &mated).contains("9 and 10"));
    let mut distance = [1.0; 9];
    distance[4] = f64::NAN;
    assert!(message(&distance, &mated).contains("finite distances, got NaN at position 4"));
}

proptest! {
    #[test]
    fn grid_accuracy_is_brute_force((distance, mated) in pairs(10)) {
        let result = tenfold_accuracy(&distance, &mated, Protocol::InsightFace).unwrap();
        let fold_of = folds(mated.len());
        for fold in 0..10 {
            let mut best = (-1.0, 0.0);
            for step in 0..400 {
                let threshold = f64::from(step) * 0.01;
                let score = accuracy(&distance, &mated, threshold, |pair| fold_of[pair] != fold);
                if score > best.0 {
                    best = (score, threshold);
                }
            }
            prop_assert_eq!(result.threshold[fold], best.1);
            prop_assert_eq!(result.accuracy[fold], accuracy(&distance, &mated, best.1, |pair| fold_of[pair] == fold));
        }
    }

    #[test]
    fn exact_threshold_is_best_and_first((distance, mated) in pairs(10)) {
        let result = tenfold_accuracy(&distance, &mated, Protocol::Exact).unwrap();
        let fold_of = folds(mated.len());
        for fold in 0..10 {
            let training = |threshold| accuracy(&distance, &mated, threshold, |pair| fold_of[pair] != fold);
            let chosen = result.threshold[fold];
            let own = training(chosen);
            for &candidate in distance.iter().chain(&[99.0]) {
                let score = training(candidate);
                // None is better; of equals, the one that accepts fewest.
                let fewest = training_split(&distance, &fold_of, fold, candidate) >= training_split(&distance, &fold_of, fold, chosen);
                prop_assert!(score < own || (score <= own && fewest));
            }
            prop_assert_eq!(result.accuracy[fold], accuracy(&distance, &mated, chosen, |pair| fold_of[pair] == fold));
        }
    }
}

/// Number of training pairs that a threshold accepts.
fn training_split(distance: &[f64], fold_of: &[usize], fold: usize, threshold: f64) -> usize {
    (0..distance.len()).filter(|&pair| fold_of[pair] != fold && distance[pair] < threshold).count()
}
