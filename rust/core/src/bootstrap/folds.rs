//! Ten-fold accuracy of weighted pairs: `crate::tenfold` where every pair may count several times, or not at all.

use crate::Result;
use crate::pairs::rate;
use crate::tenfold::{FOLDS, Protocol, between, check, field_grid, folds};

/// Pairs in file order, prepared for the choice of thresholds.
pub struct Folds<'a> {
    distance: &'a [f64],
    mated: &'a [bool],
    /// Fold of each pair.
    fold: Vec<usize>,
    /// Places by ascending distance.
    order: Vec<usize>,
    /// The field's grid, and for each pair the first of its thresholds that accepts it; none for exact thresholds.
    grid: Option<(Vec<f64>, Vec<usize>)>,
}

impl<'a> Folds<'a> {
    /// Take pairs that were checked; ten at least.
    pub fn new(distance: &'a [f64], mated: &'a [bool], protocol: Protocol) -> Result<Self> {
        check(distance, mated)?;
        let mut order: Vec<usize> = (0..distance.len()).collect();
        order.sort_unstable_by(|&a, &b| distance[a].total_cmp(&distance[b]));
        let fold = folds(distance.len()).into_iter().enumerate().flat_map(|(fold, range)| range.map(move |_| fold));
        let grid = (protocol == Protocol::InsightFace).then(|| {
            let grid = field_grid();
            let first = distance.iter().map(|&distance| grid.partition_point(|&threshold| threshold <= distance));
            let first = first.collect();
            (grid, first)
        });
        Ok(Self { distance, mated, fold: fold.collect(), order, grid })
    }

    /// Return the mean accuracy of the folds that hold pairs, each pair counting `weight` times.
    pub fn accuracy(&self, weight: &[usize]) -> f64 {
        let threshold = match &self.grid {
            Some((grid, first)) => self.grid_thresholds(weight, grid, first),
            None => self.exact_thresholds(weight),
        };
        let (mut right, mut all) = ([0; FOLDS], [0; FOLDS]);
        for (place, &weight) in weight.iter().enumerate() {
            let fold = self.fold[place];
            all[fold] += weight;
            if (self.distance[place] < threshold[fold]) == self.mated[place] {
                right[fold] += weight;
            }
        }
        let shares: Vec<f64> =
            right.iter().zip(all).filter(|(_, all)| *all > 0).map(|(&right, all)| rate(right, all)).collect();
        shares.iter().sum::<f64>() * rate(1, shares.len())
    }

    /// What accepting a pair adds to the weight of correct decisions.
    #[allow(clippy::cast_possible_wrap)] // squares of numbers of subjects, below 2^53
    fn gain(&self, weight: &[usize], place: usize) -> i64 {
        let gain = weight[place] as i64;
        if self.mated[place] { gain } else { -gain }
    }

    fn grid_thresholds(&self, weight: &[usize], grid: &[f64], first: &[usize]) -> [f64; FOLDS] {
        let mut gains = vec![[0; FOLDS]; grid.len()]; // by threshold and fold; pairs beyond the grid are never accepted
        for (place, &at) in first.iter().enumerate() {
            if let Some(gains) = gains.get_mut(at) {
                gains[self.fold[place]] += self.gain(weight, place);
            }
        }
        let mut best = Best::new(i64::MIN);
        for (number, gains) in gains.iter().enumerate() {
            gains.iter().enumerate().for_each(|(fold, &gain)| best.add(fold, gain));
            best.keep(number);
        }
        best.place.map(|place| grid[place])
    }

    fn exact_thresholds(&self, weight: &[usize]) -> [f64; FOLDS] {
        let mut best = Best::new(0);
        let mut place = 0;
        for group in self.order.chunk_by(|&a, &b| self.distance[a] == self.distance[b]) {
            for &pair in group {
                best.add(self.fold[pair], self.gain(weight, pair));
            }
            place += group.len();
            best.keep(place);
        }
        std::array::from_fn(|fold| {
            let (accepted, rest) = self.order.split_at(best.place[fold]);
            // The nearest training pairs that the replicate has.
            let counts = |pair: &&usize| weight[**pair] > 0 && self.fold[**pair] != fold;
            let below = accepted.iter().rev().find(counts).map(|&pair| self.distance[pair]);
            match (below, rest.iter().find(counts).map(|&pair| self.distance[pair])) {
                (Some(below), Some(above)) => between(below, above),
                (Some(last), None) => last.next_up(),
                (None, first) => first.unwrap_or(0.0),
            }
        })
    }
}

/// The first best place for each fold's training pairs, which are all but its own.
struct Best {
    all: i64,
    own: [i64; FOLDS],
    gain: [i64; FOLDS],
    place: [usize; FOLDS],
}

impl Best {
    /// `least` is what a place must exceed.
    fn new(least: i64) -> Self {
        Self { all: 0, own: [0; FOLDS], gain: [least; FOLDS], place: [0; FOLDS] }
    }

    fn add(&mut self, fold: usize, gain: i64) {
        self.all += gain;
        self.own[fold] += gain;
    }

    fn keep(&mut self, place: usize) {
        for fold in 0..FOLDS {
            let gain = self.all - self.own[fold];
            if gain > self.gain[fold] {
                (self.gain[fold], self.place[fold]) = (gain, place);
            }
        }
    }
}
