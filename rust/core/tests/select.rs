//! Selection against its definition, written out naively.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sdx_core::Error;
use sdx_core::priority::priorities;
use sdx_core::select::{Chances, Diversity, Quota, Rules, above, sample, top};

const CHANCES: Chances = Chances { alpha: 1.0, temperature: None, exploration: 0.0, seed: 3, stream: 12, number: 0 };

fn only(count: usize) -> Rules<'static> {
    Rules { count, ..Rules::default() }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Candidates in an order of preference, thinned out as the rules say.
fn thinned(order: &[usize], rules: &Rules) -> Vec<usize> {
    let mut made: Vec<usize> = Vec::new();
    for &at in order {
        let full = rules.quota.is_some_and(|quota| {
            let taken = made.iter().filter(|&&pick| quota.group[pick] == quota.group[at]).count();
            quota.most.get(&quota.group[at]).is_some_and(|&most| taken >= most)
        });
        let close = rules.diversity.is_some_and(|diversity| {
            let vector = |at: usize| &diversity.vector[3 * at..][..3];
            made.iter().any(|&pick| cosine(vector(pick), vector(at)) > diversity.cosine)
        });
        if made.len() < rules.count && !full && !close {
            made.push(at);
        }
    }
    made
}

/// Numbers a little beyond -1 and 1 too; proptest 1.12 panics on ranges of floats once in a great while.
fn weight() -> impl Strategy<Value = f32> {
    (-1010_i16..=1010).prop_map(|part| f32::from(part) / 1000.0)
}

proptest! {
    #[test]
    fn selections_are_their_definitions(
        candidates in prop::collection::vec((0_u8..12, 0_i64..4, [-9_i8..9, -9..9, 1..9]), 0..60),
        count in 0_usize..70, most in prop::collection::btree_map(0_i64..4, 0_usize..6, 0..4),
        by_quota: bool, by_diversity: bool, bound in -4_i8..11, threshold in 0_u8..12, number in 0_i64..1000,
    ) {
        let priority: Vec<f32> = candidates.iter().map(|candidate| f32::from(candidate.0) / 8.0).collect();
        let group: Vec<i64> = candidates.iter().map(|candidate| candidate.1).collect();
        let vector: Vec<f32> = candidates.iter().flat_map(|candidate| candidate.2.map(f32::from)).collect();
        let cosine = f64::from(bound) / 10.0 - 1e-3;
        let rules = Rules {
            count,
            quota: by_quota.then_some(Quota { group: &group, most: &most }),
            diversity: by_diversity.then_some(Diversity { vector: &vector, cosine }),
        };
        let mut order: Vec<usize> = (0..priority.len()).collect();
        order.sort_by(|&a, &b| priority[b].total_cmp(&priority[a]).then(a.cmp(&b)));
        prop_assert_eq!(top(&priority, &rules).unwrap(), thinned(&order, &rules));
        let threshold = f32::from(threshold) / 8.0;
        order.retain(|&at| priority[at] >= threshold);
        prop_assert_eq!(above(&priority, threshold, &rules).unwrap(), thinned(&order, &rules));
        // A draw of all without rules is the order in which candidates are offered.
        let chances = Chances { number, ..CHANCES };
        let order = sample(&priority, &chances, &only(priority.len())).unwrap();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.into_iter().eq(0..priority.len()));
        prop_assert_eq!(sample(&priority, &chances, &rules).unwrap(), thinned(&order, &rules));
    }

    #[test]
    fn priorities_are_gap_times_reliability(pairs in prop::collection::vec((weight(), weight()), 0..50)) {
        let (similarity, reliability): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
        let want: Vec<f32> = pairs.iter().map(|(s, r)| (1.0 - s).max(0.0) * r.max(0.0)).collect();
        prop_assert_eq!(priorities(&similarity, &reliability).unwrap(), want);
    }
}

/// Check how often each candidate comes first in 100,000 draws of one.
fn follows(chances: Chances, priority: &[f32], want: &[f64]) {
    let mut found = vec![0.0; priority.len()];
    for number in 0..100_000 {
        found[sample(priority, &Chances { number, ..chances }, &only(1)).unwrap()[0]] += 1.0;
    }
    let sum: f64 = want.iter().sum();
    let term = |(found, want): (&f64, &f64)| (found - want / sum * 1e5).powi(2) / (want / sum * 1e5);
    let distance: f64 = found.iter().zip(want).map(term).sum();
    assert!(distance < 35.0, "{chances:?}: {found:?}, chi-square {distance}"); // 7 degrees of freedom: p = 1e-5
}

