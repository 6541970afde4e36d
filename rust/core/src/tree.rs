//! Exact integer weights of numbered places, summed up in blocks of sixteen: every question is O(log n).
//!
//! Sums change by integers, so they never drift. An extreme is looked for anew where the part that had it changes, and a
//! change goes no further up than it matters.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::{Error, Result, uniforms};

const FAN: usize = 16;

/// Of blocks of places, blocks of blocks, ..., up to one block, what each knows; none without places.
type Levels<T> = Vec<Vec<T>>;

/// Weight and age.
type Light = (u32, u64);

/// Places 0, 1, ... with a weight (0: the place is out) and an age, the order in which they were filled.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    weight: Vec<u32>,
    age: Vec<u64>,
    sum: Levels<u64>,
    /// Number of places that are in; these alone enter the extremes.
    count: Levels<u32>,
    oldest: Levels<u64>,
    lightest: Levels<Light>,
    heaviest: Levels<u32>,
}

impl Tree {
    /// Build a tree of at most 2^32 places.
    pub fn new(weight: Vec<u32>, age: Vec<u64>) -> Self {
        let mut tree = Self { weight, age, ..Self::default() };
        let mut below = tree.weight.len();
        while below > 1 || (below == 1 && tree.sum.is_empty()) {
            below = below.div_ceil(FAN);
            tree.add_level(below);
        }
        tree
    }

    /// Put a level of so many blocks on top.
    fn add_level(&mut self, blocks: usize) {
        let level = self.sum.len();
        let parts = |block| self.parts(level, block);
        let sum = (0..blocks).map(|block| parts(block).map(|part| self.sum_of(level, part)).sum()).collect();
        let count = (0..blocks).map(|block| parts(block).map(|part| self.count_of(level, part)).sum()).collect();
        let oldest = (0..blocks).map(|block| self.oldest_in(level, parts(block))).collect();
        let lightest = (0..blocks).map(|block| self.lightest_in(level, parts(block))).collect();
        let heaviest = (0..blocks).map(|block| self.heaviest_in(level, parts(block))).collect();
        self.sum.push(sum);
        self.count.push(count);
        self.oldest.push(oldest);
        self.lightest.push(lightest);
        self.heaviest.push(heaviest);
    }

    /// Number of places, in or out.
    pub fn places(&self) -> usize {
        self.weight.len()
    }

    /// Number of places that are in.
    pub fn count(&self) -> usize {
        top(&self.count).unwrap_or(0) as usize
    }

    /// Sum of the weights.
    pub fn total(&self) -> u64 {
        top(&self.sum).unwrap_or(0)
    }

    pub fn weight(&self, place: usize) -> u32 {
        self.weight[place]
    }

    pub fn age(&self, place: usize) -> u64 {
        self.age[place]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        fn of<T>(levels: &[Vec<T>]) -> usize {
            size_of::<T>() * levels.iter().map(Vec::capacity).sum::<usize>()
        }
        let sums = of(&self.sum) + of(&self.count);
        let extremes = of(&self.oldest) + of(&self.lightest) + of(&self.heaviest);
        4 * self.weight.capacity() + 8 * self.age.capacity() + sums + extremes
    }

