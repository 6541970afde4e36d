//! Pair scores, rates of a list and of all pairs, and search against double precision, one pair after another.

use proptest::prelude::*;
use sdx_core::curve::{Curve, OperatingPoint, Policy};
use sdx_core::normals::normals;
use sdx_core::scoring::{Embeddings, Method, Metric, rate_all_pairs, rate_pairs, score_pairs, search};

const DIM: usize = 24;
const FMRS: [f64; 5] = [0.0, 1e-3, 0.02, 0.3, 1.0];

/// Embeddings of some subjects, a few of them copies of others, so that scores tie.
fn world(seed: u64, count: usize, subjects: usize) -> (Vec<f32>, Vec<i64>) {
    let numbers: Vec<i64> = (0..i64::try_from(count).unwrap()).collect();
    let subject: Vec<i64> = numbers.iter().map(|number| (number * 7919) % i64::try_from(subjects).unwrap()).collect();
    let centre = normals(seed, 0, &subject, DIM).unwrap();
    let mut values = normals(seed, 1, &numbers, DIM).unwrap();
    values.iter_mut().zip(centre).for_each(|(value, centre)| *value += 1.5 * centre);
    for copy in (0..count).step_by(9).skip(1) {
        values.copy_within((copy - 1) * DIM..copy * DIM, copy * DIM);
    }
    (values, subject)
}

/// The cosine by the definition.
fn cosine(values: &[f32], one: usize, other: usize) -> f64 {
    let row = |place: usize| values[place * DIM..][..DIM].iter().map(|value| f64::from(*value));
    let product: f64 = row(one).zip(row(other)).map(|(a, b)| a * b).sum();
    let square = |place: usize| row(place).map(|value| value * value).sum::<f64>();
    product / (square(one) * square(other)).sqrt()
}

/// The same errors, at thresholds that differ by the rounding of double precision at most.
fn same(one: &OperatingPoint, other: &OperatingPoint) -> bool {
    (one.false_matches, one.false_non_matches, one.fmr, one.fnmr)
        == (other.false_matches, other.false_non_matches, other.fmr, other.fnmr)
        && (one.threshold - other.threshold).abs() < 1e-14
}

fn rate(part: usize, whole: usize) -> f64 {
    f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap())
}

/// Pairs among `count` embeddings, in any order, by row, or all of them.
fn lists(count: usize) -> impl Strategy<Value = Vec<(i32, i32)>> {
    let count = i32::try_from(count).unwrap();
    let some = prop::collection::vec((0..count, 0..count), 1..300);
    let by_row = some.clone().prop_map(|mut pairs| {
        pairs.sort_unstable();
        pairs
    });
    let all = Just((0..count).flat_map(|one| (0..count).map(move |other| (one, other))).collect());
    prop_oneof![some, by_row, all]
}

