//! Draws of the pool against the priorities, its memory, and what it refuses.

mod batches;

use batches::{CONFIG, Columns};
use sdx_core::Error;
use sdx_core::pool::{Config, Eviction, LatentPool, Steer};

/// A way to spoil a batch, and what is said of it.
type Change = (fn(&mut Columns), &'static str);

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
            let mut pool = LatentPool::new(Config { capacity: 60_000, ..CONFIG }).unwrap();
            pool.push(&Columns::new(2, 0, 60_000, 2).arrivals(0)).unwrap();
            (pool.draw(30_000, 1, 0.1).unwrap(), pool.snapshot().unwrap())
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
    for pool in [&pool, &LatentPool::restore(&pool.snapshot().unwrap()).unwrap()] {
        #[allow(clippy::cast_precision_loss)] // some millions of bytes are exact
        let bytes = pool.bytes() as f64 / 1e5;
        assert!((93.0..97.0).contains(&bytes), "{bytes}");
    }
}

#[test]
fn evicted_entries_leave_their_memory_to_others() {
    for eviction in [Eviction::Oldest, Eviction::Random] {
        let mut pool = LatentPool::new(Config { eviction, ..CONFIG }).unwrap();
        let mut columns = Columns::new(3, 0, 100, 2);
        columns.hops.fill(8);
        columns.index.fill(1);
        columns.scale.fill(1.0);
        pool.push(&columns.arrivals(0)).unwrap();
        pool.push(&columns.arrivals(0)).unwrap();
        let before = pool.bytes();
        for _ in 0..20 {
            pool.evict(&pool.ids()[..50]);
            pool.push(&columns.arrivals(0)).unwrap();
        }
        assert_eq!((pool.len(), pool.bytes()), (100, before));
    }
}

#[test]
fn smoothing_never_leaves_the_range_of_cosines() {
    for step in 1..100_u8 {
        let smoothing = f32::from(step) / 100.0;
        let mut pool = LatentPool::new(Config { smoothing, ..CONFIG }).unwrap();
        let mut columns = Columns::new(3, 0, 2, 2);
        columns.similarity = vec![1.01, -1.01, 1.01, -1.01];
        let ids = pool.push(&columns.arrivals(0)).unwrap().id;
        for _ in 0..50 {
            pool.observe(&ids, &columns.similarity, 0).unwrap();
        }
        assert!(pool.entries(&ids).unwrap().smoothed.iter().all(|cosine| cosine.abs() <= 1.01), "{smoothing}");
        assert!(LatentPool::restore(&pool.snapshot().unwrap()).is_ok());
    }
}