    /// Make room for `more` places.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        let failed = |_| Error::TooLarge { rows: more, count: 3 };
        self.weight.try_reserve_exact(more).map_err(failed)?;
        self.age.try_reserve_exact(more).map_err(failed)
    }

    /// Add a place that is out.
    pub fn grow(&mut self) {
        self.weight.push(0);
        self.age.push(0);
        let mut below = self.weight.len();
        let mut level = 0;
        while below > 1 || level == 0 {
            below = below.div_ceil(FAN);
            if level == self.sum.len() {
                self.add_level(below);
            }
            self.sum[level].resize(below, 0);
            self.count[level].resize(below, 0);
            self.oldest[level].resize(below, NO_AGE);
            self.lightest[level].resize(below, NOT_LIGHT);
            self.heaviest[level].resize(below, 0);
            level += 1;
        }
    }

    /// Give a place a weight and an age.
    pub fn fill(&mut self, place: usize, weight: u32, age: u64) {
        let (old_weight, old_age) = (self.weight[place], self.age[place]);
        self.give(place, weight);
        self.age[place] = age;
        let changes = self.oldest.len();
        let mut oldest = Change::new(place, age_in(old_weight, old_age), age_in(weight, age));
        let mut lightest = Change::new(place, light(old_weight, old_age), light(weight, age));
        let mut heaviest = Change::new(place, old_weight, weight);
        for level in 0..changes {
            if let Some((block, held)) = oldest.enter(&self.oldest[level]) {
                let new = oldest.settle(held, u64::min, || self.oldest_in(level, self.parts(level, block)));
                self.oldest[level][block] = new;
            }
            if let Some((block, held)) = lightest.enter(&self.lightest[level]) {
                let new = lightest.settle(held, Light::min, || self.lightest_in(level, self.parts(level, block)));
                self.lightest[level][block] = new;
            }
            if let Some((block, held)) = heaviest.enter(&self.heaviest[level]) {
                let new = heaviest.settle(held, u32::max, || self.heaviest_in(level, self.parts(level, block)));
                self.heaviest[level][block] = new;
            }
        }
    }

    /// Change a place's weight; 0 takes it out.
    pub fn set(&mut self, place: usize, weight: u32) {
        self.fill(place, weight, self.age[place]);
    }

    /// Change a place's weight for a while, with the sums but not the extremes: all but `pick` answer as if it were not.
    pub fn give(&mut self, place: usize, weight: u32) {
        let old = std::mem::replace(&mut self.weight[place], weight);
        let mut block = place;
        for sum in &mut self.sum {
            block /= FAN;
            sum[block] = sum[block] - u64::from(old) + u64::from(weight);
        }
        let (out, into) = (u32::from(old > 0), u32::from(weight > 0));
        if out != into {
            let mut block = place;
            for count in &mut self.count {
                block /= FAN;
                count[block] = count[block] - out + into;
            }
        }
    }

    /// Return a place drawn by weight, or with equal chances, among those that are in.
    pub fn pick(&self, words: [u32; 4], evenly: bool) -> Option<usize> {
        if evenly {
            let left = uniforms::below(words, self.count() as u64);
            return self.reach(&self.count, left, |weight| u64::from(weight > 0));
        }
        self.reach(&self.sum, uniforms::below(words, self.total()), u64::from)
    }

    /// Return the place that is in of the least weight, the oldest of equals.
    pub fn lightest(&self) -> Option<usize> {
        let wanted = top(&self.lightest).filter(|light| *light != NOT_LIGHT)?;
        self.descend(|level, part| self.lightest_of(level, part) == wanted)
    }

    /// Return the oldest place that is in.
    pub fn oldest(&self) -> Option<usize> {
        let wanted = top(&self.oldest).filter(|_| self.count() > 0)?;
        self.descend(|level, part| self.oldest_of(level, part) == wanted && self.count_of(level, part) > 0)
    }

    /// Return the first place that is out.
    pub fn first_out(&self) -> Option<usize> {
        if self.count() == self.places() {
            return None;
        }
        self.descend(|level, part| {
            let cover = FAN.pow(u32::try_from(level).unwrap_or(u32::MAX)); // places below one part
            (self.count_of(level, part) as usize) < cover.min(self.places() - part * cover)
        })
    }

    /// Return the places of greatest weight, heaviest first, the lower of equals first.
    pub fn heaviest(&self, count: usize) -> Vec<usize> {
        let count = count.min(self.count());
        let mut found = Vec::with_capacity(count);
        let mut open = BinaryHeap::new();
        if count > 0 {
            open.push((u32::MAX, Reverse(0), self.sum.len(), 0)); // weight, first place, level, block
        }
        while found.len() < count {
            let Some((_, Reverse(first), level, block)) = open.pop() else { break };
            if level == 0 {
                found.push(first);
                continue;
            }
            let cover = FAN.pow(u32::try_from(level - 1).unwrap_or(u32::MAX));
            for part in self.parts(level - 1, block) {
                let weight = self.heaviest_of(level - 1, part);
                if weight > 0 {
                    open.push((weight, Reverse(part * cover), level - 1, part));
                }
            }
        }
        found
    }

    /// Numbers of the parts of a block of a level.
    fn parts(&self, level: usize, block: usize) -> Range<usize> {
        let below = if level == 0 { self.weight.len() } else { self.sum[level - 1].len() };
        block * FAN..below.min((block + 1) * FAN)
    }

    fn sum_of(&self, level: usize, part: usize) -> u64 {
        if level == 0 { self.weight[part].into() } else { self.sum[level - 1][part] }
    }

    fn count_of(&self, level: usize, part: usize) -> u32 {
        if level == 0 { u32::from(self.weight[part] > 0) } else { self.count[level - 1][part] }
    }

    fn oldest_of(&self, level: usize, part: usize) -> u64 {
        if level == 0 { age_in(self.weight[part], self.age[part]) } else { self.oldest[level - 1][part] }
    }

    fn lightest_of(&self, level: usize, part: usize) -> Light {
        if level == 0 { light(self.weight[part], self.age[part]) } else { self.lightest[level - 1][part] }
    }

    fn heaviest_of(&self, level: usize, part: usize) -> u32 {
        if level == 0 { self.weight[part] } else { self.heaviest[level - 1][part] }
    }

    fn oldest_in(&self, level: usize, parts: Range<usize>) -> u64 {
        parts.map(|part| self.oldest_of(level, part)).fold(NO_AGE, u64::min)
    }

    fn lightest_in(&self, level: usize, parts: Range<usize>) -> Light {
        parts.map(|part| self.lightest_of(level, part)).fold(NOT_LIGHT, Light::min)
    }

    fn heaviest_in(&self, level: usize, parts: Range<usize>) -> u32 {
        parts.map(|part| self.heaviest_of(level, part)).fold(0, u32::max)
    }

    /// Go down to the place at which the sizes from the left, in total, first exceed `left`, if there is one.
    fn reach<T: Copy + Into<u64>>(&self, sizes: &[Vec<T>], left: u64, of_weight: impl Fn(u32) -> u64) -> Option<usize> {
        let (mut block, mut left) = (0, left);
        for level in (1..sizes.len()).rev() {
            let parts = self.parts(level, block);
            let own = sizes[level - 1][parts.clone()].iter().map(|&size| size.into());
            block = parts.start + pass(own, &mut left);
            if block == parts.end {
                return None;
            }
        }
        let parts = if sizes.is_empty() { 0..0 } else { self.parts(0, block) };
        let place = parts.start + pass(self.weight[parts.clone()].iter().map(|&weight| of_weight(weight)), &mut left);
        (place < parts.end).then_some(place)
    }

    /// Go down from the top, at each level into the first part that `into`, of level and part, is true for.
    fn descend(&self, mut into: impl FnMut(usize, usize) -> bool) -> Option<usize> {
        if self.sum.is_empty() {
            return None;
        }
        let mut block = 0;
        for level in (0..self.sum.len()).rev() {
            block = self.parts(level, block).find(|&part| into(level, part))?;
        }
        Some(block)
    }
}

