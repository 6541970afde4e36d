//! The pool against a naive model after random operations.

mod batches;

use std::collections::BTreeMap;

use batches::{CONFIG, Columns, cosine};
use proptest::prelude::*;
use sdx_core::philox;
use sdx_core::pool::{Config, Eviction, LatentPool, Steer};

const UNIT: f64 = 1_073_741_824.0;

/// An entry of the naive model.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    id: i64,
    root: i64,
    pushed: i64,
    latest: Vec<f32>,
    smoothed: Vec<f32>,
    reliability: f32,
    visits: i64,
    last_visit: i64,
}

impl Known {
    fn weight(&self, steer: Steer) -> u64 {
        let steering = match steer {
            Steer::Mean => f32::midpoint(self.smoothed[0], self.smoothed[1]),
            Steer::Hardest => self.smoothed[0].min(self.smoothed[1]),
            Steer::Student(student) => self.smoothed[student],
        };
        let priority = (1.0 - steering).max(0.0) * self.reliability.max(0.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let weight = (f64::from(priority) * UNIT).round() as u64;
        weight.max(1)
    }
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Push(usize),
    Observe(usize, u64),
    Evict(usize, u64),
    Draw(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (0_usize..12).prop_map(Operation::Push),
        (0_usize..12, any::<u64>()).prop_map(|(count, seed)| Operation::Observe(count, seed)),
        (0_usize..4, any::<u64>()).prop_map(|(count, seed)| Operation::Evict(count, seed)),
        (0_usize..9).prop_map(Operation::Draw),
    ]
}

fn settings() -> impl Strategy<Value = Config> {
    let steer = prop_oneof![Just(Steer::Mean), Just(Steer::Hardest), Just(Steer::Student(1))];
    let eviction = prop_oneof![Just(Eviction::Easiest), Just(Eviction::Oldest), Just(Eviction::Random)];
    (1_usize..50, steer, eviction, prop_oneof![Just(0.0_f32), Just(0.75)], any::<u64>()).prop_map(
        |(capacity, steer, eviction, smoothing, seed)| Config { capacity, steer, eviction, smoothing, seed, ..CONFIG },
    )
}

/// A pool and what it ought to hold.
struct Pair {
    pool: LatentPool,
    model: BTreeMap<i64, Known>,
    gone: Vec<i64>,
    made: usize,
    images: i64,
}

impl Pair {
    fn new(config: Config) -> Self {
        Self { pool: LatentPool::new(config).unwrap(), model: BTreeMap::new(), gone: Vec::new(), made: 0, images: 0 }
    }

    fn run(&mut self, operation: Operation) {
        self.images += 10;
        match operation {
            Operation::Push(count) => self.push(count),
            Operation::Observe(count, seed) => self.observe(count, seed),
            Operation::Evict(count, seed) => {
                let ids = self.some_ids(count, seed);
                let known = self.pool.evict(&ids);
                for (id, known) in ids.iter().zip(known) {
                    assert_eq!(self.model.remove(id).is_some(), known);
                    self.gone.push(*id);
                }
            }
            Operation::Draw(count) => {
                let before = self.pool.snapshot().unwrap();
                let count = count.min(self.pool.len());
                let ids = self.pool.draw(count, self.images, 0.25).unwrap();
                assert_eq!(self.pool.snapshot().unwrap(), before);
                let mut different = ids.clone();
                different.sort_unstable();
                different.dedup();
                assert_eq!(different.len(), count);
                assert!(ids.iter().all(|id| self.model.contains_key(id)));
            }
        }
    }

    fn push(&mut self, count: usize) {
        let config = *self.pool.config();
        let columns = Columns::new(config.seed, self.made, count, 2);
        let pushed = self.pool.push(&columns.arrivals(self.images)).unwrap();
        let mut evicted = pushed.evicted.iter();
        for at in 0..count {
            let similarity = vec![columns.similarity[at], columns.similarity[count + at]];
            let known = Known {
                id: pushed.id[at],
                root: columns.root[at],
                pushed: columns.root[at],
                latest: similarity.clone(),
                smoothed: similarity,
                reliability: columns.reliability[at],
                visits: 1,
                last_visit: self.images,
            };
            if self.model.len() == config.capacity {
                let easiest = |known: &&Known| (known.weight(config.steer), known.pushed);
                let leaver = match config.eviction {
                    Eviction::Easiest => self.model.values().min_by_key(easiest),
                    Eviction::Oldest => self.model.values().min_by_key(|known| known.pushed),
                    Eviction::Random => evicted.clone().next().and_then(|id| self.model.get(id)),
                };
                let leaver = leaver.unwrap().clone();
                if config.eviction == Eviction::Easiest && known.weight(config.steer) < leaver.weight(config.steer) {
                    assert_eq!(known.id, -1);
                    continue;
                }
                assert_eq!(evicted.next(), Some(&leaver.id));
                self.model.remove(&leaver.id);
                self.gone.push(leaver.id);
            }
            assert!(!self.gone.contains(&known.id));
            assert!(self.model.insert(known.id, known).is_none());
        }
        assert_eq!(evicted.next(), None);
        self.made += count;
    }

