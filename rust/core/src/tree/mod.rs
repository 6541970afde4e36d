//! Exact integer weights of numbered places, summed up in blocks of sixteen: every question is O(log n).
//!
//! Sums change by integers, so they never drift. An extreme is looked for anew where the block that had it changes, and a
//! change goes no further up than it matters.

mod draws;
mod extremes;
mod levels;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use crate::{Error, Result, uniforms};
use extremes::{Extremes, Key, least};
use levels::{Block, FAN, Levels, blocks, get, get_mut};

/// Who is looked for to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaver {
    /// The place of the least weight, the oldest of equals.
    Lightest,
    /// The oldest place.
    Oldest,
    /// Nobody.
    None,
}

/// Weight, and age in the lower half.
type Light = u128;

/// Places 0, 1, ... with a weight (0: the place is out) and an age, the order in which they were filled.
#[derive(Clone, Debug)]
pub struct Tree {
    places: usize,
    weight: Vec<Block<u32>>,
    age: Vec<Block<u64>>,
    total: u64,
    sum: Levels<u64>,
    /// Number of places that are in.
    count: u32,
    counts: Levels<u32>,
    heaviest: Extremes<Reverse<u32>>,
    leaver: Leaver,
    first: Extremes<Light>,
}

impl Tree {
    /// Build a tree of at most 2^32 places.
    pub fn new(leaver: Leaver, weight: &[u32], age: &[u64]) -> Self {
        let places = weight.len();
        let (weight, age) = (blocks(weight, 0), blocks(age, 0));
        let each = || 0..weight.len();
        let sums: Vec<u64> = weight.iter().map(|block| block.0.iter().copied().map(u64::from).sum()).collect();
        let counts: Vec<u32> =
            weight.iter().map(|block| block.0.iter().map(|&weight| u32::from(weight > 0)).sum()).collect();
        let heaviest = each().map(|block| least(&heavy(&weight[block]))).collect();
        let first = match leaver {
            Leaver::None => Vec::new(),
            _ => each().map(|block| least(&light(leaver, &weight[block], &age[block]))).collect(),
        };
        Self {
            places,
            total: sums.iter().sum(),
            sum: Levels::new(sums, 0, |parts| parts.iter().sum()),
            count: counts.iter().sum(),
            counts: Levels::new(counts, 0, |parts| parts.iter().sum()),
            heaviest: Extremes::new(heaviest),
            leaver,
            first: Extremes::new(first),
            weight,
            age,
        }
    }

    /// Number of places that are in.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Sum of the weights.
    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn weight(&self, place: usize) -> u32 {
        get(&self.weight, place)
    }

    pub fn age(&self, place: usize) -> u64 {
        get(&self.age, place)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let places = size_of::<Block<u32>>() * self.weight.capacity() + size_of::<Block<u64>>() * self.age.capacity();
        places + self.sum.bytes() + self.counts.bytes() + self.heaviest.bytes() + self.first.bytes()
    }