const NO_AGE: u64 = u64::MAX;
const NOT_LIGHT: Light = (u32::MAX, u64::MAX);

fn age_in(weight: u32, age: u64) -> u64 {
    if weight > 0 { age } else { NO_AGE }
}

fn light(weight: u32, age: u64) -> Light {
    if weight > 0 { (weight, age) } else { NOT_LIGHT }
}

fn top<T: Copy>(levels: &[Vec<T>]) -> Option<T> {
    levels.last().map(|level| level[0])
}

/// Return how many sizes are passed before their sum exceeds `left`, and take them off it.
fn pass(sizes: impl Iterator<Item = u64>, left: &mut u64) -> usize {
    let (mut sum, mut off, mut passed) = (0, 0, 0);
    // To the end, whatever comes: no processor foretells where it is.
    for size in sizes {
        sum += size;
        let past = sum <= *left;
        passed += usize::from(past);
        off = if past { sum } else { off };
    }
    *left -= off;
    passed
}

/// The change of an extreme on its way up.
struct Change<T> {
    part: usize,
    was: T,
    now: T,
}

impl<T: Copy + PartialEq> Change<T> {
    fn new(part: usize, was: T, now: T) -> Self {
        Self { part, was, now }
    }

    /// Return the block of the next level that the part is in, and what is held there; nothing where nothing changes.
    fn enter(&mut self, held: &[T]) -> Option<(usize, T)> {
        self.part /= FAN;
        (self.was != self.now).then(|| (self.part, held[self.part]))
    }

    /// Return the block's new extreme: the part's, the one it had, or one to be `found`.
    fn settle(&mut self, held: T, better: impl Fn(T, T) -> T, found: impl Fn() -> T) -> T {
        let new = if better(self.now, held) == self.now {
            self.now
        } else if self.was == held {
            found()
        } else {
            held
        };
        (self.was, self.now) = (held, new);
        new
    }
}
