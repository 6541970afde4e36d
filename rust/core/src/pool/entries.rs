//! What the pool knows of entries.

use super::{HOPS, LatentPool};
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
        let mut places = Vec::with_capacity(id.len());
        for &id in id {
            let Some(place) = self.place(id) else { return data("ids of entries in the pool", id) };
            places.push(place);
        }
        let mut entries = Entries::default();
        let too_large = |_| Error::TooLarge { rows: places.len(), count: HOPS };
        entries.index.try_reserve_exact(places.len() * HOPS).map_err(too_large)?;
        entries.scale.try_reserve_exact(places.len() * HOPS).map_err(too_large)?;
        for &place in &places {
            self.add_to(&mut entries, place);
        }
        let students = self.config.students;
        for student in 0..students {
            let own =
                |offset| places.iter().map(move |place| self.similarity[(2 * place) * students + offset + student]);
            entries.latest.extend(own(0));
            entries.smoothed.extend(own(students));
        }
        Ok(entries)
    }

    /// Return the priority and the group of every entry, in the order of `ids`.
    #[must_use]
    pub fn priorities(&self) -> (Vec<f32>, Vec<i64>) {
        self.filled().map(|place| (self.priority(place), i64::from(self.places[place].group))).unzip()
    }

    /// Return the smoothed similarity that steers.
    pub(super) fn steering(&self, place: usize) -> f32 {
        let students = self.config.students;
        self.config.steer.of(&self.similarity[(2 * place + 1) * students..][..students])
    }

    pub(super) fn priority(&self, place: usize) -> f32 {
        priority(self.steering(place), self.places[place].reliability)
    }

    fn add_to(&self, entries: &mut Entries, place: usize) {
        let found = &self.places[place];
        entries.root.push(found.root);
        entries.hops.push(i64::from(found.hops));
        for hop in self.chains.hops(found.chain) {
            entries.index.push(hop.index);
            entries.scale.push(hop.scale);
        }
        entries.index.resize(entries.root.len() * HOPS, -1);
        entries.scale.resize(entries.root.len() * HOPS, 0.0);
        entries.reliability.push(found.reliability);
        entries.priority.push(self.priority(place));
        entries.group.push(i64::from(found.group));
        entries.visits.push(i64::from(found.visits));
        entries.last_visit.push(found.last_visit);
        entries.pushed.push(self.tree.age(place).cast_signed());
    }
}