proptest! {
    #[test]
    fn scores_are_those_of_double_precision(seed: u64, pairs in lists(60), dense: bool) {
        let (values, _) = world(seed, 60, 12);
        let embeddings = Embeddings::new(&values, DIM).unwrap();
        let (first, second): (Vec<i32>, Vec<i32>) = pairs.into_iter().unzip();
        let method = if dense { Method::Dense } else { Method::Sparse };
        let cosines = score_pairs(&embeddings, &first, &second, Metric::Cosine, method).unwrap();
        let squares = score_pairs(&embeddings, &first, &second, Metric::SquaredL2, method).unwrap();
        for (place, (one, other)) in first.iter().zip(&second).enumerate() {
            let (one, other) = (usize::try_from(*one).unwrap(), usize::try_from(*other).unwrap());
            let exact = cosine(&values, one, other);
            prop_assert!((f64::from(cosines[place]) - exact).abs() < 32.0 * 6e-8);
            let term = |d: usize| f64::from(values[one * DIM + d]) - f64::from(values[other * DIM + d]);
            let square: f64 = (0..DIM).map(|d| term(d) * term(d)).sum();
            prop_assert!((f64::from(squares[place]) - square).abs() <= 32.0 * 32.0 * 6e-8 * square);
        }
    }

    #[test]
    fn rates_of_a_list_are_those_of_the_exact_curve(seed: u64, pairs in lists(80), fixed in (-1200_i32..1200).prop_map(|part| f64::from(part) / 1e3)) {
        let (values, subject) = world(seed, 80, 9);
        let embeddings = Embeddings::new(&values, DIM).unwrap();
        let (first, second): (Vec<i32>, Vec<i32>) = pairs.into_iter().chain([(0, 9), (0, 1)]).unzip();
        let at = |place: &i32| usize::try_from(*place).unwrap();
        let of = |(one, other): (&i32, &i32)| subject[at(one)] == subject[at(other)];
        let mated: Vec<bool> = first.iter().zip(&second).map(of).collect();
        let got = rate_pairs(&embeddings, (&first, &second, &mated), &FMRS, &[fixed]).unwrap();
        let scores: Vec<f64> = first.iter().zip(&second).map(|(a, b)| cosine(&values, at(a), at(b))).collect();
        // What ties in exact arithmetic may not in double precision, with sums in this order: such ties are made anew.
        let curve = Curve::new(&scores.iter().map(|score| (score * 1e13).round() / 1e13).collect::<Vec<_>>(), &mated).unwrap();
        prop_assert_eq!((got.mated, got.nonmated), (curve.mated(), curve.nonmated()));
        for (policy, points) in [(Policy::AtMost, &got.points), (Policy::Nearest, &got.nearest)] {
            for (fmr, point) in FMRS.iter().zip(points) {
                let expected = curve.at_fmr(*fmr, policy).unwrap();
                prop_assert!((point.threshold - expected.threshold).abs() < 1e-12, "{point:?} {expected:?}");
                prop_assert_eq!((point.false_matches, point.false_non_matches), (expected.false_matches, expected.false_non_matches));
            }
        }
        prop_assert!(same(&got.fixed[0], &curve.at_threshold(fixed).unwrap()));
        let equal = curve.equal_error();
        prop_assert_eq!((got.equal_error.false_matches, got.equal_error.false_non_matches), (equal.false_matches, equal.false_non_matches));
        // Single precision may turn round who is above whom among neighbours, and no others.
        let of = |kind: bool| scores.iter().zip(&mated).filter(move |pair| *pair.1 == kind).map(|pair| *pair.0);
        let neighbours = of(true).map(|one| of(false).filter(|other| (one - other).abs() < 32.0 * 6e-8).count());
        let share = rate(neighbours.sum(), curve.mated() * curve.nonmated());
        prop_assert!((got.auc - curve.auc()).abs() <= share + 1e-15);
    }

    #[test]
    fn all_pairs_are_every_pair(seed: u64, subjects in 2_usize..40, fixed in (-1000_i32..1000).prop_map(|part| f64::from(part) / 1e3), tail in 0_usize..400) {
        let (values, subject) = world(seed, 50, subjects);
        let embeddings = Embeddings::new(&values, DIM).unwrap();
        let got = rate_all_pairs(&embeddings, &subject, &FMRS, &[fixed], tail).unwrap();
        let pairs: Vec<(usize, usize)> = (0..50).flat_map(|one| (one + 1..50).map(move |other| (one, other))).collect();
        let (first, second): (Vec<i64>, Vec<i64>) = pairs.iter().map(|(a, b)| (i64::try_from(*a).unwrap(), i64::try_from(*b).unwrap())).unzip();
        let mated: Vec<bool> = pairs.iter().map(|(a, b)| subject[*a] == subject[*b]).collect();
        let listed = rate_pairs(&embeddings, (&first, &second, &mated), &FMRS, &[fixed]).unwrap();
        prop_assert_eq!((got.mated.len(), got.nonmated), (listed.mated, listed.nonmated));
        prop_assert_eq!(got.points, listed.points);
        prop_assert_eq!(got.fixed, listed.fixed);
        let mut highest: Vec<f64> = pairs.iter().zip(&mated).filter(|(_, mated)| !**mated).map(|((a, b), _)| cosine(&values, *a, *b)).collect();
        highest.sort_by(|a, b| b.total_cmp(a));
        highest.truncate(tail);
        prop_assert_eq!(got.tail.len(), highest.len());
        for (pair, score) in got.tail.iter().zip(highest) {
            prop_assert!((pair.score - score).abs() < 1e-14 && pair.first < pair.second);
            prop_assert!(subject[pair.first as usize] != subject[pair.second as usize]);
        }
        for pair in &got.mated {
            prop_assert!((pair.score - cosine(&values, pair.first as usize, pair.second as usize)).abs() < 1e-14);
            prop_assert!(subject[pair.first as usize] == subject[pair.second as usize] && pair.first < pair.second);
        }
    }

    #[test]
    fn search_finds_the_nearest(seed: u64, count in 1_usize..70, probes in 0_usize..8) {
        let (gallery, _) = world(seed, 70, 30);
        let (probe, _) = world(seed ^ 1, probes, 30);
        let found = search(&Embeddings::new(&gallery, DIM).unwrap(), &Embeddings::new(&probe, DIM).unwrap(), count).unwrap();
        let both = [probe.as_slice(), gallery.as_slice()].concat();
        prop_assert_eq!(found.len(), probes * count);
        for (number, found) in found.chunks(count).enumerate() {
            let mut expected: Vec<(f64, u32)> = (0..70).map(|index| (cosine(&both, number, probes + index as usize), index)).collect();
            // Copies stand side by side, and their scores agree but for the order of a sum.
            expected.sort_by(|a, b| (b.0 * 1e13).round().total_cmp(&(a.0 * 1e13).round()).then(a.1.cmp(&b.1)));
            for (found, expected) in found.iter().zip(expected) {
                prop_assert!((found.score - expected.0).abs() < 1e-14);
                prop_assert_eq!(found.index, expected.1);
            }
        }
    }
}

