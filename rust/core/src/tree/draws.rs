//! Draws by weight without replacement from a tree that stays as it is.
//!
//! The weights lie side by side on a line. A place drawn leaves a gap, which whoever comes later leaps over: the outcome
//! is the one of taking each out in turn, without a sum changed. Nearly all of the time goes into waiting for memory, so
//! all draws first go down the tree together, as if none had been made, and thereby mostly end up where they will.

use std::hint::black_box;

use super::levels::FAN;
use super::{Tree, pass};
use crate::uniforms::below;

/// The part of the line that a block of places covers.
#[derive(Clone, Copy)]
struct Reach {
    block: usize,
    start: u64,
    length: u64,
}

/// Places drawn: where on the line of those left each was, ascending, and where on the line of all it ends.
struct Gaps(Vec<(u64, u64)>);

impl Gaps {
    /// Return how many gaps are leapt over on the way to a point of the line of those left, and where that is on the
    /// line of all.
    fn leap(&self, point: u64) -> (usize, u64) {
        let passed = self.0.partition_point(|(at, _)| *at <= point);
        let gone = passed.checked_sub(1).map_or(0, |last| self.0[last].1 - self.0[last].0);
        (passed, point + gone)
    }

    /// Take out `weight` that ends at `end` on the line of all and is at `at` on the line of those left, past so many gaps.
    fn add(&mut self, passed: usize, at: u64, end: u64, weight: u64) {
        self.0.push((0, 0));
        for after in (passed + 1..self.0.len()).rev() {
            let (at, end) = self.0[after - 1];
            self.0[after] = (at - weight, end);
        }
        self.0[passed] = (at, end);
    }
}

impl Tree {
    /// Return places drawn by weight, one for each of the words, as if each were taken out before the next; fewer where
    /// fewer are in. Time goes with the square of their number.
    pub fn draw(&self, words: &[[u32; 4]]) -> Vec<usize> {
        let foreseen = self.foresee(words);
        let (mut gaps, mut left) = (Gaps(Vec::with_capacity(words.len())), self.total);
        let mut drawn = Vec::with_capacity(words.len());
        for (&words, &reach) in words.iter().zip(&foreseen) {
            if left == 0 {
                break;
            }
            let point = below(words, left);
            let (passed, on_all) = gaps.leap(point);
            let mut rest = on_all.wrapping_sub(reach.start);
            let mut block = reach.block;
            if rest >= reach.length {
                let found = self.find(on_all);
                (block, rest) = (found.block, on_all - found.start);
            }
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
