//! Histograms over a pool.

use std::collections::BTreeMap;

use super::{HOPS, LatentPool};
use crate::priority::gap;

/// Bins of `Statistics::difficulty`, each 0.05 wide.
const GAP_BINS: usize = 40;
const BINS_TO_ONE: f32 = 20.0;

/// Numbers of entries, by what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// By gap of the smoothed similarity that steers: bin b holds [b / 20, (b + 1) / 20), the last all beyond; `[40]`.
    pub difficulty: Vec<i64>,
    /// By images seen since the last visit: bin 0 holds 0, bin b [2^(b - 1), 2^b); `[64]`.
    pub age: Vec<i64>,
    /// By number of hops; `[9]`.
    pub hops: Vec<i64>,
    /// By group, -1 where unknown.
    pub group: BTreeMap<i64, i64>,
}

impl LatentPool {
    /// Count the entries by difficulty, age, chain length and group.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a gap lies within [0, 2.01]
    pub fn statistics(&self, images_seen: i64) -> Statistics {
        let (difficulty, age, hops) = (vec![0; GAP_BINS], vec![0; 64], vec![0; HOPS + 1]);
        let mut counts = Statistics { difficulty, age, hops, group: BTreeMap::new() };
        for place in self.filled() {
            let found = &self.places[place];
            let bin = (gap(self.steering(place)) * BINS_TO_ONE) as usize;
            counts.difficulty[bin.min(GAP_BINS - 1)] += 1;
            let since = images_seen.saturating_sub(found.last_visit).max(0);
            counts.age[(64 - since.leading_zeros()) as usize] += 1;
            counts.hops[usize::from(found.hops)] += 1;
            *counts.group.entry(i64::from(found.group)).or_insert(0) += 1;
        }
        counts
    }
}
