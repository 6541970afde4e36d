//! The pool against a naive model after random operations, its draws against the priorities, its snapshots.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sdx_core::pool::{Arrivals, Config, Eviction, LatentPool, Lineages, Steer};
use sdx_core::{Error, philox};

const UNIT: f64 = 1_073_741_824.0;

const CONFIG: Config = Config {
    capacity: 100,
    students: 2,
    steer: Steer::Mean,
    smoothing: 0.5,
    eviction: Eviction::Easiest,
    seed: 5,
    stream: 11,
};

/// Columns of a batch to push, which `Arrivals` borrows.
#[derive(Clone, Debug, Default)]
struct Columns {
    root: Vec<i64>,
    hops: Vec<i64>,
    index: Vec<i64>,
    scale: Vec<f32>,
    similarity: Vec<f32>,
    reliability: Vec<f32>,
    group: Vec<i64>,
}

impl Columns {
    /// Entry `first + row` of all that are ever made, each a function of its number and of the seed.
    fn new(seed: u64, first: usize, count: usize, students: usize) -> Self {
        let mut columns = Self::default();
        let name = |at: usize| i64::try_from(first + at).unwrap();
        let words = |at: usize| philox::philox(seed, 3, &[name(at)], 4 + students).unwrap();
        for at in 0..count {
            let words = words(at);
            let hops = words[0] % 9;
            columns.root.push(name(at));
            columns.hops.push(i64::from(hops));
            for hop in 0..8 {
                columns.index.push(if hop < hops { 1000 * name(at) + i64::from(hop) } else { -7 });
                columns.scale.push(if hop < hops { f32::from(u8::try_from(hop).unwrap()) } else { f32::NAN });
            }
            columns.reliability.push(cosine(words[1]));
            columns.group.push(i64::from(words[2] % 4) - 1);
        }
        for student in 0..students {
            columns.similarity.extend((0..count).map(|at| cosine(words(at)[4 + student])));
        }
        columns
    }

    fn arrivals(&self, images_seen: i64) -> Arrivals<'_> {
        let lineage = Lineages { root: &self.root, hops: &self.hops, index: &self.index, scale: &self.scale };
        Arrivals {
            lineage,
            similarity: &self.similarity,
            reliability: &self.reliability,
            group: &self.group,
            images_seen,
        }
    }
}

