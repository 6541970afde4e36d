//! Draws by weight without replacement from a tree that stays as it is.
//!
//! The weights lie side by side on a line. A place drawn leaves a gap, which whoever comes later leaps over: the outcome
//! is the one of taking each out in turn, without a sum changed. Nearly all of the time goes into waiting for memory, so
//! all draws first go down the tree together, as if none had been made, and thereby mostly end up where they will.

use std::hint::black_box;

use super::levels::FAN;
use super::{Tree, pass};
use crate::uniforms::below;

/// Blocks that are looked at one after the other, before the whole tree is.
const BESIDE: usize = 4;

/// The part of the line that a block of places covers.
#[derive(Clone, Copy)]
struct Reach {
    block: usize,
    start: u64,
    length: u64,
}

/// Places drawn, in the order of the line.
struct Gaps {
    /// Where on the line of those left each was.
    at: Vec<u64>,
    /// Where on the line of all each ends.
    end: Vec<u64>,
}

impl Gaps {
    fn new(most: usize) -> Self {
        Self { at: Vec::with_capacity(most), end: Vec::with_capacity(most) }
    }

    /// Return how many gaps are leapt over on the way to a point of the line of those left, and where that is on the
    /// line of all.
    fn leap(&self, point: u64) -> (usize, u64) {
        let passed = self.at.partition_point(|at| *at <= point);
        let gone = passed.checked_sub(1).map_or(0, |last| self.end[last] - self.at[last]);
        (passed, point + gone)
    }

    /// Take out `weight` that ends at `end` on the line of all and is at `at` on the line of those left, past so many gaps.
    fn add(&mut self, passed: usize, at: u64, end: u64, weight: u64) {
        self.at.insert(passed, at);
        self.end.insert(passed, end);
        for after in &mut self.at[passed + 1..] {
            *after -= weight;
        }
    }
}

impl Tree {
    /// Return places drawn by weight, one for each of the words, as if each were taken out before the next; fewer where
    /// fewer are in. Time goes with the square of their number.
    pub fn draw(&self, words: &[[u32; 4]]) -> Vec<usize> {
        let foreseen = self.foresee(words);
        let (mut gaps, mut left) = (Gaps::new(words.len()), self.total);
        let mut drawn = Vec::with_capacity(words.len());
        for (&words, &reach) in words.iter().zip(&foreseen) {
            if left == 0 {
                break;
            }
            let point = below(words, left);
            let (passed, on_all) = gaps.leap(point);
            let Reach { block, start, .. } = self.near(reach, on_all).unwrap_or_else(|| self.find(on_all));
            let mut rest = on_all - start;
            let place = block * FAN + pass(&self.weight[block].0, u64::from, &mut rest);
            let weight = u64::from(self.weight(place));
            gaps.add(passed, point - rest, on_all - rest + weight, weight);
            left -= weight;
            drawn.push(place);
        }
        drawn
    }

    /// Return the blocks of places in which draws with replacement end.
    fn foresee(&self, words: &[[u32; 4]]) -> Vec<Reach> {
        let points: Vec<u64> = words.iter().map(|&words| below(words, self.total)).collect();
        let mut reaches: Vec<Reach> = points.iter().map(|&left| Reach { block: 0, start: left, length: 0 }).collect();
        for level in (0..self.sum.count()).rev() {
            // Nothing but reads, so that many are under way at once.
            black_box(reaches.iter().map(|reach| self.sum.touch(level, reach.block)).fold(0, u64::wrapping_add));
            for reach in &mut reaches {
                self.descend(level, reach);
            }
        }
        // As draws leap over those before them, some end beside the block that they are seen in.
        let beside = |reach: &Reach| [reach.block.saturating_sub(1), reach.block, reach.block + 1];
        let weights = reaches.iter().flat_map(beside).filter_map(|block| self.weight.get(block));
        black_box(weights.map(|block| block.0[0]).fold(0, u32::wrapping_add));
        for (reach, point) in reaches.iter_mut().zip(points) {
            reach.start = point - reach.start;
        }
        reaches
    }

    /// Return the block that holds a point if it is one of those beside a block.
    fn near(&self, mut reach: Reach, point: u64) -> Option<Reach> {
        for _ in 0..BESIDE {
            if point < reach.start {
                reach.block = reach.block.checked_sub(1)?;
                reach.length = self.sum.part(0, reach.block);
                reach.start -= reach.length;
            } else if point - reach.start >= reach.length {
                reach.start += reach.length;
                reach.block += 1;
                reach.length = self.sum.part(0, reach.block);
            } else {
                return Some(reach);
            }
        }
        None
    }

    fn find(&self, point: u64) -> Reach {
        let mut reach = Reach { block: 0, start: point, length: 0 };
        for level in (0..self.sum.count()).rev() {
            self.descend(level, &mut reach);
        }
        reach.start = point - reach.start;
        reach
    }

    /// Go down from a block of a level to one of its parts; `start` is how far into it the point is.
    fn descend(&self, level: usize, reach: &mut Reach) {
        let parts = self.sum.block(level, reach.block);
        let passed = pass(parts, u64::from, &mut reach.start).min(FAN - 1);
        reach.block = reach.block * FAN + passed;
        reach.length = parts[passed];
    }
}
