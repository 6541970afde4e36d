//! The pool: faces worth another visit, each a lineage from which its latent is recomputed, with how hard it is.
//!
//! An entry costs 70.1 + 8 students bytes and 16 more for each hop beyond the first: 78 to 190 for one student, 94 with
//! two hops; a vector in float16 2 more for each number, where a pool is made to keep them.
//! `observe`, `push`, `evict` and `draw` take O(log n) an entry. Draw weights are integers, 2^-30 of priority each.
//! The state is a function of the sequence of operations alone: processes that do the same hold the same pool.

mod arrivals;
mod chains;
mod config;
mod draw;
mod entries;
mod snapshot;
mod statistics;
mod vectors;

pub use arrivals::{Arrivals, Lineages, Pushed};
pub use chains::Hop;
pub use config::{Config, Eviction, Steer};
pub(crate) use draw::{check_number, shares};
pub use entries::Entries;
pub use statistics::Statistics;

use std::hint::black_box;
use std::iter::once;

use crate::priority::{MOST_COSINE, priority, weight};
use crate::tree::Tree;
use crate::{Error, Result, philox};
use arrivals::{check_images_seen, check_similarity};
use chains::Chains;
use vectors::Vectors;

/// Most hops of a lineage.
pub const HOPS: usize = 8;
/// Most entries of a pool.
pub const MOST_ENTRIES: usize = 1 << 28;
/// Most students of a pool.
pub const MOST_STUDENTS: usize = 64;

/// A fixed number of places for entries, named by ids: place + 2^32 x how often the place was vacated (modulo 2^31).
#[derive(Clone, Debug)]
pub struct LatentPool {
    config: Config,
    places: Vec<Place>,
    /// Of each place the latest similarities of all students but the first, then the smoothed ones.
    others: Vec<f32>,
    chains: Chains,
    vectors: Vectors,
    tree: Tree,
    /// Entries ever pushed, those refused included.
    pushed: u64,
}

/// What a place holds beside its weight and age, which are the tree's: one line of the cache, as nearly all of the time
/// that the pool takes goes into waiting for them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
struct Place {
    root: i64,
    last_visit: i64,
    /// The first hop, if there are any.
    first: Hop,
    /// The other hops.
    chain: u32,
    visits: u32,
    generation: u32,
    reliability: f32,
    /// Of the first student.
    latest: f32,
    smoothed: f32,
    group: i32,
    hops: u8,
}

/// Who makes room in the course of a push.
struct Departures {
    /// Places known to be the next.
    next: std::vec::IntoIter<usize>,
    /// Ids of those gone.
    evicted: Vec<i64>,
}

const VACANT: Place = Place {
    root: 0,
    last_visit: 0,
    first: chains::NONE,
    chain: chains::END,
    visits: 0,
    generation: 0,
    reliability: 0.0,
    latest: 0.0,
    smoothed: 0.0,
    group: 0,
    hops: 0,
};

impl LatentPool {
    /// Make an empty pool; memory is taken as places are first filled.
    ///
    /// # Errors
    /// [`Error::Config`] for a capacity outside 1 to 2^28, students outside 1 to 64, a smoothing outside [0, 1), or a
    /// student to steer by that does not exist.
    pub fn new(config: Config) -> Result<Self> {
        Self::with_vectors(config, 0)
    }

    /// Make an empty pool that keeps a vector of `length` numbers of each entry, in float16: 2 bytes each.
    ///
    /// # Errors
    /// Those of [`Self::new`], and [`Error::Config`] for a length of more than 65536.
    pub fn with_vectors(config: Config, length: usize) -> Result<Self> {
        config.check()?;
        Ok(Self {
            config,
            places: Vec::new(),
            others: Vec::new(),
            chains: Chains::new(),
            vectors: Vectors::new(length)?,
            tree: Tree::new(config.eviction.leaver(), &[], &[]),
            pushed: 0,
        })
    }