/// A way to spoil a batch, and what is said of it.
type Change = (fn(&mut Columns), &'static str);

/// One of 21 cosines, so that ties are common.
fn cosine(word: u32) -> f32 {
    (f32::from(u8::try_from(word % 21).unwrap()) - 10.0) / 10.0
}

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

#[test]
fn draws_follow_the_priorities() {
    let mut pool = LatentPool::new(Config { students: 1, ..CONFIG }).unwrap();
    let count = 40;
    let mut columns = Columns::new(1, 0, count, 1);
    for at in 0..count {
        columns.similarity[at] = 1.0 - f32::from(u8::try_from(at).unwrap()) / 20.0;
        columns.reliability[at] = 1.0;
    }
    let ids = pool.push(&columns.arrivals(0)).unwrap().id;
    let (priority, _) = pool.priorities();
    let sum: f64 = priority.iter().copied().map(f64::from).sum();
    let draws = 200_000_i32;
    let mut first = vec![0.0; count];
    let mut second = vec![0.0; count];
    for number in 0..draws {
        let drawn = pool.draw(2, number.into(), 0.5).unwrap();
        let place = |id| ids.iter().position(|own| *own == id).unwrap();
        first[place(drawn[0])] += 1.0;
        second[place(drawn[1])] += 1.0;
    }
    let (mut by_priority, mut evenly) = (0.0, 0.0);
    for at in 0..count {
        let share = f64::from(priority[at]) / sum;
        let want = f64::from(draws) * share;
        by_priority += if want == 0.0 { first[at] } else { (first[at] - want).powi(2) / want };
        let want = f64::from(draws) * (1.0 - share) / 39.0; // any that was not the first
        evenly += (second[at] - want).powi(2) / want;
    }
    // Chi-square with 38 and 39 degrees of freedom: 5 sigma above the mean is 83.
    assert!(by_priority < 83.0 && evenly < 83.0, "{by_priority} {evenly}");
}

#[test]
fn whole_pool_can_be_drawn_and_no_more() {
    let mut pool = LatentPool::new(CONFIG).unwrap();
    let columns = Columns::new(1, 0, 90, 2);
    let mut ids = pool.push(&columns.arrivals(0)).unwrap().id;
    let mut drawn = pool.draw(90, 0, 0.0).unwrap();
    assert_ne!(drawn, pool.draw(90, 1, 0.0).unwrap());
    ids.sort_unstable();
    drawn.sort_unstable();
    assert_eq!(drawn, ids);
    assert!(matches!(pool.draw(91, 0, 0.0), Err(Error::Config { .. })));
    assert!(matches!(pool.draw(1, -1, 0.0), Err(Error::Config { .. })));
    assert!(matches!(pool.draw(1, 0, f64::NAN), Err(Error::Config { .. })));
    assert_eq!(pool.draw(0, 0, 0.0).unwrap(), Vec::<i64>::new());
}

#[test]
fn threads_change_nothing() {
    let run = |threads| {
        let workers = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        workers.install(|| {
            let mut pair = Pair::new(Config { capacity: 60_000, ..CONFIG });
            pair.pool.push(&Columns::new(2, 0, 60_000, 2).arrivals(0)).unwrap();
            (pair.pool.draw(30_000, 1, 0.1).unwrap(), pair.pool.snapshot().unwrap())
        })
    };
    assert!(run(1) == run(2));
}

#[test]
fn bad_values_are_refused_and_leave_the_pool_as_it_was() {
    let mut pool = LatentPool::new(CONFIG).unwrap();
    let good = Columns::new(1, 0, 5, 2);
    let ids = pool.push(&good.arrivals(0)).unwrap().id;
    let before = pool.snapshot().unwrap();
    let changes: [Change; 12] = [
        (|columns| columns.similarity[3] = f32::NAN, "similarity to be a cosine in [-1, 1], got NaN at position 3"),
        (|columns| columns.similarity[9] = 1.02, "similarity to be a cosine in [-1, 1], got 1.02 at position 9"),
        (|columns| columns.similarity.truncate(9), "`similarity` of 10 numbers, got 9"),
        (|columns| columns.reliability[0] = -2.0, "reliability to be a cosine"),
        (|columns| columns.reliability.truncate(4), "`reliability` of 5 numbers, got 4"),
        (|columns| columns.root[4] = -1, "root indices of at least 0, got -1"),
        (|columns| columns.hops[4] = 9, "0 to 8 hops, got 9"),
        (|columns| columns.hops[4] = -1, "0 to 8 hops, got -1"),
        (|columns| (columns.hops[4], columns.index[32]) = (1, -3), "hop indices of at least 0, got -3"),
        (|columns| (columns.hops[4], columns.index[32], columns.scale[32]) = (1, 0, -1.0), "hop scales of at least 0"),
        (|columns| columns.group[2] = -2, "groups of -1 to 2147483647, got -2"),
        (|columns| columns.group[2] = 1 << 31, "groups of -1 to 2147483647, got 2147483648"),
    ];
    for (change, message) in changes {
        let mut columns = good.clone();
        change(&mut columns);
        let error = pool.push(&columns.arrivals(0)).unwrap_err();
        assert!(matches!(error, Error::Data { .. }) && error.to_string().contains(message), "{error}");
    }
    for error in [
        pool.push(&good.arrivals(-1)).unwrap_err(),
        pool.observe(&ids, &[0.5; 10], -1).unwrap_err(),
        pool.observe(&ids, &[0.5; 9], 0).unwrap_err(),
        pool.observe(&ids, &[f32::INFINITY; 10], 0).unwrap_err(),
        pool.entries(&[ids[0], 77]).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Data { .. }), "{error}");
    }
    assert_eq!(pool.snapshot().unwrap(), before);
}

#[test]
fn settings_out_of_range_are_refused() {
    for config in [
        Config { capacity: 0, ..CONFIG },
        Config { capacity: (1 << 28) + 1, ..CONFIG },
        Config { students: 0, ..CONFIG },
        Config { students: 65, ..CONFIG },
        Config { smoothing: 1.0, ..CONFIG },
        Config { smoothing: f32::NAN, ..CONFIG },
        Config { steer: Steer::Student(2), ..CONFIG },
    ] {
        assert!(matches!(LatentPool::new(config), Err(Error::Config { .. })), "{config:?}");
    }
}

#[test]
fn bytes_an_entry_are_as_stated() {
    let mut pool = LatentPool::new(Config { capacity: 100_000, students: 1, ..CONFIG }).unwrap();
    assert_eq!(pool.bytes(), 0);
    let mut columns = Columns::new(3, 0, 100_000, 1);
    columns.hops.fill(2);
    columns.index.fill(1);
    columns.scale.fill(1.0);
    pool.push(&columns.arrivals(0)).unwrap();
    #[allow(clippy::cast_precision_loss)]
    let bytes = pool.bytes() as f64 / 1e5;
    assert!((93.0..97.0).contains(&bytes), "{bytes}");
}
