//! What the pool knows of entries.

use super::{HOPS, Hop, LatentPool, Place};
use crate::error::data;
use crate::priority::priority;
use crate::{Error, Result};

/// Columns of n entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entries {
    /// Index of the root latent, `[n]`.
    pub root: Vec<i64>,
    /// Number of hops, `[n]`, 0 to 8.
    pub hops: Vec<i64>,
    /// Index of each hop, row-major `[n, 8]`, -1 beyond `hops`.
    pub index: Vec<i64>,
    /// Scale of each hop, row-major `[n, 8]`, 0 beyond `hops`.
    pub scale: Vec<f32>,
    /// Similarity at the last visit, row-major `[students, n]`.
    pub latest: Vec<f32>,
    /// Smoothed similarity, row-major `[students, n]`.
    pub smoothed: Vec<f32>,
    /// The teacher's cosine between a face and its mirror image, `[n]`.
    pub reliability: Vec<f32>,
    /// Gap of the smoothed similarity that steers, x reliability, `[n]`.
    pub priority: Vec<f32>,
    /// Group, `[n]`, -1 where unknown.
    pub group: Vec<i64>,
    /// Number of visits, the push included, `[n]`.
    pub visits: Vec<i64>,
    /// Images seen at the last visit, `[n]`.
    pub last_visit: Vec<i64>,
    /// Number of the push, counted from 0 over the pool's life, `[n]`.
    pub pushed: Vec<i64>,
}

impl LatentPool {
    /// Return what is known of entries.
    ///
    /// # Errors
    /// [`Error::Data`] for an id that is not in the pool (any more), [`Error::TooLarge`] where memory is short.
    pub fn entries(&self, id: &[i64]) -> Result<Entries> {
        let places = self.places_of(id)?;
        // A column at a time: what a column reads, far apart in memory, is then waited for together.
        let (mut index, mut scale) = (Vec::new(), Vec::new());
        let numbers = places.len() * HOPS;
        let too_large = |_| Error::TooLarge { rows: places.len(), count: HOPS };
        index.try_reserve_exact(numbers).map_err(too_large)?;
        scale.try_reserve_exact(numbers).map_err(too_large)?;
        index.resize(numbers, -1);
        scale.resize(numbers, 0.0);
        let found: Vec<&Place> = places.iter().map(|&place| &self.places[place]).collect();
        let mut take = |row: usize, hop: usize, Hop { index: number, scale: size }| {
            (index[row * HOPS + hop], scale[row * HOPS + hop]) = (number, size);
        };
        for (row, place) in found.iter().enumerate().filter(|(_, place)| place.hops > 0) {
            take(row, 0, place.first);
        }
        self.chains.each(found.iter().map(|place| place.chain), |row, hop, found| take(row, 1 + hop, found));
        let beside = self.beside();
        let others = |offset: usize| {
            let each = (offset..offset + beside / 2).flat_map(|at| places.iter().map(move |place| (at, place)));
            each.map(|(at, place)| self.others[beside * place + at])
        };
        Ok(Entries {
            root: found.iter().map(|place| place.root).collect(),
            hops: found.iter().map(|place| place.hops.into()).collect(),
            index,
            scale,
            latest: found.iter().map(|place| place.latest).chain(others(0)).collect(),
            smoothed: found.iter().map(|place| place.smoothed).chain(others(beside / 2)).collect(),
            reliability: found.iter().map(|place| place.reliability).collect(),
            priority: places.iter().map(|&place| self.priority(place)).collect(),
            group: found.iter().map(|place| place.group.into()).collect(),
            visits: found.iter().map(|place| place.visits.into()).collect(),
            last_visit: found.iter().map(|place| place.last_visit).collect(),
            pushed: places.iter().map(|&place| self.tree.age(place).cast_signed()).collect(),
        })
    }

    /// Return the vectors of entries, row-major `[n, vector_length]`: float16's numbers, of which each is one of float32.
    ///
    /// # Errors
    /// [`Error::Data`] for an id that is not in the pool (any more), [`Error::TooLarge`] where memory is short.
    pub fn vectors(&self, id: &[i64]) -> Result<Vec<f32>> {
        self.vectors.read(&self.places_of(id)?)
    }

    fn places_of(&self, id: &[i64]) -> Result<Vec<usize>> {
        let mut places = Vec::with_capacity(id.len());
        for &id in id {
            let Some(place) = self.place(id) else { return data("ids of entries in the pool", id) };
            places.push(place);
        }
        Ok(places)
    }

    /// Return the priority and the group of every entry, in the order of `ids`.
    #[must_use]
    pub fn priorities(&self) -> (Vec<f32>, Vec<i64>) {
        self.filled().map(|place| (self.priority(place), i64::from(self.places[place].group))).unzip()
    }

    /// Return the smoothed similarity that steers.
    pub(super) fn steering(&self, place: usize) -> f32 {
        self.config.steer.of(self.smoothed(place))
    }

    pub(super) fn priority(&self, place: usize) -> f32 {
        priority(self.steering(place), self.places[place].reliability)
    }
}
