//! Vectors that a pool keeps: each entry's own, whoever came and went before it.

mod batches;

use batches::{CONFIG, Columns};
use proptest::prelude::*;
use sdx_core::Error;
use sdx_core::pool::{Config, Eviction, LatentPool};

const LENGTH: usize = 5;

/// Where a snapshot says how long the vectors are.
const LENGTH_AT: usize = 53;

/// The vector of entry `root`, of numbers that float16 has.
fn vector(root: i64) -> Vec<f32> {
    let number = |at: usize| f32::from(i16::try_from((root * 7 + i64::try_from(at).unwrap()) % 2000).unwrap());
    (0..LENGTH).map(|at| (number(at) - 1000.0) / 64.0).collect()
}

fn vectors(root: &[i64]) -> Vec<f32> {
    root.iter().flat_map(|&root| vector(root)).collect()
}

/// Ten entries, of which two have left again.
fn pool() -> LatentPool {
    let mut pool = LatentPool::with_vectors(CONFIG, LENGTH).unwrap();
    let columns = Columns::new(1, 0, 10, 2);
    let ids = pool.push_vectors(&columns.arrivals(0), &vectors(&columns.root)).unwrap().id;
    pool.evict(&[ids[3], ids[8]]);
    pool
}

fn check(pool: &LatentPool) {
    let ids = pool.ids();
    assert_eq!(pool.vectors(&ids).unwrap(), vectors(&pool.entries(&ids).unwrap().root));
}

#[test]
fn vectors_are_rounded_to_float16_and_read_in_the_order_asked() {
    let mut pool = LatentPool::with_vectors(CONFIG, 3).unwrap();
    assert_eq!((pool.vector_length(), pool.bytes()), (3, 0));
    let given = [1.0, 2049.0, 2051.0, -0.1, 65504.0, 1e-9];
    let ids = pool.push_vectors(&Columns::new(1, 0, 2, 2).arrivals(0), &given).unwrap().id;
    let tenth = -1638.0 / 16384.0; // the nearest of float16
    assert_eq!(pool.vectors(&[ids[1], ids[0], ids[1]]).unwrap()[..6], [tenth, 65504.0, 0.0, 1.0, 2048.0, 2052.0]);
    assert!(pool.vectors(&[ids[0], 77]).is_err_and(|error| matches!(error, Error::Data { .. })));
    assert_eq!(LatentPool::new(CONFIG).unwrap().vectors(&[]).unwrap(), Vec::<f32>::new());
}

#[test]
fn what_is_no_vector_is_refused_and_leaves_the_pool_as_it_was() {
    let mut pool = pool();
    let columns = Columns::new(2, 20, 2, 2);
    let before = pool.snapshot().unwrap();
    for (at, number, message) in [
        (7, f32::NAN, "expected vectors of finite numbers within float16's range, got NaN at position 7"),
        (0, f32::NEG_INFINITY, "got -inf at position 0"),
        (9, 65520.0, "got 65520 at position 9"),
    ] {
        let mut given = vectors(&columns.root);
        given[at] = number;
        let error = pool.push_vectors(&columns.arrivals(0), &given).unwrap_err();
        assert!(matches!(error, Error::Data { .. }) && error.to_string().contains(message), "{error}");
    }
    for given in [vec![], vec![0.0; 9], vec![0.0; 11]] {
        let error = pool.push_vectors(&columns.arrivals(0), &given).unwrap_err().to_string();
        assert_eq!(error, format!("expected `vector` of 10 numbers, got {}", given.len()));
    }
    assert!(pool.push(&columns.arrivals(0)).is_err());
    let plain = LatentPool::new(CONFIG).unwrap().push_vectors(&columns.arrivals(0), &[0.0]).unwrap_err();
    assert_eq!(plain.to_string(), "expected `vector` of 0 numbers, got 1");
    assert!(LatentPool::with_vectors(CONFIG, (1 << 16) + 1).is_err_and(|error| matches!(error, Error::Config { .. })));
    assert_eq!(pool.snapshot().unwrap(), before);
}

