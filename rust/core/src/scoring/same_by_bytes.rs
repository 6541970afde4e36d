//! Answers by products of bytes are those by single precision, to the bit, and both are those of the cosines in double
//! precision; the bound holds for rows made to break it.

use super::all_pairs::rate_by;
use super::bytes::{COLUMNS, Maker, ROWS, Tile};
use super::coarse::{Between, Columns, Rows};
use super::embeddings::{Embeddings, Exact};
use super::nearest::Coarse;
use super::search::{Found, search_by};
use crate::normals::normals;

/// Kinds of rows.
const KINDS: [&str; 8] = ["random", "copies", "cluster", "one large", "halves", "huge", "tiny", "signs"];

/// What the tests multiply by: a stand-in everywhere, and the instruction where it is.
fn makers() -> Vec<Maker> {
    [Some(Maker::portable()), Maker::new()].into_iter().flatten().collect()
}

/// Rows of a kind.
fn rows(kind: &str, seed: u64, count: usize, dim: usize) -> Vec<f32> {
    let numbers: Vec<i64> = (0..i64::try_from(count).unwrap()).collect();
    let mut values = normals(seed, 0, &numbers, dim).unwrap();
    let centre = normals(7, 1, &[0], dim).unwrap();
    for (place, row) in values.chunks_exact_mut(dim).enumerate() {
        match kind {
            "copies" if place % 3 > 0 => row.copy_from_slice(&centre),
            "cluster" => row.iter_mut().zip(&centre).for_each(|(value, centre)| *value = centre + 0.02 * *value),
            "one large" => row[place % dim] = 300.0,
            // Halfway between two steps all along, so that rounding takes away the most it can.
            "halves" => {
                let sign = |value: f32| if value < 0.0 { -1.0 } else { 1.0 };
                for value in row.iter_mut() {
                    *value = (0.5 + 3.0 * (*value * 10.0).trunc()).abs() * sign(*value);
                }
                row[place % dim] = 127.0;
            }
            "huge" => row.iter_mut().for_each(|value| *value *= 1e37),
            "tiny" => row.iter_mut().for_each(|value| *value *= 1e-43),
            "signs" => row.iter_mut().for_each(|value| *value = value.signum()),
            _ => {}
        }
        row[0] = if row.iter().all(|value| *value == 0.0) { f32::MIN_POSITIVE } else { row[0] };
    }
    values
}

/// The nearest by double precision, one after another.
fn brute(probes: Exact<'_>, gallery: Exact<'_>, count: usize) -> Vec<Found> {
    let of = |probe: usize| {
        let score = |index: u32| Found { index, score: probes.to(probe, &gallery, index as usize) };
        let mut all: Vec<Found> = (0..).take(gallery.rows.len()).map(score).collect();
        all.sort_by(|a, b| b.score.total_cmp(&a.score));
        all.truncate(count);
        all
    };
    (0..probes.rows.len()).flat_map(of).collect()
}

fn check_search(kind: &str, seed: u64, (gallery, probes, dim, count): (usize, usize, usize, usize)) {
    let (values, others) = (rows(kind, seed, gallery, dim), rows(kind, seed + 1, probes, dim));
    let (gallery, probes) = (Embeddings::new(&values, dim).unwrap(), Embeddings::new(&others, dim).unwrap());
    let (of_gallery, of_probes) = (gallery.squares().unwrap(), probes.squares().unwrap());
    let exact = (Exact { rows: probes, squares: &of_probes }, Exact { rows: gallery, squares: &of_gallery });
    let expected = brute(exact.0, exact.1, count);
    assert_eq!(search_by(None, &gallery, &probes, count).unwrap(), expected, "{kind}");
    for maker in makers() {
        assert_eq!(search_by(Some(maker), &gallery, &probes, count).unwrap(), expected, "{kind}, {maker:?}");
        let mut found = Vec::new();
        if Coarse::new(maker, exact.0, exact.1, count).unwrap().search(&mut found) {
            assert_eq!(found, expected, "{kind}, {maker:?}");
        } else {
            assert!(found.is_empty() && matches!(kind, "copies" | "cluster" | "one large"), "{kind}");
        }
    }
}

