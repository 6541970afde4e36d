//! Exact integer weights of numbered places, summed up in blocks of sixteen: every question is O(log n).
//!
//! A block's sums are made anew from its sixteen parts at each change, in integers: no drift after any number of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::{Error, Result, uniforms};

const FAN: usize = 16;

/// What a block knows of the places below it that are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    sum: u64,
    oldest: u64,
    lightest: (u32, u64),
    heaviest: u32,
    count: u32,
}

const EMPTY: Node = Node { sum: 0, oldest: u64::MAX, lightest: (u32::MAX, u64::MAX), heaviest: 0, count: 0 };

impl Node {
    fn place(weight: u32, age: u64) -> Self {
        match weight {
            0 => EMPTY,
            _ => Self { sum: weight.into(), oldest: age, lightest: (weight, age), heaviest: weight, count: 1 },
        }
    }

    fn join(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            oldest: self.oldest.min(other.oldest),
            lightest: self.lightest.min(other.lightest),
            heaviest: self.heaviest.max(other.heaviest),
            count: self.count + other.count,
        }
    }
}

/// Places 0, 1, ... with a weight (0: the place is out) and an age, the order in which they were filled.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    weight: Vec<u32>,
    age: Vec<u64>,
    /// Blocks of places, blocks of blocks, ..., up to one block; none without places.
    levels: Vec<Vec<Node>>,
}

impl Tree {
    /// Build a tree of at most 2^32 places.
    pub fn new(weight: Vec<u32>, age: Vec<u64>) -> Self {
        let mut tree = Self { weight, age, levels: Vec::new() };
        let mut below = tree.weight.len();
        while below > 1 || (below == 1 && tree.levels.is_empty()) {
            let level = tree.levels.len();
            below = below.div_ceil(FAN);
            let nodes = (0..below).map(|block| tree.summary(level, block)).collect();
            tree.levels.push(nodes);
        }
        tree
    }

    /// Number of places, in or out.
    pub fn places(&self) -> usize {
        self.weight.len()
    }

    /// Number of places that are in.
    pub fn count(&self) -> usize {
        self.top().count as usize
    }

    /// Sum of the weights.
    pub fn total(&self) -> u64 {
        self.top().sum
    }

    pub fn weight(&self, place: usize) -> u32 {
        self.weight[place]
    }

    pub fn age(&self, place: usize) -> u64 {
        self.age[place]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let nodes: usize = self.levels.iter().map(Vec::capacity).sum();
        4 * self.weight.capacity() + 8 * self.age.capacity() + size_of::<Node>() * nodes
    }

    /// Make room for `more` places.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        let failed = |_| Error::TooLarge { rows: more, count: 3 };
        self.weight.try_reserve_exact(more).map_err(failed)?;
        self.age.try_reserve_exact(more).map_err(failed)
    }

    /// Add a place that is out.
    pub fn grow(&mut self) {
        let place = self.weight.len();
        self.weight.push(0);
        self.age.push(0);
        let mut below = place + 1;
        let mut level = 0;
        while below > 1 || level == 0 {
            below = below.div_ceil(FAN);
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            self.levels[level].resize(below, EMPTY);
            level += 1;
        }
        self.refresh(place);
    }

    /// Give a place a weight and an age.
    pub fn fill(&mut self, place: usize, weight: u32, age: u64) {
        self.age[place] = age;
        self.weight[place] = weight;
        self.refresh(place);
    }

    /// Change a place's weight; 0 takes it out.
    pub fn set(&mut self, place: usize, weight: u32) {
        self.weight[place] = weight;
        self.refresh(place);
    }

    /// Return a place drawn by weight, or with equal chances, among those that are in.
    pub fn pick(&self, words: [u32; 4], evenly: bool) -> Option<usize> {
        let key = |node: &Node| if evenly { u64::from(node.count) } else { node.sum };
        let mut left = uniforms::below(words, key(&self.top()));
        self.descend(|node| {
            let inside = left < key(node);
            if !inside {
                left -= key(node);
            }
            inside
        })
    }

    /// Return the place that is in of the least weight, the oldest of equals.
    pub fn lightest(&self) -> Option<usize> {
        let wanted = self.top().lightest;
        self.descend(|node| node.count > 0 && node.lightest == wanted)
    }

    /// Return the oldest place that is in.
    pub fn oldest(&self) -> Option<usize> {
        let wanted = self.top().oldest;
        self.descend(|node| node.count > 0 && node.oldest == wanted)
    }

    /// Return the first place that is out.
    pub fn first_out(&self) -> Option<usize> {
        if self.count() == self.places() {
            return None;
        }
        let mut block = 0;
        for level in (0..self.levels.len()).rev() {
            let cover = FAN.pow(u32::try_from(level).unwrap_or(u32::MAX)); // places below one part
            block = self.parts(level, block).find(|&part| {
                let places = cover.min(self.places() - part * cover);
                (self.part(level, part).count as usize) < places
            })?;
        }
        Some(block)
    }

    /// Return the places of greatest weight, heaviest first, the lower of equals first.
    pub fn heaviest(&self, count: usize) -> Vec<usize> {
        let count = count.min(self.count());
        let mut found = Vec::with_capacity(count);
        let mut open = BinaryHeap::new();
        if count > 0 {
            open.push((self.top().heaviest, Reverse(0), self.levels.len(), 0)); // weight, first place, level, block
        }
        while found.len() < count {
            let Some((_, Reverse(first), level, block)) = open.pop() else { break };
            if level == 0 {
                found.push(first);
                continue;
            }
            let cover = FAN.pow(u32::try_from(level - 1).unwrap_or(u32::MAX));
            for part in self.parts(level - 1, block) {
                let node = self.part(level - 1, part);
                if node.count > 0 {
                    open.push((node.heaviest, Reverse(part * cover), level - 1, part));
                }
            }
        }
        found
    }

    fn top(&self) -> Node {
        self.levels.last().map_or(EMPTY, |level| level[0])
    }

    /// Numbers of the parts of a block of a level.
    fn parts(&self, level: usize, block: usize) -> std::ops::Range<usize> {
        let below = if level == 0 { self.weight.len() } else { self.levels[level - 1].len() };
        block * FAN..below.min((block + 1) * FAN)
    }

    fn part(&self, level: usize, part: usize) -> Node {
        match level {
            0 => Node::place(self.weight[part], self.age[part]),
            _ => self.levels[level - 1][part],
        }
    }

    fn summary(&self, level: usize, block: usize) -> Node {
        self.parts(level, block).map(|part| self.part(level, part)).fold(EMPTY, Node::join)
    }

    fn refresh(&mut self, place: usize) {
        let mut block = place;
        for level in 0..self.levels.len() {
            block /= FAN;
            self.levels[level][block] = self.summary(level, block);
        }
    }

    /// Go down from the top, at each level into the first part that `into` is true for.
    fn descend(&self, mut into: impl FnMut(&Node) -> bool) -> Option<usize> {
        if self.levels.is_empty() {
            return None;
        }
        let mut block = 0;
        for level in (0..self.levels.len()).rev() {
            block = self.parts(level, block).find(|&part| into(&self.part(level, part)))?;
        }
        Some(block)
    }
}