    /// Make room for `more` places.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        let failed = |_| Error::TooLarge { rows: more, count: 3 };
        let more = (self.places + more).div_ceil(FAN) - self.weight.len();
        self.weight.try_reserve_exact(more).map_err(failed)?;
        self.age.try_reserve_exact(more).map_err(failed)
    }

    /// Add a place that is out.
    pub fn grow(&mut self) {
        self.places += 1;
        let blocks = self.places.div_ceil(FAN);
        if blocks > self.weight.len() {
            self.weight.push(Block([0; FAN]));
            self.age.push(Block([0; FAN]));
            self.sum.grow(blocks, 0, |parts| parts.iter().sum());
            self.counts.grow(blocks, 0, |parts| parts.iter().sum());
            self.heaviest.grow(blocks);
            if self.leaver != Leaver::None {
                self.first.grow(blocks);
            }
        }
    }

    /// Give a place a weight and an age; weight 0 takes it out. What is asked of extremes is right after `settle` alone.
    pub fn fill(&mut self, place: usize, weight: u32, age: u64) {
        let (old_weight, old_age) = (self.weight(place), self.age(place));
        self.give(place, weight);
        *get_mut(&mut self.age, place) = age;
        self.heaviest.change(place, Reverse(old_weight), Reverse(weight));
        if self.leaver != Leaver::None {
            self.first.change(place, key(self.leaver, old_weight, old_age), key(self.leaver, weight, age));
        }
    }

    /// Change the weight of a place that is in and stays in, as `fill` does.
    pub fn set(&mut self, place: usize, weight: u32) {
        let old = self.weight(place);
        self.give(place, weight);
        self.heaviest.change(place, Reverse(old), Reverse(weight));
        if self.leaver == Leaver::Lightest {
            let age = self.age(place);
            self.first.change(place, key(self.leaver, old, age), key(self.leaver, weight, age));
        }
    }

    /// Read what `set` will, for the reads of many places to be under way at once; the number means nothing.
    pub fn touch(&self, place: usize) -> u64 {
        let weights = u64::from(self.weight(place) ^ self.heaviest.touch(place).0) ^ self.sum.part(0, place / FAN);
        match self.leaver {
            Leaver::Lightest => weights ^ u64::from(self.first.touch(place) > 0) ^ self.age(place),
            Leaver::Oldest | Leaver::None => weights,
        }
    }

    /// Look for the extremes of what was filled.
    pub fn settle(&mut self) {
        let Self { weight, age, leaver, .. } = self;
        self.heaviest.settle(|block| heavy(&weight[block]));
        self.first.settle(|block| light(*leaver, &weight[block], &age[block]));
    }

    /// Change a place's weight for a while, with the sums but not the extremes: all but `pick` answer as if it were not.
    pub fn give(&mut self, place: usize, weight: u32) {
        let old = std::mem::replace(get_mut(&mut self.weight, place), weight);
        let (less, more) = (u64::from(old), u64::from(weight));
        self.total = self.total - less + more;
        self.sum.change(place, |sum| sum - less + more);
        let (out, into) = (u32::from(old > 0), u32::from(weight > 0));
        if out != into {
            self.count = self.count - out + into;
            self.counts.change(place, |count| count - out + into);
        }
    }

    /// Return a place drawn by weight, or with equal chances, among those that are in.
    pub fn pick(&self, words: [u32; 4], evenly: bool) -> Option<usize> {
        if evenly {
            let left = uniforms::below(words, self.count.into());
            return self.reach(&self.counts, left, |weight| u64::from(weight > 0));
        }
        self.reach(&self.sum, uniforms::below(words, self.total), u64::from)
    }

    /// Return the places that leave next, in order, at least one if any is in. More than one are the next ones of all that
    /// are in and of whoever comes meanwhile.
    pub fn leavers(&self) -> Vec<usize> {
        let keys = |block: usize| light(self.leaver, &self.weight[block], &self.age[block]);
        match self.leaver {
            Leaver::Lightest => self.first.first(keys).into_iter().collect(), // who comes may be lighter than others
            Leaver::Oldest | Leaver::None => self.first.run(keys),
        }
    }

    /// Return the places of greatest weight, heaviest first, the lower of equals first.
    pub fn heaviest(&self, count: usize) -> Vec<usize> {
        self.heaviest.firsts(count.min(self.count()), |block| heavy(&self.weight[block]))
    }

    /// Return the first place that is out.
    pub fn first_out(&self) -> Option<usize> {
        if self.count() == self.places {
            return None;
        }
        let mut block = 0;
        for level in (0..self.counts.count()).rev() {
            let cover = FAN.pow(u32::try_from(level + 1).unwrap_or(u32::MAX)); // places below one part
            let parts = (block * FAN..).zip(self.counts.block(level, block));
            let room = |part: usize| cover.min(self.places.saturating_sub(part * cover));
            block = parts.into_iter().find(|&(part, &count)| (count as usize) < room(part))?.0;
        }
        let place = block * FAN + self.weight[block].0.iter().position(|&weight| weight == 0)?;
        (place < self.places).then_some(place)
    }

    /// Go down to the place at which the sizes from the left, in total, first exceed `left`, if there is one.
    fn reach<T: Copy + Into<u64>>(
        &self,
        sizes: &Levels<T>,
        left: u64,
        of_weight: impl Fn(u32) -> u64,
    ) -> Option<usize> {
        let (mut block, mut left) = (0, left);
        for level in (0..sizes.count()).rev() {
            let passed = pass(sizes.block(level, block), T::into, &mut left);
            if passed == FAN {
                return None;
            }
            block = block * FAN + passed;
        }
        let passed = pass(&self.weight.get(block)?.0, of_weight, &mut left);
        (passed < FAN).then_some(block * FAN + passed)
    }
}

fn key(leaver: Leaver, weight: u32, age: u64) -> Light {
    let number = if leaver == Leaver::Oldest { 0 } else { weight };
    if weight == 0 { Light::OUT } else { Light::from(number) << 64 | Light::from(age) }
}

fn light(leaver: Leaver, weight: &Block<u32>, age: &Block<u64>) -> [Light; FAN] {
    std::array::from_fn(|at| key(leaver, weight.0[at], age.0[at]))
}

fn heavy(weight: &Block<u32>) -> [Reverse<u32>; FAN] {
    weight.0.map(Reverse)
}

/// Return how many sizes are passed before their sum exceeds `left`, and take them off it.
fn pass<T: Copy>(sizes: &[T; FAN], of: impl Fn(T) -> u64, left: &mut u64) -> usize {
    let (mut sum, mut off, mut passed) = (0, 0, 0);
    // To the end, whatever comes: no processor foretells where it is.
    for &size in sizes {
        sum += of(size);
        let past = sum <= *left;
        passed += usize::from(past);
        off = if past { sum } else { off };
    }
    *left -= off;
    passed
}