#[test]
fn searches_agree() {
    let sizes: &[_] =
        if cfg!(miri) { &[(70, 7, 5, 1)] } else { &[(700, 130, 24, 5), (901, 13, 37, 9), (330, 6, 3, 5)] };
    for kind in KINDS {
        for (seed, sizes) in (0..).zip(sizes) {
            check_search(kind, seed, *sizes);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "threads of a pool, and too slow")]
fn searches_of_any_number_of_threads_agree() {
    for threads in [1, 2, 5, 24] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| check_search("random", 9, (5000, 260, 32, 7)));
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow")]
fn where_all_are_alike_bytes_are_given_up() {
    let (values, probes) = (vec![1.0_f32; 3000 * 8], rows("random", 1, 12, 8));
    let (gallery, probes) = (Embeddings::new(&values, 8).unwrap(), Embeddings::new(&probes, 8).unwrap());
    let (of_gallery, of_probes) = (gallery.squares().unwrap(), probes.squares().unwrap());
    let exact = (Exact { rows: probes, squares: &of_probes }, Exact { rows: gallery, squares: &of_gallery });
    for maker in makers() {
        let mut found = vec![Found { index: 3, score: 0.5 }];
        assert!(!Coarse::new(maker, exact.0, exact.1, 1).unwrap().search(&mut found));
        assert_eq!(found.len(), 1);
        assert_eq!(search_by(Some(maker), &gallery, &probes, 1).unwrap(), brute(exact.0, exact.1, 1));
    }
}

#[test]
#[cfg_attr(miri, ignore = "a million pairs are drawn for the guess")]
fn rates_of_all_pairs_agree() {
    for kind in KINDS {
        for (dim, count) in [(32, 300), (37, 131)] {
            let values = rows(kind, 3, count, dim);
            let embeddings = Embeddings::new(&values, dim).unwrap();
            let subject: Vec<i64> = (0..i64::try_from(count).unwrap()).map(|place| place * 7 % 90).collect();
            let asked: [(&[f64], &[f64], usize); 4] = [
                (&[1e-3], &[], 0),
                (&[0.1, 1e-2, 1e-3, 0.0], &[0.3], 50),
                (&[1.0, 0.6], &[-2.0, -0.1, 1.0, 2.0], 0),
                (&[], &[0.5], 3),
            ];
            for asked in asked {
                // There are mated pairs, so no FNMR is NaN.
                let expected = rate_by(None, &embeddings, &subject, asked).unwrap();
                for maker in makers() {
                    let got = rate_by(Some(maker), &embeddings, &subject, asked).unwrap();
                    assert_eq!(got, expected, "{kind}, {maker:?}, {asked:?}");
                }
            }
        }
    }
}

#[test]
fn no_cosine_is_beyond_its_bound() {
    let sizes: &[_] =
        if cfg!(miri) { &[(8, 66, 9)] } else { &[(20, 130, 64), (9, 70, 1), (7, 65, 515), (6, 64, 2048)] };
    for kind in KINDS {
        for &(count, others, dim) in sizes {
            let (a, b) = (rows(kind, 5, count, dim), rows(kind, 6, others, dim));
            let (a, b) = (Embeddings::new(&a, dim).unwrap(), Embeddings::new(&b, dim).unwrap());
            check_bound(kind, a, b);
        }
    }
}

fn check_bound(kind: &str, a: Embeddings<'_>, b: Embeddings<'_>) {
    let (of_a, of_b) = (a.squares().unwrap(), b.squares().unwrap());
    let (exact, other) = (Exact { rows: a, squares: &of_a }, Exact { rows: b, squares: &of_b });
    let direction = |side: Exact<'_>, place, out: &mut [f32]| side.rows.direction(side.squares, place, out);
    let rows = Rows::new(a.len(), a.dim(), true, |place, out| direction(exact, place, out)).unwrap();
    let columns = Columns::new(b.len(), b.dim(), true, |place, out| direction(other, place, out)).unwrap();
    let (mut tile, mut rests) = (Tile::new(), Tile::new());
    let none = || Between { low: [0; COLUMNS], within: [0; COLUMNS], high: [0; COLUMNS] };
    let (mut coarse, mut fine) = (none(), none());
    for row in 0..a.len() {
        for panel in 0..b.len().div_ceil(COLUMNS) {
            let (group, all) = (row / ROWS, [i32::MIN; ROWS]);
            Maker::portable().multiply([(rows.group(group), columns.panel(panel))], &all, &mut tile);
            let factors = [(rows.group(group), columns.rest(panel)), (rows.rest(group), columns.panel(panel))];
            Maker::portable().multiply(factors, &all, &mut rests);
            let bound = rows.bound(row, &columns, panel);
            let (sums, rests) = (&tile.sums[row % ROWS], &rests.sums[row % ROWS]);
            bound.buckets(sums, None, &mut coarse);
            bound.buckets(sums, Some(rests), &mut fine);
            for (column, sum) in sums.iter().enumerate().take(b.len() - panel * COLUMNS) {
                let cosine = exact.to(row, &other, panel * COLUMNS + column);
                let estimate = bound.estimate(*sum);
                assert!((estimate - cosine).abs() <= bound.margin, "{kind}: {estimate}, {cosine}, {bound:?}");
                assert!(*sum >= bound.least(cosine) && bound.margin < 1.0, "{kind}: {bound:?}");
                #[allow(clippy::cast_possible_truncation)] // as all buckets of double precision are found
                let bucket = super::buckets::bucket(cosine as f32);
                for found in [&coarse, &fine] {
                    assert!((found.low[column]..=found.high[column]).contains(&bucket), "{kind}, {bucket}");
                    assert!((found.low[column]..=found.high[column]).contains(&found.within[column]));
                }
                assert!(fine.high[column] - fine.low[column] <= coarse.high[column] - coarse.low[column] + 2);
            }
        }
    }
}
