//! Which place comes first, by any key; looked for anew where the block that had it changes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::levels::{FAN, Levels};

/// What places are ordered by; the least comes first.
pub trait Key: Copy + Ord {
    /// The key of a place that is out: none comes after it.
    const OUT: Self;
}

/// Weight, the heaviest first.
impl Key for Reverse<u32> {
    const OUT: Self = Self(0);
}

/// A number, and in its lower half the age among equals: one number, as the two are not compared without a branch.
impl Key for u128 {
    const OUT: Self = Self::MAX;
}

/// The first of each block, up to the first of all.
#[derive(Clone, Debug, Default)]
pub struct Extremes<K> {
    levels: Levels<K>,
    /// Blocks of places to be looked through again.
    open: Vec<usize>,
}

impl<K: Key> Extremes<K> {
    /// Build on the first keys of the blocks of places.
    pub fn new(first: Vec<K>) -> Self {
        Self { levels: Levels::new(first, K::OUT, least), open: Vec::new() }
    }

    pub fn grow(&mut self, blocks: usize) {
        self.levels.grow(blocks, K::OUT, least);
    }

    pub fn bytes(&self) -> usize {
        self.levels.bytes() + size_of::<usize>() * self.open.capacity()
    }

    /// Read what a change of the place will.
    pub fn touch(&self, place: usize) -> K {
        self.levels.part(0, place / FAN)
    }

    /// Take note that a place's key changes; until `settle` nothing may be asked.
    pub fn change(&mut self, place: usize, was: K, now: K) {
        let block = place / FAN;
        let first = self.levels.part(0, block);
        if was != now && (now < first || was == first) && self.open.last() != Some(&block) {
            self.open.push(block);
        }
    }

    /// Look through what changed; `keys` are those of a block of places.
    pub fn settle(&mut self, keys: impl Fn(usize) -> [K; FAN]) {
        let mut open = std::mem::take(&mut self.open);
        for level in 0..self.levels.count() {
            let mut kept = 0;
            for at in 0..open.len() {
                let block = open[at];
                let first = least(&if level == 0 { keys(block) } else { *self.levels.block(level - 1, block) });
                let known = self.levels.part_mut(level, block);
                if *known == first {
                    continue;
                }
                *known = first;
                if kept == 0 || open[kept - 1] != block / FAN {
                    open[kept] = block / FAN;
                    kept += 1;
                }
            }
            open.truncate(kept);
        }
    }

    /// Return the place that comes first, of equals the lower.
    pub fn first(&self, keys: impl Fn(usize) -> [K; FAN]) -> Option<usize> {
        let first = self.levels.top().map(least).filter(|first| *first != K::OUT)?;
        let block = (0..self.levels.count()).rev().fold(0, |block, level| {
            let parts = self.levels.block(level, block);
            block * FAN + position(parts, first)
        });
        Some(block * FAN + position(&keys(block), first))
    }

    /// Return the places of one block that come before all others, in order; of equals the lower.
    pub fn run(&self, keys: impl Fn(usize) -> [K; FAN]) -> Vec<usize> {
        let Some(top) = self.levels.top() else { return Vec::new() };
        let (first, mut rest) = (least(top), K::OUT);
        let mut block = 0;
        for level in (0..self.levels.count()).rev() {
            let mut parts = *self.levels.block(level, block);
            let at = position(&parts, first);
            parts[at] = rest;
            rest = least(&parts);
            block = block * FAN + at;
        }
        let mut run: Vec<_> = keys(block).into_iter().zip(block * FAN..).filter(|(key, _)| *key < rest).collect();
        run.sort_unstable();
        run.into_iter().map(|(_, place)| place).collect()
    }

    /// Return the places that come first, in order, the lower of equals first; fewer where fewer are in.
    pub fn firsts(&self, count: usize, keys: impl Fn(usize) -> [K; FAN]) -> Vec<usize> {
        let mut found = Vec::with_capacity(count);
        let mut open = BinaryHeap::new();
        // Of a size: 0 is a place, 1 a block of places, 2 a block of those, ...
        let expand = |open: &mut BinaryHeap<_>, size: usize, block: usize| {
            let parts = if size == 1 { keys(block) } else { *self.levels.block(size - 2, block) };
            let cover = FAN.pow(u32::try_from(size - 1).unwrap_or(u32::MAX)); // places below one part
            for (part, key) in (block * FAN..).zip(parts).filter(|(_, key)| *key != K::OUT) {
                open.push(Reverse((key, part * cover, size - 1, part)));
            }
        };
        if count > 0 && self.levels.count() > 0 {
            expand(&mut open, self.levels.count() + 1, 0);
        }
        while found.len() < count {
            let Some(Reverse((_, first, size, part))) = open.pop() else { break };
            if size == 0 {
                found.push(first);
            } else {
                expand(&mut open, size, part);
            }
        }
        found
    }
}

pub fn least<K: Key>(keys: &[K; FAN]) -> K {
    keys.iter().copied().fold(K::OUT, K::min)
}

/// Return the first part that has a key which one of them has.
fn position<K: Key>(parts: &[K; FAN], wanted: K) -> usize {
    // To the end, whatever comes: no processor foretells where it is.
    (0..FAN).rev().fold(0, |found, at| if parts[at] == wanted { at } else { found })
}