    /// Return the settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Return the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tree.count()
    }

    /// Return whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Return the bytes of memory held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let places = size_of::<Place>() * self.places.capacity() + 4 * self.others.capacity();
        places + self.chains.bytes() + self.vectors.bytes() + self.tree.bytes()
    }

    /// Return how many numbers the vectors have, 0 where none are kept.
    #[must_use]
    pub fn vector_length(&self) -> usize {
        self.vectors.length()
    }

    /// Return the sum of the draw weights, in units of 2^-30 of priority; exact.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.tree.total()
    }

    /// Add entries, one after the other, a full pool making room by its rule.
    ///
    /// Under [`Eviction::Easiest`] an entry easier than all others is not taken in.
    ///
    /// # Errors
    /// [`Error::Data`] for values out of range or of unequal lengths, [`Error::TooLarge`] where memory is short; the pool
    /// is then as before.
    pub fn push(&mut self, arrivals: &Arrivals) -> Result<Pushed> {
        self.push_vectors(arrivals, &[])
    }

    /// As [`Self::push`], with the vectors of a pool that keeps them, row-major `[n, length]`; each number is rounded
    /// to the nearest of float16, of two to the even one.
    ///
    /// # Errors
    /// Those of [`Self::push`], and [`Error::Data`] for another number of numbers, or one that is not finite or rounds
    /// to none of float16's, which end at 65504.
    pub fn push_vectors(&mut self, arrivals: &Arrivals, vector: &[f32]) -> Result<Pushed> {
        let count = arrivals.check(self.config.students)?;
        self.vectors.check(vector, count)?;
        let beyond_first = |&hops: &i64| usize::try_from(hops - 1).unwrap_or(0);
        let hops = arrivals.lineage.hops.iter().map(beyond_first).sum();
        self.chains.reserve(hops)?;
        self.make_room(count)?;
        let mut departures = Departures { next: Vec::new().into_iter(), evicted: Vec::with_capacity(count) };
        let mut id = Vec::with_capacity(count);
        for row in 0..count {
            let place = self.push_one(arrivals, row, count, &mut departures);
            if let Some(place) = place {
                self.vectors.set(place, &vector[row * self.vectors.length()..]);
            }
            id.push(place.map_or(-1, |place| self.id(place)));
        }
        self.tree.settle();
        Ok(Pushed { id, evicted: departures.evicted })
    }

    /// Take note of similarities, row-major `[students, id.len()]`, and return which ids are still in the pool.
    ///
    /// # Errors
    /// [`Error::Data`] for a number that is no cosine, another length, or a negative `images_seen`; nothing is then noted.
    pub fn observe(&mut self, id: &[i64], similarity: &[f32], images_seen: i64) -> Result<Vec<bool>> {
        check_similarity(similarity, self.config.students, id.len())?;
        check_images_seen(images_seen)?;
        // One thing at a time for all of them, for then the places, far apart in memory, are waited for together.
        let places: Vec<Option<usize>> = id.iter().map(|&id| self.place(id)).collect();
        black_box(places.iter().flatten().map(|&place| self.tree.touch(place)).fold(0, u64::wrapping_add));
        let mut noted = Vec::with_capacity(id.len());
        for (row, place) in places.iter().enumerate() {
            let latest = similarity.iter().skip(row).step_by(id.len()).copied();
            noted.extend(place.map(|place| (place, self.note(place, latest, images_seen, false))));
        }
        for (place, weight) in noted {
            self.tree.set(place, weight);
        }
        self.tree.settle();
        Ok(places.iter().map(Option::is_some).collect())
    }

    /// Remove entries and return which ids were still in the pool.
    pub fn evict(&mut self, id: &[i64]) -> Vec<bool> {
        let known = id.iter().map(|&id| self.place(id).map(|place| self.vacate(place)).is_some()).collect();
        self.tree.settle();
        known
    }

    /// Return where an entry is, if it still is.
    fn place(&self, id: i64) -> Option<usize> {
        let place = usize::try_from(id & 0xffff_ffff).ok()?;
        let found = self.places.get(place)?;
        (i64::from(found.generation) == id >> 32 && found.visits > 0).then_some(place)
    }

    fn id(&self, place: usize) -> i64 {
        i64::from(self.places[place].generation) << 32 | i64::try_from(place).unwrap_or(i64::MAX)
    }

    /// Let `count` more places fit, growing by halves up to the capacity.
    fn make_room(&mut self, count: usize) -> Result<()> {
        let used = self.places.len();
        let needed = (self.len() + count).min(self.config.capacity);
        if needed <= self.places.capacity() {
            return Ok(());
        }
        let more = needed.max(used + used / 2).min(self.config.capacity) - used;
        let failed = |_| Error::TooLarge { rows: more, count: 18 + 2 * self.config.students };
        self.others.try_reserve_exact(more * self.beside()).map_err(failed)?;
        self.tree.reserve(more)?;
        self.vectors.reserve(more)?;
        self.places.try_reserve_exact(more).map_err(failed) // last: what the question above is about
    }

    /// Return the place taken, if any.
    fn push_one(
        &mut self,
        arrivals: &Arrivals,
        row: usize,
        count: usize,
        departures: &mut Departures,
    ) -> Option<usize> {
        let similarity = || arrivals.similarity.iter().skip(row).step_by(count).copied();
        let reliability = arrivals.reliability[row];
        let number = self.pushed;
        self.pushed += 1;
        let mut vacated = None;
        if self.len() == self.config.capacity {
            let leaver = self.leaver(number, departures)?;
            if self.config.eviction == Eviction::Easiest {
                let own = self.config.steer.of(similarity());
                if weight(priority(own, reliability)) < self.tree.weight(leaver) {
                    return None;
                }
            }
            departures.evicted.push(self.id(leaver));
            self.clear(leaver);
            vacated = Some(leaver);
        }
        let place = vacated.or_else(|| self.tree.first_out()).unwrap_or_else(|| self.grow());
        let mut hops = arrivals.lineage.row(row);
        self.places[place] = Place {
            root: arrivals.lineage.root[row],
            first: hops.next().unwrap_or(chains::NONE),
            chain: self.chains.add(hops),
            generation: self.places[place].generation,
            reliability,
            group: i32::try_from(arrivals.group[row]).unwrap_or(-1),
            hops: u8::try_from(arrivals.lineage.hops[row]).unwrap_or(0),
            ..VACANT
        };
        let weight = self.note(place, similarity(), arrivals.images_seen, true);
        self.tree.fill(place, weight, number);
        Some(place)
    }

    /// Return who leaves for the push of a number.
    fn leaver(&mut self, number: u64, departures: &mut Departures) -> Option<usize> {
        if self.config.eviction == Eviction::Random {
            let index = -1 - number.cast_signed();
            return self.tree.pick(philox::words(self.config.seed, self.config.stream, index, 0), true);
        }
        departures.next.next().or_else(|| {
            self.tree.settle();
            departures.next = self.tree.leavers().into_iter();
            departures.next.next()
        })
    }

    /// Add a place that is out, and return it.
    fn grow(&mut self) -> usize {
        let place = self.places.len();
        self.places.push(VACANT);
        self.others.resize(self.others.len() + self.beside(), 0.0);
        self.vectors.grow();
        self.tree.grow();
        place
    }

    /// Note the similarities of a visit, the first one's as they are, and return the weight that they make.
    fn note(&mut self, place: usize, latest: impl Iterator<Item = f32>, images_seen: i64, first: bool) -> u32 {
        let smoothing = if first { 0.0 } else { self.config.smoothing };
        let beside = self.beside();
        let found = &mut self.places[place];
        let (old, smoothed) = self.others[beside * place..][..beside].split_at_mut(beside / 2);
        let slots = once((&mut found.latest, &mut found.smoothed)).chain(old.iter_mut().zip(smoothed));
        for ((old, smoothed), latest) in slots.zip(latest) {
            *old = latest;
            // Clamped, as rounding must not leave the range that `restore` takes.
            let mean = smoothing * *smoothed + (1.0 - smoothing) * latest;
            *smoothed = if smoothing == 0.0 { latest } else { mean.clamp(-MOST_COSINE, MOST_COSINE) };
        }
        found.visits = found.visits.saturating_add(1);
        found.last_visit = images_seen;
        weight(self.priority(place))
    }

    /// Similarities of a place that are kept beside it.
    fn beside(&self) -> usize {
        2 * (self.config.students - 1)
    }

    /// Return the latest similarities of a place, of each student.
    fn latest(&self, place: usize) -> impl Iterator<Item = f32> + Clone {
        let others = &self.others[self.beside() * place..][..self.beside() / 2];
        once(self.places[place].latest).chain(others.iter().copied())
    }

    /// Return the smoothed similarities of a place, of each student.
    fn smoothed(&self, place: usize) -> impl Iterator<Item = f32> + Clone {
        let others = &self.others[self.beside() * place..][self.beside() / 2..self.beside()];
        once(self.places[place].smoothed).chain(others.iter().copied())
    }

    /// Return the hops of a place, the root's first.
    fn hops(&self, place: usize) -> impl Iterator<Item = Hop> {
        let place = &self.places[place];
        (place.hops > 0).then_some(place.first).into_iter().chain(self.chains.hops(place.chain))
    }

    fn vacate(&mut self, place: usize) {
        self.clear(place);
        let beside = self.beside();
        self.others[beside * place..][..beside].fill(0.0);
        self.vectors.clear(place);
        self.tree.fill(place, 0, 0);
    }

    /// Forget who is in a place, but not the numbers that whoever comes next has too.
    fn clear(&mut self, place: usize) {
        self.chains.remove(self.places[place].chain);
        let generation = (self.places[place].generation + 1) & 0x7fff_ffff;
        self.places[place] = Place { generation, ..VACANT };
    }
}
