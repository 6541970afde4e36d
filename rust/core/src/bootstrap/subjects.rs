//! Which people a replicate is of.

use super::Draw;
use crate::pairs;
use crate::{Result, philox};

/// Draws of a replicate before it is given up that it holds both kinds of pairs.
const ATTEMPTS: u32 = 100;

/// The subjects, numbered by ascending id.
pub struct Subjects {
    ids: Vec<i64>,
}

impl Subjects {
    pub fn new<'a>(ids: impl Iterator<Item = &'a i64>) -> Result<Self> {
        let mut ids: Vec<i64> = ids.copied().collect();
        ids.sort_unstable();
        ids.dedup();
        // The words of all attempts fit one row of Philox.
        if ids.len() > (u32::MAX / ATTEMPTS) as usize {
            return pairs::fail(format!("at most {} subjects", u32::MAX / ATTEMPTS), ids.len().to_string());
        }
        Ok(Self { ids })
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The number of an id that `new` has seen.
    #[allow(clippy::cast_possible_truncation)] // `new` refuses 2^32 / 100 of them
    pub fn number(&self, id: i64) -> u32 {
        self.ids.partition_point(|&other| other < id) as u32
    }

    /// Draw how often each subject comes up, `[subjects]`, again until `holds` says that there are both kinds of pairs.
    pub fn draw(
        &self,
        draw: &Draw,
        replicate: usize,
        weight: &mut Vec<u32>,
        mut holds: impl FnMut(&[u32]) -> bool,
    ) -> Result<()> {
        for attempt in 0..ATTEMPTS {
            self.draw_once(draw, replicate, attempt, weight);
            if holds(weight) {
                return Ok(());
            }
        }
        let got = format!("none of one kind in {ATTEMPTS} draws of {} subjects", self.len());
        pairs::fail("subjects enough for mated and non-mated pairs in every replicate", got)
    }

    /// Element e names subject (64 random bits x subjects) >> 64, the bits being words 2e (high) and 2e + 1 of the row of
    /// the replicate; attempts follow each other, from a whole block each.
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // `new` bounds the subjects, `super::check` the replicates
    fn draw_once(&self, draw: &Draw, replicate: usize, attempt: u32, weight: &mut Vec<u32>) {
        let count = self.len();
        weight.clear();
        weight.resize(count, 0);
        let blocks = count.div_ceil(2) as u32;
        for block in 0..blocks {
            let words = philox::words(draw.seed, draw.stream, replicate as i64, attempt * blocks + block);
            let odd_end = block + 1 == blocks && count % 2 == 1;
            for half in words.chunks_exact(2).take(if odd_end { 1 } else { 2 }) {
                let bits = u64::from(half[0]) << 32 | u64::from(half[1]);
                weight[((u128::from(bits) * count as u128) >> 64) as usize] += 1;
            }
        }
    }
}