    fn observe(&mut self, count: usize, seed: u64) {
        let ids = self.some_ids(count, seed);
        let words = philox::philox(seed, 4, &[0], 2 * count).unwrap();
        let similarity: Vec<f32> = words.into_iter().map(cosine).collect();
        let smoothing = self.pool.config().smoothing;
        let known = self.pool.observe(&ids, &similarity, self.images).unwrap();
        for (at, id) in ids.iter().enumerate() {
            let entry = self.model.get_mut(id);
            assert_eq!(known[at], entry.is_some());
            let Some(entry) = entry else { continue };
            for student in 0..2 {
                let latest = similarity[student * count + at];
                entry.latest[student] = latest;
                let old = &mut entry.smoothed[student];
                *old = if smoothing == 0.0 { latest } else { smoothing * *old + (1.0 - smoothing) * latest };
            }
            entry.visits += 1;
            entry.last_visit = self.images;
        }
    }

    /// Ids in the pool, gone, and never given.
    fn some_ids(&self, count: usize, seed: u64) -> Vec<i64> {
        let mut all: Vec<i64> = self.model.keys().copied().chain(self.gone.iter().copied().rev().take(3)).collect();
        all.extend([-1, i64::MAX, i64::MIN]);
        let words = philox::philox(seed, 5, &[0], count).unwrap();
        words.into_iter().map(|word| all[word as usize % all.len()]).collect()
    }

    fn compare(&self) {
        let steer = self.pool.config().steer;
        let ids = self.pool.ids();
        assert_eq!(ids.len(), self.model.len());
        assert_eq!(self.pool.len(), self.model.len());
        assert_eq!(self.pool.total(), self.model.values().map(|known| known.weight(steer)).sum::<u64>());
        let entries = self.pool.entries(&ids).unwrap();
        let (priority, group) = self.pool.priorities();
        assert_eq!((&priority, &group), (&entries.priority, &entries.group));
        for (at, id) in ids.iter().enumerate() {
            let student = |column: &[f32]| vec![column[at], column[ids.len() + at]];
            let known = Known {
                id: *id,
                root: entries.root[at],
                pushed: entries.pushed[at],
                latest: student(&entries.latest),
                smoothed: student(&entries.smoothed),
                reliability: entries.reliability[at],
                visits: entries.visits[at],
                last_visit: entries.last_visit[at],
            };
            assert_eq!(known, self.model[id]);
            let made = Columns::new(self.pool.config().seed, usize::try_from(known.root).unwrap(), 1, 2);
            assert_eq!((entries.hops[at], entries.group[at]), (made.hops[0], made.group[0]));
            let hops = usize::try_from(made.hops[0]).unwrap();
            let (index, scale) = (&entries.index[8 * at..][..8], &entries.scale[8 * at..][..8]);
            assert_eq!((&index[..hops], &scale[..hops]), (&made.index[..hops], &made.scale[..hops]));
            assert!(index[hops..].iter().all(|&index| index == -1) && scale[hops..].iter().all(|&scale| scale == 0.0));
        }
        let mut order: Vec<_> = self.model.values().collect();
        order.sort_by_key(|known| (std::cmp::Reverse(known.weight(steer)), known.id & 0xffff_ffff));
        let order: Vec<i64> = order.iter().take(7).map(|known| known.id).collect();
        assert_eq!(self.pool.hardest(7), order);
        let statistics = self.pool.statistics(self.images);
        for counts in [&statistics.difficulty, &statistics.age, &statistics.hops] {
            assert_eq!(counts.iter().sum::<i64>(), i64::try_from(ids.len()).unwrap());
        }
        for (value, count) in &statistics.group {
            assert_eq!(*count, i64::try_from(group.iter().filter(|group| *group == value).count()).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn pool_is_its_model(config in settings(), operations in prop::collection::vec(operation(), 1..120)) {
        let mut pair = Pair::new(config);
        for operation in operations {
            pair.run(operation);
        }
        pair.compare();
        let snapshot = pair.pool.snapshot().unwrap();
        pair.pool = LatentPool::restore(&snapshot).unwrap();
        prop_assert_eq!(&pair.pool.snapshot().unwrap(), &snapshot);
        pair.compare();
        pair.run(Operation::Push(20)); // goes on as the original would
        pair.run(Operation::Observe(10, 1));
        pair.compare();
    }

    #[test]
    fn a_restored_pool_goes_on_alike(config in settings(), operations in prop::collection::vec(operation(), 1..60)) {
        let mut pair = Pair::new(config);
        for &operation in &operations {
            pair.run(operation);
        }
        let mut other = LatentPool::restore(&pair.pool.snapshot().unwrap()).unwrap();
        let columns = Columns::new(9, 10_000, 30, 2);
        prop_assert_eq!(other.push(&columns.arrivals(7)).unwrap(), pair.pool.push(&columns.arrivals(7)).unwrap());
        let count = other.len() / 2;
        prop_assert_eq!(other.draw(count, 3, 0.5).unwrap(), pair.pool.draw(count, 3, 0.5).unwrap());
        prop_assert_eq!(other.snapshot().unwrap(), pair.pool.snapshot().unwrap());
    }
}

#[test]
fn sums_stay_exact_over_many_operations() {
    let mut pair = Pair::new(Config { capacity: 700, steer: Steer::Hardest, ..CONFIG });
    for round in 0..3000_u64 {
        pair.run(Operation::Push(2));
        pair.run(Operation::Observe(8, round));
        if round % 3 == 0 {
            pair.run(Operation::Evict(3, round));
        }
    }
    pair.compare();
}
