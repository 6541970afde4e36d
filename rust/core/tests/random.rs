//! Random numbers: pinned bits, independence of slicing, accuracy and distribution.

use proptest::prelude::*;
use sdx_core::Error;
use sdx_core::normals::{normal, normals};
use sdx_core::philox::{block, philox};
use sdx_core::uniforms::{below, uniform, uniforms};

/// P(|x| < t) at t = |normal(word)|, by the word's definition: 1 - p with p = (2 k + 1) / 2^32, k the low 31 bits.
fn centre(word: u32) -> f64 {
    1.0 - tail(word)
}

fn tail(word: u32) -> f64 {
    f64::from((word << 1) | 1) / 4_294_967_296.0
}

/// erfc by series (small x) and continued fraction (large x), float64: an oracle that shares nothing with the code.
fn two_sided_tail(t: f64) -> f64 {
    let x = t / std::f64::consts::SQRT_2;
    if x < 2.0 {
        let mut term = x;
        let mut sum = x;
        for n in 1..100_i32 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        1.0 - 2.0 / std::f64::consts::PI.sqrt() * sum
    } else {
        let fraction = (1..200_i32).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
        (-x * x).exp() / std::f64::consts::PI.sqrt() / fraction
    }
}

#[test]
fn normals_have_pinned_bits() {
    let words = [0, 1, 0x0123_4567, 0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xdead_beef, u32::MAX];
    let bits = words.map(|word| normal(word).to_bits());
    assert_eq!(bits.map(|bits| format!("{bits:08x}")), PINNED);
}

const PINNED: [&str; 9] =
    ["40cad08c", "40c55363", "4027716e", "3f2cab5d", "3f2cab5d", "2fa06c99", "c0cad08c", "beaa20b4", "afa06c99"];

#[test]
fn normals_are_within_the_stated_error() {
    // Newton's step from t: the relative error is (P(|x| > t) - p) / (density(t) t), as the tail is smooth.
    let mut worst = 0.0_f64;
    let spread = (0..1_u32 << 16).map(|step| step << 15 | step >> 1);
    let ends = (0..31).flat_map(|power| [1_u32 << power, (1 << 31) - (1 << power), (1 << power) - 1]);
    for word in spread.chain(ends) {
        let word = word & 0x7fff_ffff;
        let t = f64::from(normal(word));
        let density = 2.0 / (2.0 * std::f64::consts::PI).sqrt() * (-t * t / 2.0).exp();
        let error = if tail(word) < 0.9 {
            (two_sided_tail(t) - tail(word)) / (density * t)
        } else {
            // Near 0 the tail says nothing about t's relative error; the centre does: P(|x| < t) = density(0) t (1 - t²/6 + ...).
            let inner = 2.0 / (2.0 * std::f64::consts::PI).sqrt()
                * t
                * (1.0 - t * t / 6.0 + t.powi(4) / 40.0 - t.powi(6) / 336.0);
            (inner - centre(word)) / (density * t)
        };
        worst = worst.max(error.abs());
    }
    assert!(worst < 4.1e-7, "largest relative error {worst:e}");
    assert!(worst > 1e-8, "the oracle sees nothing: {worst:e}");
}

#[test]
fn normals_reach_beyond_six_sigma_and_never_further_than_stated() {
    assert!((normal(0) - 6.337_957).abs() < 1e-5);
    assert_eq!(normal(0x8000_0000).to_bits(), normal(0).to_bits() | 0x8000_0000);
    assert!(normal(0x7fff_ffff) > 0.0 && normal(0x7fff_ffff) < 3e-10);
    for step in 1..1_u32 << 20 {
        assert!(normal(step << 11) <= normal((step - 1) << 11), "not monotone at {step}");
    }
}

#[test]
fn normals_are_normal() {
    let index: Vec<i64> = (0..2000).collect();
    let mut sample: Vec<f64> = normals(1, 0, &index, 500).unwrap().into_iter().map(f64::from).collect();
    let moment = |power| sample.iter().map(|x| x.powi(power)).sum::<f64>() / 1e6;
    // Five standard errors of a million: sqrt(1, 2, 15, 96) / 1000.
    for (power, want, error) in [(1, 0.0, 0.001), (2, 1.0, 0.001_41), (3, 0.0, 0.003_87), (4, 3.0, 0.0098)] {
        assert!((moment(power) - want).abs() < 5.0 * error, "moment {power}: {}", moment(power));
    }
    sample.sort_unstable_by(f64::total_cmp);
    let mut distance = 0.0_f64;
    for (rank, &x) in (0_u32..).zip(&sample) {
        let below = if x < 0.0 { two_sided_tail(-x) / 2.0 } else { 1.0 - two_sided_tail(x) / 2.0 };
        distance = distance.max((below - f64::from(rank) / 1e6).abs());
    }
    assert!(distance < 1.95e-3, "Kolmogorov-Smirnov distance {distance}"); // p = 0.001
}