#[test]
fn vectors_cost_two_bytes_a_number() {
    let columns = Columns::new(3, 0, 100, 2);
    let bytes = |length: usize| {
        let mut pool = LatentPool::with_vectors(CONFIG, length).unwrap();
        pool.push_vectors(&columns.arrivals(0), &vec![0.5; 100 * length]).unwrap();
        (pool.bytes(), pool.snapshot().unwrap().len())
    };
    let (plain, with) = (bytes(0), bytes(64));
    assert_eq!((with.0 - plain.0, with.1 - plain.1), (2 * 64 * 100, 2 * 64 * 100 + 8));
}

#[test]
fn snapshots_hold_the_vectors_and_what_is_wrong_with_them_is_seen() {
    let pool = pool();
    let file = pool.snapshot().unwrap();
    let restored = LatentPool::restore(&file).unwrap();
    assert_eq!((restored.vector_length(), restored.snapshot().unwrap()), (LENGTH, file.clone()));
    check(&restored);
    for length in 0..file.len() {
        assert!(LatentPool::restore(&file[..length]).is_err());
        let _ = LatentPool::restore(&batches::summed(&file[..length])); // no panic
    }
    let first = LENGTH_AT + 24; // length, pushes, places
    for (at, bytes, message) in [
        (LENGTH_AT, 0_u64.to_le_bytes().as_slice(), "expected vectors of at least one number, got 0"),
        (LENGTH_AT, &(1_u64 << 40).to_le_bytes(), "vectors of at most 65536 numbers"),
        (LENGTH_AT, &(1_u64 << 16).to_le_bytes(), "places that the capacity and the file hold, got 10"),
        (first + 42 + 16, &[0, 0x7c], "expected place 0 as a pool leaves it"),
        (first + 42 + 16, &[1, 0xfe], "expected place 0 as a pool leaves it"),
    ] {
        let mut file = file[..file.len() - 8].to_vec();
        file[at..][..bytes.len()].copy_from_slice(bytes);
        let error = LatentPool::restore(&batches::summed(&file)).unwrap_err().to_string();
        assert!(error.contains(message), "{error} for {message}");
    }
}

#[test]
fn nothing_of_a_vector_is_left_in_a_vacated_place() {
    let mut pool = pool();
    let ids = pool.ids();
    pool.evict(&ids);
    let mut file = pool.snapshot().unwrap();
    file.truncate(file.len() - 8);
    let second = LENGTH_AT + 24 + 58 + 2 * LENGTH; // vacant places have no hops
    file[second + 58 + 4] = 1;
    let error = LatentPool::restore(&batches::summed(&file)).unwrap_err().to_string();
    assert!(error.contains("expected place 1 as a pool leaves it"), "{error}");
}

proptest! {
    #[test]
    fn no_vector_is_lost_or_swapped(
        capacity in 1_usize..40,
        eviction in prop::sample::select(vec![Eviction::Easiest, Eviction::Oldest, Eviction::Random]),
        steps in prop::collection::vec((0_usize..3, 0_usize..50), 1..40),
    ) {
        let mut pool = LatentPool::with_vectors(Config { capacity, eviction, ..CONFIG }, LENGTH).unwrap();
        let mut made = 0;
        for (what, count) in steps {
            let ids: Vec<i64> = pool.ids().into_iter().step_by(count % 5 + 1).take(count).collect();
            match what {
                0 => drop(pool.evict(&ids)),
                1 => drop(pool.observe(&ids, &vec![0.25; 2 * ids.len()], 1).unwrap()),
                _ => {
                    let columns = Columns::new(7, made, count, 2);
                    pool.push_vectors(&columns.arrivals(0), &vectors(&columns.root)).unwrap();
                    made += count;
                }
            }
            check(&pool);
        }
        let other = LatentPool::restore(&pool.snapshot().unwrap()).unwrap();
        check(&other);
        prop_assert_eq!(other.snapshot().unwrap(), pool.snapshot().unwrap());
    }
}
