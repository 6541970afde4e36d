//! Snapshots of pools: what was written is read, and anything else is an error, never a panic.

use proptest::prelude::*;
use sdx_core::Error;
use sdx_core::pool::{Arrivals, Config, Eviction, LatentPool, Lineages, Steer};

const CONFIG: Config = Config {
    capacity: 30,
    students: 2,
    steer: Steer::Student(1),
    smoothing: 0.5,
    eviction: Eviction::Oldest,
    seed: 5,
    stream: 11,
};

/// Where a snapshot's fields stand.
const CAPACITY: usize = 12;
const STEER: usize = 28;
const EVICTION: usize = 40;
const PUSHES: usize = 53;
const PLACES: usize = 61;
const FIRST: usize = 69;
/// Within a place: generation, filled, number of the push, root, last visit, visits, reliability, group, hops.
const FILLED: usize = 4;
const PUSH: usize = 5;
const ROOT: usize = 13;
const VISIT: usize = 21;
const VISITS: usize = 29;
const RELIABILITY: usize = 33;
const GROUP: usize = 37;
const HOPS: usize = 41;
const SIMILARITY: usize = 42;

/// Six entries of 0 to 5 hops in places 0 to 5, of which 2 and 5 are vacated.
fn pool() -> LatentPool {
    let mut pool = LatentPool::new(CONFIG).unwrap();
    let count = 6;
    let root: Vec<i64> = (100..106).collect();
    let hops: Vec<i64> = (0..6).collect();
    let lineage = Lineages { root: &root, hops: &hops, index: &[7; 48], scale: &[0.5; 48] };
    let (similarity, reliability, group) = ([0.25; 12], [0.75; 6], [-1, 0, 0, 1, 2, 2]);
    let arrivals =
        Arrivals { lineage, similarity: &similarity, reliability: &reliability, group: &group, images_seen: 640 };
    let ids = pool.push(&arrivals).unwrap().id;
    assert_eq!(ids.len(), count);
    pool.evict(&[ids[2], ids[5]]);
    pool
}

/// The checksum of the format, written down once more.
fn summed(mut file: Vec<u8>) -> Vec<u8> {
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    file.truncate(file.len().saturating_sub(8));
    let (words, rest) = file.as_chunks();
    let start = u64::try_from(file.len()).unwrap() ^ 0xcbf2_9ce4_8422_2325;
    let sum = words.iter().fold(start, |sum, word| step(sum, u64::from_le_bytes(*word)));
    let sum = rest.iter().fold(sum, |sum, &byte| step(sum, byte.into()));
    file.extend(sum.to_le_bytes());
    file
}

fn written(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = pool().snapshot().unwrap();
    file[at..][..bytes.len()].copy_from_slice(bytes);
    file
}