#[test]
fn draws_follow_their_chances() {
    let priority = [0.1_f32, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0];
    let of = |chance: fn(f64) -> f64| priority.map(|priority| chance(priority.into()));
    follows(CHANCES, &priority, &of(|priority| priority));
    follows(Chances { alpha: 0.0, ..CHANCES }, &priority, &of(|_| 1.0));
    follows(Chances { alpha: 1.5, ..CHANCES }, &priority, &of(|priority| priority.powf(1.5)));
    follows(Chances { temperature: Some(0.7), ..CHANCES }, &priority, &of(|priority| (priority / 0.7).exp()));
    let both = Chances { alpha: 0.5, temperature: Some(2.0), ..CHANCES };
    follows(both, &priority, &of(|priority| (priority.sqrt() / 2.0).exp()));
    follows(Chances { exploration: 1.0, ..CHANCES }, &priority, &of(|_| 1.0));
}

#[test]
fn exploration_is_drawn_last() {
    let priority: Vec<f32> = (0..100).map(|at| if at < 10 { 1.0 } else { 0.0 }).collect();
    let chances = Chances { exploration: 0.25, ..CHANCES };
    let picks = sample(&priority, &chances, &only(12)).unwrap();
    assert!(picks[..9].iter().all(|&pick| pick < 10), "{picks:?}");
    assert!(picks[9..].iter().any(|&pick| pick >= 10), "{picks:?}");
    let all = sample(&priority, &chances, &only(1000)).unwrap();
    assert_eq!(all.len(), 100);
}

#[test]
fn nothing_to_learn_anywhere_is_drawn_evenly() {
    let picks = sample(&[0.0; 50], &CHANCES, &only(50)).unwrap();
    assert_eq!(picks.len(), 50);
    assert!(!picks.is_sorted());
    assert!(sample(&[], &CHANCES, &only(3)).unwrap().is_empty());
}

#[test]
fn bad_input_is_refused() {
    let data = |result: sdx_core::Result<Vec<usize>>| match result {
        Err(error @ Error::Data { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let config = |result: sdx_core::Result<Vec<usize>>| match result {
        Err(error @ Error::Config { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let good = [0.5_f32, 0.25];
    for bad in [f32::NAN, f32::INFINITY, -0.1] {
        let message = format!("got {bad} at position 1");
        assert!(data(top(&[0.5, bad], &only(1))).contains(&message));
        assert!(data(above(&[0.5, bad], 0.1, &only(1))).contains(&message));
        assert!(data(sample(&[0.5, bad], &CHANCES, &only(1))).contains(&message));
    }
    config(above(&good, f32::NAN, &only(1)));
    for bad in [
        Chances { alpha: -1.0, ..CHANCES },
        Chances { alpha: f64::NAN, ..CHANCES },
        Chances { temperature: Some(0.0), ..CHANCES },
        Chances { temperature: Some(f64::INFINITY), ..CHANCES },
        Chances { exploration: 1.1, ..CHANCES },
        Chances { exploration: f64::NAN, ..CHANCES },
        Chances { number: -1, ..CHANCES },
    ] {
        config(sample(&good, &bad, &only(1)));
    }
    let large = Chances { alpha: 100.0, temperature: Some(1.0), ..CHANCES };
    config(sample(&[1e30], &large, &only(1)));
    let most = BTreeMap::new();
    let quota = Some(Quota { group: &[1], most: &most });
    assert!(data(top(&good, &Rules { count: 1, quota, diversity: None })).contains("`group` of 2 numbers, got 1"));
    let apart = |vector, cosine| Rules { count: 2, quota: None, diversity: Some(Diversity { vector, cosine }) };
    config(top(&good, &apart(&[1.0, 1.0], f64::NAN)));
    config(top(&good, &apart(&[1.0, 1.0], 1.01)));
    assert!(data(top(&good, &apart(&[1.0; 3], 0.5))).contains("2 vectors of one size, got 3 numbers"));
    data(top(&good, &apart(&[], 0.5)));
    assert!(data(top(&good, &apart(&[1.0, 1.0, 0.0, 0.0], 0.5))).contains("another at position 1"));
    assert!(data(top(&good, &apart(&[f32::NAN, 1.0], 0.5))).contains("another at position 0"));
    assert!(priorities(&[0.5], &[0.5, 0.5]).is_err());
    assert!(priorities(&[f32::NAN], &[0.5]).unwrap_err().to_string().contains("got NaN at position 0"));
    assert!(priorities(&[0.5], &[1.5]).is_err());
}
