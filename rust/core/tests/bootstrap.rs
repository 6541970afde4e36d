//! Replicates against the curve of pairs that are written out as often as they count.

use proptest::prelude::*;
use sdx_core::bootstrap::{
    AllPairs, Asked, Draw, Pairs, Replicates, at_threshold, of_accuracy, of_all_pairs, of_pairs,
};
use sdx_core::curve::{Curve, Policy};
use sdx_core::normals::normals;
use sdx_core::philox::philox;
use sdx_core::scoring::{Embeddings, Pair, rate_all_pairs};
use sdx_core::tenfold::{Protocol, tenfold_accuracy};

const FMRS: [f64; 4] = [0.0, 0.02, 0.3, 1.0];
const ASKED: Asked = Asked { fmrs: &FMRS, thresholds: &[0.45] };

#[derive(Clone, Debug)]
struct List {
    score: Vec<f64>,
    mated: Vec<bool>,
    first: Vec<i64>,
    second: Vec<i64>,
}

impl List {
    fn pairs(&self) -> Pairs<'_> {
        Pairs { score: &self.score, mated: &self.mated, first: &self.first, second: &self.second }
    }
}

/// Pairs of a few subjects with ids that are no numbers of theirs; ties are common.
fn lists() -> impl Strategy<Value = List> {
    prop::collection::vec((-9_i8..10, 0_i64..6, 0_i64..6), 10..60).prop_map(|pairs| {
        let pairs = [(1, 0, 0), (2, 1, 1), (0, 0, 1), (0, 2, 3)].into_iter().chain(pairs);
        let id = |number: i64| 1000 - 7 * number;
        let mut list = List { score: vec![], mated: vec![], first: vec![], second: vec![] };
        for (score, one, other) in pairs {
            list.score.push(f64::from(score) * 0.1);
            list.mated.push(one == other);
            list.first.push(id(one));
            list.second.push(id(other));
        }
        list
    })
}

/// How often each pair counts, by the definition; draws that hold one kind alone are passed over.
#[allow(clippy::cast_possible_wrap)]
fn counts(list: &List, draw: &Draw, replicate: usize) -> Vec<usize> {
    let mut ids: Vec<i64> = list.first.iter().chain(&list.second).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let row = ids.len().div_ceil(2) * 4;
    let words = philox(draw.seed, draw.stream, &[replicate as i64], row * 100).unwrap();
    for words in words.chunks(row) {
        let mut times = vec![0; ids.len()];
        for pair in words.chunks(2).take(ids.len()) {
            let bits = u128::from(pair[0]) << 32 | u128::from(pair[1]);
            times[usize::try_from((bits * ids.len() as u128) >> 64).unwrap()] += 1;
        }
        let of = |id: &i64| times[ids.binary_search(id).unwrap()];
        let sides = list.first.iter().zip(&list.second);
        let counts: Vec<usize> =
            sides.map(|(one, other)| if one == other { of(one) } else { of(one) * of(other) }).collect();
        let kinds = |kind| counts.iter().zip(&list.mated).any(|(&count, &mated)| count > 0 && mated == kind);
        if kinds(true) && kinds(false) {
            return counts;
        }
    }
    panic!("no draw holds both kinds");
}

fn check(list: &List, draw: &Draw, got: &Replicates) -> Result<(), TestCaseError> {
    for replicate in 0..draw.replicates {
        let counts = counts(list, draw, replicate);
        let written = |place: usize| std::iter::repeat_n(place, counts[place]);
        let places: Vec<usize> = (0..counts.len()).flat_map(written).collect();
        let score: Vec<f64> = places.iter().map(|&place| list.score[place]).collect();
        let mated: Vec<bool> = places.iter().map(|&place| list.mated[place]).collect();
        let curve = Curve::new(&score, &mated).unwrap();
        for (number, &fmr) in FMRS.iter().enumerate() {
            let point = curve.at_fmr(fmr, Policy::AtMost).unwrap();
            let at = number * draw.replicates + replicate;
            prop_assert_eq!((point.threshold, point.fnmr), (got.threshold[at], got.fnmr[at]));
        }
        let point = curve.at_threshold(0.45).unwrap();
        prop_assert_eq!((point.fmr, point.fnmr), (got.fixed_fmr[replicate], got.fixed_fnmr[replicate]));
        if let Some(&eer) = got.eer.get(replicate) {
            let point = curve.equal_error();
            // Where two candidates are as near, the curve's floats may take the other one.
            let (gap, near) = ((point.fmr - point.fnmr).abs(), f64::midpoint(point.fmr, point.fnmr));
            prop_assert!((eer - near).abs() <= gap + 1e-12 && (gap > 1e-9 || (eer - near).abs() < 1e-12));
        }
    }
    Ok(())
}