fn refusal(file: &[u8]) -> String {
    match LatentPool::restore(file) {
        Err(error @ (Error::Snapshot(_) | Error::Config { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Whatever is read writes the same bytes again, and can be worked with.
fn check(file: &[u8]) {
    match LatentPool::restore(file) {
        Ok(mut pool) => {
            assert_eq!(pool.snapshot().unwrap(), file);
            let ids = pool.ids();
            assert_eq!(pool.draw(ids.len(), 0, 0.5).unwrap().len(), ids.len());
            pool.entries(&ids).unwrap();
            assert_eq!(pool.statistics(i64::MAX).hops.len(), 9);
            assert_eq!(pool.hardest(3).len(), ids.len().min(3));
            let lineage = Lineages { root: &[1], hops: &[2], index: &[0; 8], scale: &[0.0; 8] };
            let similarity = vec![0.0; pool.config().students];
            let arrivals =
                Arrivals { lineage, similarity: &similarity, reliability: &[0.5], group: &[1], images_seen: 0 };
            pool.push(&arrivals).unwrap();
            assert!(pool.evict(&ids).len() == ids.len() && pool.len() <= 1);
        }
        Err(Error::Snapshot(_) | Error::Config { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn cut_snapshots_are_refused() {
    let file = pool().snapshot().unwrap();
    check(&file);
    for length in 0..file.len() {
        refusal(&file[..length]);
        check(&summed(file[..length].to_vec()));
    }
    refusal(&[&file[..], &[0]].concat());
}

#[test]
fn every_flipped_byte_is_seen() {
    let file = pool().snapshot().unwrap();
    for at in 0..file.len() {
        for flip in [1, 0x80, 0xff] {
            let mut file = file.clone();
            file[at] ^= flip;
            refusal(&file);
            check(&summed(file));
        }
    }
}

#[test]
fn hostile_snapshots_are_refused_for_their_reason() {
    let refusals: &[(usize, &[u8], &str)] = &[
        (0, b"sdxpoor", "expected `sdxpool` and a newline"),
        (8, &[3], "expected version 1 or 2, got 3"),
        (CAPACITY, &[0; 8], "a capacity of 1 to 268435456, got 0"),
        (CAPACITY, &[0xff; 8], "a capacity of 1 to 268435456"),
        (CAPACITY, &[5], "places that the capacity and the file hold, got 6"),
        (CAPACITY + 8, &[0xff; 8], "1 to 64 students"),
        (STEER, &[4], "a student to steer by below 2, got 2"),
        (STEER + 8, &f32::NAN.to_le_bytes(), "a smoothing in [0, 1), got NaN"),
        (EVICTION, &[3], "rule of eviction 0, 1 or 2, got 3"),
        (PUSHES, &[0xff; 8], "fewer than 2^62 pushes"),
        (PLACES, &[31], "places that the capacity and the file hold, got 31"),
        (PLACES, &[0xff; 8], "places that the capacity and the file hold"),
        (PLACES, &[5], "more bytes"),
        (FIRST, &[0, 0, 0, 0x80], "a generation below 2^31"),
        (FIRST + FILLED, &[2], "filled or not"),
        (FIRST + FILLED, &[0], "expected place 0 as a pool leaves it"),
        (FIRST + PUSH, &[6], "expected place 0"),
        (FIRST + PUSH, &[1], "every push to have a number of its own"),
        (FIRST + ROOT, &[0xff; 8], "expected place 0"),
        (FIRST + VISIT, &[0xff; 8], "expected place 0"),
        (FIRST + VISITS, &[0; 4], "expected place 0"),
        (FIRST + RELIABILITY, &f32::NAN.to_le_bytes(), "expected place 0"),
        (FIRST + GROUP, &(-2_i32).to_le_bytes(), "expected place 0"),
        (FIRST + HOPS, &[9], "at most 8 hops"),
        (FIRST + SIMILARITY, &f32::INFINITY.to_le_bytes(), "expected place 0"),
        (FIRST + SIMILARITY + 8, &1.5_f32.to_le_bytes(), "expected place 0"),
        (FIRST + 2 * (SIMILARITY + 16) - 1, &[0xff], "expected place 1"),
    ];
    for (at, bytes, reason) in refusals {
        let message = refusal(&summed(written(*at, bytes)));
        assert!(message.contains(reason), "{message} for {reason}");
    }
    let hop = FIRST + 2 * (SIMILARITY + 16); // place 1 has one
    for (at, bytes) in [(hop, vec![0xff; 8]), (hop + 8, (-1_f32).to_le_bytes().to_vec())] {
        let message = refusal(&summed(written(at, &bytes)));
        assert!(message.contains("hops with an index and a scale of at least 0"), "{message}");
    }
}

#[test]
fn false_sizes_take_no_memory() {
    // 2^28 places and 64 students claimed: 130 GB, were it believed.
    let mut file = written(CAPACITY, &(1_u64 << 28).to_le_bytes());
    file[CAPACITY + 8] = 64;
    file[PLACES..][..8].copy_from_slice(&(1_u64 << 28).to_le_bytes());
    assert!(refusal(&summed(file)).contains("the file hold, got 268435456"));
}

#[test]
fn an_empty_pool_is_restored() {
    let file = LatentPool::new(CONFIG).unwrap().snapshot().unwrap();
    assert_eq!(LatentPool::restore(&file).unwrap().snapshot().unwrap(), file);
}

proptest! {
    #[test]
    fn damaged_snapshots_never_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut: prop::sample::Index) {
        let mut file = pool().snapshot().unwrap();
        for (place, byte) in damage {
            let place = place.index(file.len());
            file[place] = byte;
        }
        check(&file);
        check(&summed(file.clone()));
        file.truncate(cut.index(file.len()));
        check(&file);
        check(&summed(file));
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
        let start = &pool().snapshot().unwrap()[..12];
        check(&summed([start, &bytes[..]].concat()));
    }
}
