//! Batches to push, for the tests of the pool.

use sdx_core::philox;
use sdx_core::pool::{Arrivals, Config, Eviction, Lineages, Steer};

/// Settings that most tests begin with.
pub const CONFIG: Config = Config {
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
pub struct Columns {
    pub root: Vec<i64>,
    pub hops: Vec<i64>,
    pub index: Vec<i64>,
    pub scale: Vec<f32>,
    pub similarity: Vec<f32>,
    pub reliability: Vec<f32>,
    pub group: Vec<i64>,
}

impl Columns {
    /// Entry `first + row` of all that are ever made, each a function of its number and of the seed.
    pub fn new(seed: u64, first: usize, count: usize, students: usize) -> Self {
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

    pub fn arrivals(&self, images_seen: i64) -> Arrivals<'_> {
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

/// One of 21 cosines, so that ties are common.
pub fn cosine(word: u32) -> f32 {
    (f32::from(u8::try_from(word % 21).unwrap()) - 10.0) / 10.0
}

/// A snapshot with the checksum of the format behind it, written down once more.
#[allow(dead_code)] // not every test that has batches has snapshots
pub fn summed(file: &[u8]) -> Vec<u8> {
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    let (words, rest) = file.as_chunks();
    let start = u64::try_from(file.len()).unwrap() ^ 0xcbf2_9ce4_8422_2325;
    let sum = words.iter().fold(start, |sum, word| step(sum, u64::from_le_bytes(*word)));
    let sum = rest.iter().fold(sum, |sum, &byte| step(sum, byte.into()));
    [file, &sum.to_le_bytes()].concat()
}