/// All pairs of images, scored by a function of their numbers with ties; sorted by descending score.
fn all_pairs(subject: &[i64], seed: u64) -> Vec<(f64, i64, i64)> {
    let count = i64::try_from(subject.len()).unwrap();
    let images = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other)));
    let words = philox(seed, 0, &[0], subject.len() * subject.len()).unwrap();
    let mut pairs: Vec<_> =
        images.zip(words).map(|((one, other), word)| (f64::from(word % 20) * 0.05, one, other)).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs
}

/// The mated pairs and the first `tail` of the others, as columns.
fn columns(pairs: &[(f64, i64, i64)], subject: &[i64], mated: bool, most: usize) -> (Vec<f64>, Vec<i64>, Vec<i64>) {
    let of = |image: i64| subject[usize::try_from(image).unwrap()];
    let kept: Vec<_> = pairs.iter().filter(|pair| (of(pair.1) == of(pair.2)) == mated).take(most).collect();
    let column = |of: fn(&(f64, i64, i64)) -> i64| kept.iter().map(|pair| of(pair)).collect();
    (kept.iter().map(|pair| pair.0).collect(), column(|pair| pair.1), column(|pair| pair.2))
}

fn resample_all(subject: &[i64], seed: u64, tail: usize, asked: &Asked, draw: &Draw) -> sdx_core::Result<Replicates> {
    let pairs = all_pairs(subject, seed);
    let (mated_score, one, other) = columns(&pairs, subject, true, usize::MAX);
    let (tail_score, first, second) = columns(&pairs, subject, false, tail);
    let pairs = AllPairs {
        subject,
        mated_score: &mated_score,
        mated: [&one, &other],
        tail_score: &tail_score,
        tail: [&first, &second],
    };
    of_all_pairs(&pairs, asked, draw)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rates_are_those_of_pairs_written_out(list in lists(), seed in any::<u64>()) {
        let draw = Draw { seed, stream: 12, replicates: 20 };
        check(&list, &draw, &of_pairs(&list.pairs(), &ASKED, &draw).unwrap())?;
    }

    #[test]
    fn all_pairs_are_a_list_and_a_tail_is_enough_or_refused(
        subject in prop::collection::vec(0_i64..5, 8..14), seed in any::<u64>(), tail in 1_usize..60,
    ) {
        let subject = [vec![0, 0, 1, 1], subject].concat();
        let draw = Draw { seed, stream: 12, replicates: 10 };
        let pairs = all_pairs(&subject, seed);
        let of = |image: i64| subject[usize::try_from(image).unwrap()];
        let list = List {
            score: pairs.iter().map(|pair| pair.0).collect(),
            mated: pairs.iter().map(|pair| of(pair.1) == of(pair.2)).collect(),
            first: pairs.iter().map(|pair| of(pair.1)).collect(),
            second: pairs.iter().map(|pair| of(pair.2)).collect(),
        };
        let whole = of_pairs(&list.pairs(), &ASKED, &draw).unwrap();
        check(&list, &draw, &whole)?;
        prop_assert_eq!(&resample_all(&subject, seed, usize::MAX, &ASKED, &draw).unwrap(), &whole);
        let asked = Asked { fmrs: &FMRS[..2], thresholds: &[0.95] };
        match resample_all(&subject, seed, tail, &asked, &draw) {
            Ok(found) => {
                let whole = of_pairs(&list.pairs(), &asked, &draw).unwrap();
                prop_assert_eq!((found.threshold, found.fnmr), (whole.threshold, whole.fnmr));
                prop_assert_eq!((found.fixed_fmr, found.fixed_fnmr), (whole.fixed_fmr, whole.fixed_fnmr));
            }
            Err(error) => prop_assert!(error.to_string().contains("tail")),
        }
    }

    #[test]
    fn replicates_do_not_depend_on_threads_or_number(list in lists(), seed in any::<u64>()) {
        let with = |threads, replicates| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let draw = Draw { seed, stream: 12, replicates };
            pool.install(|| {
                let rates = of_pairs(&list.pairs(), &ASKED, &draw).unwrap();
                (rates.eer, of_accuracy(&list.pairs(), Protocol::Exact, &draw).unwrap())
            })
        };
        let (one, two, more) = (with(1, 50), with(2, 50), with(2, 80));
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(&one.0, &more.0[..50]);
        prop_assert_eq!(&one.1, &more.1[..50]);
    }
}