#[test]
fn more_rows_than_a_block_and_more_columns_than_a_tile() {
    let (values, subject) = world(5, 2600, 300);
    let embeddings = Embeddings::new(&values, DIM).unwrap();
    let (mut first, mut second): (Vec<i32>, Vec<i32>) =
        (0..2600).step_by(3).flat_map(|one| (1..2600).step_by(2).map(move |other| (one, other))).unzip();
    for _ in 0..2 {
        let scores = score_pairs(&embeddings, &first, &second, Metric::Cosine, Method::Auto).unwrap();
        let at = |place: &i32| usize::try_from(*place).unwrap();
        let exact: Vec<f64> = first.iter().zip(&second).map(|(a, b)| cosine(&values, at(a), at(b))).collect();
        assert!(scores.iter().zip(&exact).all(|(score, exact)| (f64::from(*score) - exact).abs() < 32.0 * 6e-8));
        let mated: Vec<bool> = first.iter().zip(&second).map(|(a, b)| subject[at(a)] == subject[at(b)]).collect();
        let curve = Curve::new(&exact, &mated).unwrap();
        let got = rate_pairs(&embeddings, (&first, &second, &mated), &[1e-5, 1e-3], &[]).unwrap();
        assert!(same(&got.points[0], &curve.at_fmr(1e-5, Policy::AtMost).unwrap()));
        assert!(same(&got.points[1], &curve.at_fmr(1e-3, Policy::AtMost).unwrap()));
        // Now in another order: the second pass takes the list as it comes.
        first.reverse();
        second.reverse();
    }
}

