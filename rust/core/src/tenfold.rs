//! Ten-fold verification accuracy: as the field's script computes it, and with exact thresholds.
//!
//! Pairs stand in file order in ten contiguous folds (the first `P % 10` folds hold one more). A pair is accepted if its
//! squared distance is *below* the threshold. For each fold the first best threshold of the nine others is applied to it.
//! Source of protocol `insightface`: `verification.py` of `deepinsight/insightface`, itself after `facenet`.

use std::ops::Range;

use crate::Result;
use crate::pairs::{self, Count, rate};

pub(crate) const FOLDS: usize = 10;
const FAR: f64 = 1e-3;

/// Which thresholds are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The field's grid: 0, 0.01, ..., 3.99.
    InsightFace,
    /// Every way of splitting the training pairs: the lowest distance, midpoints between neighbours, and the number just
    /// above the highest distance.
    Exact,
}

/// What [`tenfold_accuracy`] returns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TenFold {
    /// Share of correct decisions on each fold.
    pub accuracy: [f64; FOLDS],
    /// Threshold applied to each fold.
    pub threshold: [f64; FOLDS],
    /// Mean over the folds of the share of mated pairs accepted at a threshold chosen for FAR 1e-3.
    pub tar: f64,
    /// Population standard deviation of that share over the folds.
    pub tar_std: f64,
    /// Mean over the folds of the share of non-mated pairs accepted there.
    pub far: f64,
}

/// Return accuracy and threshold of each fold from squared L2 distances.
///
/// TAR and FAR are the field's `val` and `far` in both protocols: on the grid 0, 0.001, ..., 3.999 the threshold is
/// interpolated linearly to FAR 1e-3 on the training folds, 0 where the grid never reaches it. FAR is a staircase, so
/// several grid points share a value; the last one of a stair counts (as in `SciPy` up to 1.8.1; later versions refuse
/// duplicates, and the script with them). Folds without mated (non-mated) pairs do not enter TAR (FAR).
///
/// # Errors
/// [`crate::Error::Scores`] for fewer than ten pairs, a NaN or infinite distance, pairs of one kind only, or unequal lengths.
pub fn tenfold_accuracy(distance: &[f64], mated: &[bool], protocol: Protocol) -> Result<TenFold> {
    check(distance, mated)?;
    let folds = folds(mated.len());
    let threshold = match protocol {
        Protocol::InsightFace => grid_thresholds(distance, mated, &folds),
        Protocol::Exact => exact_thresholds(distance, mated, &folds),
    };
    let accuracy = std::array::from_fn(|fold| {
        let range = folds[fold].clone();
        let pairs = distance[range.clone()].iter().zip(&mated[range.clone()]);
        rate(pairs.filter(|&(&distance, &mated)| (distance < threshold[fold]) == mated).count(), range.len())
    });
    let (tar, tar_std, far) = tar_at_far(distance, mated, &folds);
    Ok(TenFold { accuracy, threshold, tar, tar_std, far })
}

/// Refuse what no accuracy can be computed from.
pub(crate) fn check(distance: &[f64], mated: &[bool]) -> Result<()> {
    pairs::check("distance", distance, mated)?;
    if mated.len() < FOLDS {
        return pairs::fail("at least ten pairs, one a fold", mated.len().to_string());
    }
    Ok(())
}

pub(crate) fn folds(pairs: usize) -> [Range<usize>; FOLDS] {
    let (size, larger) = (pairs / FOLDS, pairs % FOLDS);
    let start = |fold: usize| fold * size + fold.min(larger);
    std::array::from_fn(|fold| start(fold)..start(fold + 1))
}

/// Accepted pairs of each fold at each threshold of an ascending grid.
struct Accepted {
    /// `[fold][i]`: pairs of the fold with distance < grid[i].
    of_fold: Vec<Vec<Count>>,
    all: Vec<Count>,
}

impl Accepted {
    fn new(distance: &[f64], mated: &[bool], folds: &[Range<usize>], grid: &[f64]) -> Self {
        let mut all = vec![Count { mated: 0, nonmated: 0 }; grid.len()];
        let mut of_fold = Vec::with_capacity(folds.len());
        for fold in folds {
            let mut counts = vec![Count { mated: 0, nonmated: 0 }; grid.len()];
            for (&distance, &mated) in distance[fold.clone()].iter().zip(&mated[fold.clone()]) {
                // The first threshold above the distance; one beyond the grid accepts it nowhere.
                if let Some(count) = counts.get_mut(grid.partition_point(|&threshold| threshold <= distance)) {
                    *(if mated { &mut count.mated } else { &mut count.nonmated }) += 1;
                }
            }
            let mut sum = Count { mated: 0, nonmated: 0 };
            for (count, all) in counts.iter_mut().zip(&mut all) {
                sum = Count { mated: sum.mated + count.mated, nonmated: sum.nonmated + count.nonmated };
                *count = sum;
                *all = Count { mated: all.mated + sum.mated, nonmated: all.nonmated + sum.nonmated };
            }
            of_fold.push(counts);
        }
        Self { of_fold, all }
    }