#[test]
fn a_replicate_of_everybody_once_has_the_protocols_own_accuracy() {
    // Of two subjects, a draw that holds a non-mated pair holds both once.
    let words = philox(5, 1, &[0], 40).unwrap();
    let distance: Vec<f64> = words.iter().map(|word| f64::from(word % 400) * 0.01).collect();
    let first: Vec<i64> = (0..40).map(|pair| pair % 2).collect();
    let second: Vec<i64> = (0..40).map(|pair| pair / 2 % 2).collect();
    let mated: Vec<bool> = first.iter().zip(&second).map(|(one, other)| one == other).collect();
    let pairs = Pairs { score: &distance, mated: &mated, first: &first, second: &second };
    for protocol in [Protocol::Exact, Protocol::InsightFace] {
        let own = tenfold_accuracy(&distance, &mated, protocol).unwrap().accuracy.iter().sum::<f64>() / 10.0;
        for accuracy in of_accuracy(&pairs, protocol, &Draw { seed: 0, stream: 12, replicates: 50 }).unwrap() {
            assert!((accuracy - own).abs() < 1e-12);
        }
    }
}

#[test]
fn a_tail_that_is_too_short_says_how_long_it_must_be() {
    let subject: Vec<i64> = (0..80).map(|image| image / 2).collect();
    let draw = Draw { seed: 1, stream: 12, replicates: 200 };
    let asked = Asked { fmrs: &[0.05], thresholds: &[] };
    let resample = |tail| resample_all(&subject, 9, tail, &asked, &draw);
    let message = resample(40).unwrap_err().to_string();
    assert!(message.contains("a tail that reaches the asked rates in every replicate, about"), "{message}");
    assert!(message.ends_with("scores, got 40"), "{message}");
    // What it says is about right: a list half as long again is enough, and half of it is not.
    let needed: usize = message.split(' ').find_map(|word| word.parse().ok()).unwrap();
    assert!(resample(needed + needed / 2).is_ok(), "{message}");
    assert!(resample(needed / 2).is_err(), "{message}");
    assert!(resample(3120).unwrap().eer.len() == 200);
    assert!(resample(3000).unwrap().eer.is_empty());
}

#[test]
fn bad_input_is_named() {
    let draw = Draw { seed: 0, stream: 12, replicates: 10 };
    let list = List {
        score: vec![0.5; 4],
        mated: vec![true, true, false, false],
        first: vec![1, 2, 1, 2],
        second: vec![1, 2, 2, 1],
    };
    let message = |change: &dyn Fn(&mut List)| {
        let mut list = list.clone();
        change(&mut list);
        of_pairs(&list.pairs(), &ASKED, &draw).unwrap_err().to_string()
    };
    assert!(message(&|list| list.second[1] = 7).contains("got subjects 2 and 7 in pair 1"));
    assert!(message(&|list| list.second[3] = 2).contains("got subjects 2 and 2 in pair 3"));
    assert!(message(&|list| list.first.truncate(3)).contains("expected two subjects a pair, got 3 and 4 for 4"));
    assert!(message(&|list| list.score[2] = f64::NAN).contains("NaN at position 2"));
    let refused = |asked: &Asked, replicates| {
        of_pairs(&list.pairs(), asked, &Draw { replicates, ..draw }).unwrap_err().to_string()
    };
    assert!(refused(&Asked { fmrs: &[1.5], thresholds: &[] }, 10).contains("got 1.5"));
    assert!(refused(&Asked { fmrs: &[], thresholds: &[f64::NAN] }, 10).contains("got NaN"));
    assert!(refused(&ASKED, 0).contains("expected 1 to 1000000 replicates, got 0"));
    assert!(of_accuracy(&list.pairs(), Protocol::Exact, &draw).unwrap_err().to_string().contains("at least ten pairs"));
}

