//! Any bytes give a pool that writes them again and can be worked with, or an error; memory follows the file.
//!
//! The checksum is made right first: it would keep the fuzzer from all that stands behind it.
//!
//! In `rust/core/fuzz`: `cargo +nightly fuzz run pool_snapshot -- -max_len=4096`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sdx_core::pool::{Arrivals, LatentPool, Lineages};

/// Snapshots begin with this, of a pool without vectors and of one with; what the fuzzer writes follows.
const STARTS: [&[u8]; 2] = [b"sdxpool\n\x01\0\0\0", b"sdxpool\n\x02\0\0\0"];

/// Bytes of the first block of places and of all that is known of it.
const BLOCK: usize = 1024;

fn summed(mut file: Vec<u8>) -> Vec<u8> {
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    let (words, rest) = file.as_chunks();
    let sum =
        words.iter().fold(file.len() as u64 ^ 0xcbf2_9ce4_8422_2325, |sum, word| step(sum, u64::from_le_bytes(*word)));
    let sum = rest.iter().fold(sum, |sum, &byte| step(sum, byte.into()));
    file.extend(sum.to_le_bytes());
    file
}

fuzz_target!(|bytes: &[u8]| {
    let _ = LatentPool::restore(bytes);
    for start in STARTS {
        check(&summed([start, bytes].concat()));
    }
});

fn check(file: &[u8]) {
    let Ok(mut pool) = LatentPool::restore(file) else { return };
    assert!(pool.snapshot().unwrap() == file);
    assert!(pool.bytes() < 2 * file.len() + BLOCK);
    assert!(pool.vectors(&pool.ids()).unwrap().iter().all(|number| number.is_finite()));
    let ids = pool.ids();
    let entries = pool.entries(&ids).unwrap();
    assert!(entries.hops.iter().all(|hops| (0..=8).contains(hops)) && entries.root.len() == pool.len());
    assert!(pool.draw(ids.len(), 0, 0.5).unwrap().len() == ids.len());
    assert!(pool.hardest(3).len() == ids.len().min(3));
    assert!(pool.statistics(i64::MAX).hops.iter().sum::<i64>() == ids.len() as i64);
    let similarity = vec![0.0; pool.config().students];
    let lineage = Lineages { root: &[1], hops: &[2], index: &[0; 8], scale: &[0.0; 8] };
    let arrivals = Arrivals { lineage, similarity: &similarity, reliability: &[0.5], group: &[1], images_seen: 0 };
    pool.push_vectors(&arrivals, &vec![0.5; pool.vector_length()]).unwrap();
    assert!(pool.evict(&ids).len() == ids.len() && pool.len() <= 1);
    assert!(LatentPool::restore(&pool.snapshot().unwrap()).is_ok());
}