    /// Pairs outside `fold` accepted at each threshold.
    fn training(&self, fold: usize) -> impl Iterator<Item = Count> {
        let counts = self.all.iter().zip(&self.of_fold[fold]);
        counts.map(|(all, own)| Count { mated: all.mated - own.mated, nonmated: all.nonmated - own.nonmated })
    }
}

/// The numbers i * step below 4, as `numpy.arange(0, 4, step)` computes them.
fn grid(step: f64, count: u32) -> Vec<f64> {
    (0..count).map(|i| f64::from(i) * step).collect()
}

/// The thresholds of protocol `insightface`.
pub(crate) fn field_grid() -> Vec<f64> {
    grid(0.01, 400)
}

fn grid_thresholds(distance: &[f64], mated: &[bool], folds: &[Range<usize>; FOLDS]) -> [f64; FOLDS] {
    let grid = field_grid();
    let accepted = Accepted::new(distance, mated, folds, &grid);
    std::array::from_fn(|fold| {
        let nonmated = |pairs: &[bool]| pairs.iter().filter(|&&mated| !mated).count();
        let training = nonmated(mated) - nonmated(&mated[folds[fold].clone()]);
        let correct = accepted.training(fold).map(|count| count.mated + training - count.nonmated);
        grid[first_best(correct)]
    })
}

fn first_best(correct: impl Iterator<Item = usize>) -> usize {
    let best = |best: (usize, usize), next: (usize, usize)| if next.1 > best.1 { next } else { best };
    correct.enumerate().reduce(best).map_or(0, |(place, _)| place)
}

fn exact_thresholds(distance: &[f64], mated: &[bool], folds: &[Range<usize>; FOLDS]) -> [f64; FOLDS] {
    let mut order: Vec<usize> = (0..distance.len()).collect();
    order.sort_unstable_by(|&a, &b| distance[a].total_cmp(&distance[b]));
    std::array::from_fn(|fold| {
        let training: Vec<usize> = order.iter().copied().filter(|pair| !folds[fold].contains(pair)).collect();
        let groups: Vec<&[usize]> = training.chunk_by(|&a, &b| distance[a] == distance[b]).collect();
        // Accepting one group of equal distances more changes the number of correct decisions by mated - non-mated.
        let mut gain = 0_isize;
        let (mut best, mut place) = (0, 0);
        for (number, group) in groups.iter().enumerate() {
            gain += group.iter().map(|&pair| if mated[pair] { 1 } else { -1 }).sum::<isize>();
            if gain > best {
                (best, place) = (gain, number + 1);
            }
        }
        let at = |number: usize| groups.get(number).map(|group| distance[group[0]]);
        match (place.checked_sub(1).and_then(at), at(place)) {
            (Some(below), Some(above)) => between(below, above),
            (Some(last), None) => last.next_up(),
            (None, first) => first.unwrap_or(0.0),
        }
    })
}

/// Return a threshold that accepts `below` and rejects `above`.
pub(crate) fn between(below: f64, above: f64) -> f64 {
    let middle = f64::midpoint(below, above);
    if middle > below { middle } else { above } // neighbours in float64 have no number between them
}

/// Return mean and standard deviation of TAR, and mean FAR.
fn tar_at_far(distance: &[f64], mated: &[bool], folds: &[Range<usize>; FOLDS]) -> (f64, f64, f64) {
    let grid = grid(0.001, 4000);
    let accepted = Accepted::new(distance, mated, folds, &grid);
    let (mut tar, mut far) = (Vec::new(), Vec::new());
    for (fold, range) in folds.iter().enumerate() {
        let outside = mated[..range.start].iter().chain(&mated[range.end..]);
        let nonmated = outside.filter(|&&mated| !mated).count();
        let curve: Vec<f64> = accepted.training(fold).map(|count| rate(count.nonmated, nonmated.max(1))).collect();
        let threshold = interpolate(&curve, &grid, FAR);
        let share = |kind: bool| {
            let pairs = distance[range.clone()].iter().zip(&mated[range.clone()]).filter(|&(_, &mated)| mated == kind);
            let (all, passed) = pairs
                .fold((0, 0), |(all, passed), (&distance, _)| (all + 1, passed + usize::from(distance < threshold)));
            (all > 0).then(|| rate(passed, all))
        };
        tar.extend(share(true));
        far.extend(share(false));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() * rate(1, values.len());
    let centre = mean(&tar);
    let spread: Vec<f64> = tar.iter().map(|value| (value - centre) * (value - centre)).collect();
    (centre, mean(&spread).sqrt(), mean(&far))
}

/// Return the threshold at which an ascending staircase reaches `target`, 0 where it never does or starts above it.
fn interpolate(curve: &[f64], grid: &[f64], target: f64) -> f64 {
    let above = curve.partition_point(|&far| far <= target);
    let Some(below) = above.checked_sub(1) else { return 0.0 };
    match curve.get(above) {
        Some(next) => grid[below] + (grid[above] - grid[below]) * (target - curve[below]) / (next - curve[below]),
        None if curve[below] >= target => grid[below],
        None => 0.0,
    }
}