#[test]
fn all_pairs_that_are_not_all_are_refused() {
    let draw = Draw { seed: 0, stream: 12, replicates: 10 };
    let asked = Asked { fmrs: &[], thresholds: &[0.2] };
    let good = AllPairs {
        subject: &[4, 4, 5, 5],
        mated_score: &[0.9, 0.8],
        mated: [&[0, 2], &[1, 3]],
        tail_score: &[0.3],
        tail: [&[0], &[2]],
    };
    let refused = |pairs: &AllPairs| of_all_pairs(pairs, &asked, &draw).unwrap_err().to_string();
    assert!(refused(&good).contains("expected thresholds above the tail's end at 0.3, got 0.2"));
    assert!(
        refused(&AllPairs { mated_score: &[0.9], mated: [&[0], &[1]], ..good })
            .contains("expected all 2 mated pairs, got 1")
    );
    assert!(refused(&AllPairs { tail: [&[0], &[4]], ..good }).contains("got images 0 and 4 of 4 in non-mated pair 0"));
    assert!(refused(&AllPairs { tail: [&[-1], &[2]], ..good }).contains("got images -1 and 2"));
    assert!(refused(&AllPairs { tail: [&[0], &[1]], ..good }).contains("of one subject where they are mated"));
    assert!(
        refused(&AllPairs { mated: [&[0, 2], &[0, 3]], ..good }).contains("got images 0 and 0 of 4 in mated pair 0")
    );
    assert!(
        refused(&AllPairs { tail_score: &[], tail: [&[], &[]], ..good }).contains("1 to 4 non-mated scores, got 0")
    );
    assert!(refused(&AllPairs { tail_score: &[f64::INFINITY], ..good }).contains("inf at position 0 of the non-mated"));
    assert!(
        refused(&AllPairs { mated: [&[0], &[1, 3]], ..good }).contains("two images a mated score, got 1 and 2 for 2")
    );
}

fn numbers(pairs: &[Pair]) -> (Vec<f64>, [Vec<i64>; 2]) {
    let of = |number: fn(&Pair) -> u32| pairs.iter().map(|pair| number(pair).into()).collect();
    (pairs.iter().map(|pair| pair.score).collect(), [of(|pair| pair.first), of(|pair| pair.second)])
}

/// More images than a tile is wide, in an order that is not their subjects', a few of them copies of others.
#[test]
#[cfg_attr(miri, ignore = "a million pairs are drawn for the guess")]
fn no_list_is_needed_at_a_threshold() {
    const DIM: usize = 12;
    for (count, subjects) in [(1101_i64, 700), (90, 90), (65, 2)] {
        let images: Vec<i64> = (0..count).collect();
        let mut values = normals(count.unsigned_abs(), 0, &images, DIM).unwrap();
        for copy in (0..images.len()).step_by(9).skip(1) {
            values.copy_within((copy - 1) * DIM..copy * DIM, copy * DIM);
        }
        let subject: Vec<i64> = images.iter().map(|image| 50 - image * 7919 % subjects).collect();
        let embeddings = Embeddings::new(&values, DIM).unwrap();
        let draw = Draw { seed: 3, stream: 7, replicates: 20 };
        for fmr in [0.0, 0.01, 0.7] {
            let found = rate_all_pairs(&embeddings, &subject, &[fmr], &[], usize::MAX).unwrap();
            let (mated_score, mated) = numbers(&found.mated);
            let (tail_score, tail) = numbers(&found.tail);
            let [mated, tail] = [&mated, &tail].map(|sides| [sides[0].as_slice(), sides[1].as_slice()]);
            let pairs = AllPairs { subject: &subject, mated_score: &mated_score, mated, tail_score: &tail_score, tail };
            // At a score itself, and between it and the next.
            for threshold in [found.points[0].threshold, found.points[0].threshold.next_up(), -2.0] {
                let listed = of_all_pairs(&pairs, &Asked { fmrs: &[], thresholds: &[threshold] }, &draw).unwrap();
                let got = at_threshold(&embeddings, &subject, &mated_score, mated, threshold, &draw).unwrap();
                assert_eq!(got.fixed_fmr, listed.fixed_fmr, "{count} {fmr} {threshold}");
                let bits =
                    |found: &Replicates| found.fixed_fnmr.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&got), bits(&listed)); // NaN without mated pairs
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "products of a tile")]
fn what_has_no_replicates_at_a_threshold_is_named() {
    let (values, subject) = ([1.0_f32, 0.0, 0.0, 1.0, 1.0, 1.0], [1, 1, 2]);
    let embeddings = Embeddings::new(&values, 2).unwrap();
    let draw = Draw { seed: 0, stream: 0, replicates: 5 };
    let told = |subject: &[i64], mated: &[f64], threshold| {
        let sides: [&[i64]; 2] = if mated.is_empty() { [&[], &[]] } else { [&[0], &[1]] };
        at_threshold(&embeddings, subject, mated, sides, threshold, &draw)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(told(&subject, &[0.0], 0.5), Ok(()));
    assert!(told(&subject, &[], 0.5).unwrap_err().contains("all 1 mated pairs"));
    assert!(told(&subject, &[0.0], f64::NAN).unwrap_err().contains("NaN"));
    assert!(told(&[1, 2], &[], 0.5).unwrap_err().contains("a subject for each of 3 embeddings, got 2"));
    assert!(told(&[1, 1, 1], &[0.0], 0.5).is_err());
}