#[test]
fn all_scores_alike_is_an_answer_while_there_are_not_millions() {
    let values = vec![1.0_f32; 40 * DIM];
    let subject: Vec<i64> = (0..40).map(|place| place / 2).collect();
    let embeddings = Embeddings::new(&values, DIM).unwrap();
    let got = rate_all_pairs(&embeddings, &subject, &[0.0, 0.5, 1.0], &[0.5], 3).unwrap();
    assert_eq!(got.points.iter().map(|point| point.false_matches).collect::<Vec<_>>(), [0, 0, 760]);
    assert_eq!(got.points.iter().map(|point| point.false_non_matches).collect::<Vec<_>>(), [20, 20, 0]);
    assert_eq!((got.fixed[0].false_matches, got.tail.len()), (760, 3));
    assert_eq!(got.tail[0], sdx_core::scoring::Pair { first: 0, second: 2, score: 1.0 });
}

#[test]
fn millions_within_rounding_of_a_threshold_are_refused() {
    let (count, values) = (3200, vec![1.0_f32; 3200 * DIM]);
    let subject: Vec<i64> = (0..count).collect();
    let got = rate_all_pairs(&Embeddings::new(&values, DIM).unwrap(), &subject, &[0.5], &[], 0);
    assert!(got.unwrap_err().to_string().contains("within rounding of a threshold"));
}

#[test]
fn nobody_mated_leaves_fnmr_open() {
    let (values, _) = world(2, 30, 30);
    let subject: Vec<i64> = (0..30).collect();
    let got = rate_all_pairs(&Embeddings::new(&values, DIM).unwrap(), &subject, &[0.1], &[], 0).unwrap();
    assert!(got.mated.is_empty() && got.points[0].fnmr.is_nan() && got.points[0].false_matches == 43);
}

#[test]
fn what_cannot_be_scored_is_named() {
    let (mut values, _) = world(3, 10, 5);
    assert!(Embeddings::new(&values, 7).is_err() && Embeddings::new(&values, 0).is_err());
    let told = |values: &[f32], first: &[i64], second: &[i64]| {
        let embeddings = Embeddings::new(values, DIM).unwrap();
        score_pairs(&embeddings, first, second, Metric::Cosine, Method::Auto).unwrap_err().to_string()
    };
    assert!(told(&values, &[0, 10], &[1, 1]).contains("[0, 10), got 10 and 1 in pair 1"));
    assert!(told(&values, &[0, 1], &[1, -1]).contains("got 1 and -1 in pair 1"));
    assert!(told(&values, &[0], &[1, 1]).contains("as many first as second"));
    values[4 * DIM..5 * DIM].fill(0.0);
    assert!(told(&values, &[0], &[1]).contains("zeros alone in row 4"));
    values[4 * DIM] = f32::NAN;
    assert!(told(&values, &[0], &[1]).contains("not finite in row 4"));
    let (values, subject) = world(3, 10, 5);
    let embeddings = Embeddings::new(&values, DIM).unwrap();
    let one = |mated: &[bool]| rate_pairs(&embeddings, (&[0_i64, 1], &[2, 3], mated), &[0.1], &[]);
    assert!(one(&[true, true]).is_err() && one(&[true]).is_err());
    assert!(rate_all_pairs(&embeddings, &subject[1..], &[0.1], &[], 0).is_err());
    assert!(rate_all_pairs(&embeddings, &[1; 10], &[0.1], &[], 0).is_err());
    assert!(rate_all_pairs(&embeddings, &subject, &[1.5], &[], 0).is_err());
    assert!(rate_all_pairs(&embeddings, &subject, &[], &[f64::NAN], 0).is_err());
    assert!(search(&embeddings, &embeddings, 11).is_err() && search(&embeddings, &embeddings, 0).is_err());
    assert!(search(&embeddings, &Embeddings::new(&values, DIM / 2).unwrap(), 1).is_err());
    assert_eq!(score_pairs::<i64>(&embeddings, &[], &[], Metric::Cosine, Method::Auto).unwrap(), Vec::<f32>::new());
}