#[test]
fn uniforms_are_the_high_bits() {
    assert_eq!(uniform(0), 0.0);
    assert_eq!(uniform(0xff), 0.0);
    assert_eq!(uniform(0x8000_0000), 0.5);
    assert_eq!(uniform(u32::MAX), 1.0 - f32::EPSILON / 2.0);
    let sample = uniforms(1, 0, &[5], 1_000_000).unwrap();
    let mean = sample.iter().copied().map(f64::from).sum::<f64>() / 1e6;
    assert!((mean - 0.5).abs() < 5.0 * 0.000_289, "{mean}");
}

#[test]
fn bounded_integers_are_the_high_bits_of_the_product() {
    let ends = |bound| (below([0; 4], bound), below([u32::MAX; 4], bound));
    assert_eq!(ends(1), (0, 0));
    assert_eq!(ends(10), (0, 9));
    assert_eq!(ends(u64::MAX), (0, u64::MAX - 1));
    assert_eq!(below([u32::MAX; 4], 0), 0);
    assert_eq!(below([0, 0, 0, 0x8000_0000], 10), 5);
    assert_eq!(below([u32::MAX, u32::MAX, u32::MAX, 0x7fff_ffff], 10), 4);
    let mut found = [0; 10];
    philox(1, 0, &[0], 400_000).unwrap().as_chunks().0.iter().for_each(|words| {
        found[usize::try_from(below(*words, 10)).unwrap()] += 1;
    });
    assert!(found.iter().all(|count| (9_500..10_500).contains(count)), "{found:?}"); // five standard errors
}

#[test]
fn streams_seeds_and_indices_do_not_touch() {
    let base = philox(1, 2, &[3], 64).unwrap();
    for (seed, stream, index) in [(2, 2, 3), (1 | 1 << 32, 2, 3), (1, 3, 3), (1, 2, 4), (1, 2, 3 | 1 << 32), (1, 2, -3)]
    {
        let other = philox(seed, stream, &[index], 64).unwrap();
        assert!(base.iter().zip(&other).all(|(a, b)| a != b), "{seed} {stream} {index}");
    }
}

#[test]
fn threads_change_nothing() {
    let index: Vec<i64> = (-5..5).collect();
    let with = |threads, count| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| normals(9, 1, &index, count).unwrap())
    };
    for count in [9_001, 70_001] {
        assert!(with(1, count) == with(4, count), "{count} numbers a row");
    }
}

#[test]
fn too_much_is_refused() {
    assert!(matches!(philox(0, 0, &[0], usize::MAX / 4), Err(Error::TooLarge { rows: 1, .. })));
    assert!(matches!(philox(0, 0, &vec![0; 1 << 20], 1 << 33), Err(Error::TooLarge { .. })));
    assert!(philox(0, 0, &[], 1 << 20).unwrap().is_empty());
    assert!(philox(0, 0, &[1, 2], 0).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_slice_gives_the_same_words(
        seed: u64, stream: u32, index in prop::collection::vec(any::<i64>(), 1..6), count in 1_usize..40_000, cut: prop::sample::Index,
    ) {
        let all = philox(seed, stream, &index, count).unwrap();
        let row = cut.index(index.len());
        prop_assert_eq!(&all[row * count..][..count], &philox(seed, stream, &index[row..=row], count).unwrap()[..]);
        let short = cut.index(count) + 1;
        prop_assert_eq!(&all[row * count..][..short], &philox(seed, stream, &index[row..=row], short).unwrap()[..]);
        #[allow(clippy::cast_possible_truncation)]
        let low = |word: u64| word as u32;
        let bits = index[row].cast_unsigned();
        let element = short - 1;
        let block = block(
            [low(seed), low(seed >> 32)],
            [u32::try_from(element / 4).unwrap(), low(bits), low(bits >> 32), stream],
        );
        prop_assert_eq!(all[row * count + element], block[element % 4]);
    }

    #[test]
    fn numbers_are_maps_of_words(seed: u64, index: i64, count in 1_usize..70_000) {
        let words = philox(seed, 0, &[index], count).unwrap();
        let same = |(word, number): (&u32, &f32)| normal(*word).to_bits() == number.to_bits();
        prop_assert!(words.iter().zip(&normals(seed, 0, &[index], count).unwrap()).all(same));
        prop_assert!(words.iter().zip(&uniforms(seed, 0, &[index], count).unwrap()).all(|(&w, &u)| uniform(w) == u));
    }
}
