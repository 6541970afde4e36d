//! Directions in bytes, and what their products leave open.
//!
//! A direction u is near s q, where q are whole numbers from -127 to 127 and s is a step. With the same of v,
//!
//! ```text
//! |u v - (s q) (t r)| <= |u - s q| |v| + |s q| |v - t r| <= e + f + e f
//! ```
//!
//! where e and f, the lengths of what rounding took away, are computed for the very rows: at 512 numbers about 0.008,
//! where the worst that rounding can do is 0.09. A sum of whole numbers has no error of its own.

#![allow(clippy::inline_always)] // what `Arch::dispatch` runs takes its instructions only where it is inlined

use super::bytes::{COLUMNS, ColumnWords, GROUP, MOST, ROWS, RowWords};
use super::embeddings::slack;
use super::product::arch;
use crate::{Error, Result, parallel};

/// What the whole numbers of a row, or of a panel of columns, stand for.
#[derive(Clone, Copy, Debug)]
struct Grid {
    step: f64,
    /// The most that rounding took away from a direction.
    error: f64,
}

/// Rows of tiles, in groups of [`ROWS`].
pub struct Rows {
    words: Vec<RowWords>,
    depth: usize,
    each: Vec<Row>,
    slack: f64,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    grid: Grid,
    /// What the columns' numbers, which are 128 higher than what they stand for, add to each sum.
    offset: i32,
}

/// Columns of tiles, in panels of [`COLUMNS`].
pub struct Columns {
    words: Vec<ColumnWords>,
    depth: usize,
    each: Vec<Grid>,
}

/// What sums of a row and a panel say of cosines.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    step: f64,
    offset: f64,
    /// The most that a cosine can differ from the estimate.
    pub margin: f64,
}

/// Whether rows so long can be multiplied in bytes.
pub fn fits(dim: usize) -> bool {
    dim <= MOST
}

impl Rows {
    /// Take `count` rows of `dim` numbers each, at most [`MOST`]; `direction` writes one scaled to unit length.
    pub fn new(count: usize, dim: usize, direction: impl Fn(usize, &mut [f32]) + Sync) -> Result<Self> {
        let depth = dim.div_ceil(GROUP);
        let mut words = room(count.div_ceil(ROWS) * depth, [0; ROWS])?;
        let work = words.chunks_exact_mut(depth).enumerate().collect();
        let start = || (vec![0.0; dim], vec![0; depth * GROUP]);
        let each = parallel::ordered(work, start, |(unit, numbers), (group, words): (usize, &mut [RowWords])| {
            let rows = group * ROWS..((group + 1) * ROWS).min(count);
            let mut each = Vec::with_capacity(rows.len());
            for (place, row) in rows.enumerate() {
                direction(row, unit);
                let highest = highest(unit);
                let grid = Grid { step: step(highest), error: round(unit, highest, numbers) };
                each.push(Row { grid, offset: 128 * numbers.iter().map(|number| i32::from(*number)).sum::<i32>() });
                for (words, numbers) in words.iter_mut().zip(numbers.as_chunks().0) {
                    words[place] = word(*numbers);
                }
            }
            each
        });
        Ok(Self { words, depth, each: each.concat(), slack: slack(dim) })
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.each.len().div_ceil(ROWS)
    }

    /// The words of a group.
    pub fn group(&self, group: usize) -> &[RowWords] {
        &self.words[group * self.depth..][..self.depth]
    }

    /// What sums of a row and a panel say.
    pub fn bound(&self, row: usize, columns: &Columns, panel: usize) -> Bound {
        let (Row { grid, offset }, other) = (self.each[row], columns.each[panel]);
        let margin = grid.error + other.error + grid.error * other.error + self.slack;
        Bound { step: grid.step * other.step, offset: f64::from(offset), margin }
    }
}

impl Columns {
    /// Take `count` columns of `dim` numbers each, at most [`MOST`]; `direction` writes one scaled to unit length.
    pub fn new(count: usize, dim: usize, direction: impl Fn(usize, &mut [f32]) + Sync) -> Result<Self> {
        let depth = dim.div_ceil(GROUP);
        let mut words = room(count.div_ceil(COLUMNS) * depth, [0; COLUMNS])?;
        let work = words.chunks_exact_mut(depth).enumerate().collect();
        let start = || (vec![0.0; COLUMNS * dim], vec![0; depth * GROUP]);
        let each = parallel::ordered(work, start, |(units, numbers), (panel, words): (usize, &mut [ColumnWords])| {
            let columns = panel * COLUMNS..((panel + 1) * COLUMNS).min(count);
            let units = &mut units[..columns.len() * dim];
            units.chunks_exact_mut(dim).zip(columns).for_each(|(unit, column)| direction(column, unit));
            let highest = highest(units);
            let mut grid = Grid { step: step(highest), error: 0.0 };
            for (place, unit) in units.chunks_exact(dim).enumerate() {
                grid.error = grid.error.max(round(unit, highest, numbers));
                for (words, numbers) in words.iter_mut().zip(numbers.as_chunks().0) {
                    words[place] = word(*numbers) ^ i32::from_ne_bytes([128; GROUP]);
                }
            }
            grid
        });
        Ok(Self { words, depth, each })
    }

    /// The words of a panel.
    pub fn panel(&self, panel: usize) -> &[ColumnWords] {
        &self.words[panel * self.depth..][..self.depth]
    }
}

impl Bound {
    /// The lowest sum whose cosine may reach `least`.
    #[allow(clippy::cast_possible_truncation)] // it saturates, beyond all sums
    pub fn least(&self, least: f64) -> i32 {
        ((least - self.margin) / self.step + self.offset).floor() as i32
    }

    /// What a sum says the cosine is, give or take the margin.
    pub fn estimate(&self, sum: i32) -> f64 {
        (f64::from(sum) - self.offset) * self.step
    }
}

fn room<T: Clone>(size: usize, empty: T) -> Result<Vec<T>> {
    let mut words = Vec::new();
    words.try_reserve_exact(size).map_err(|_| Error::TooLarge { rows: size, count: size_of::<T>() })?;
    words.resize(size, empty);
    Ok(words)
}

fn word(numbers: [i8; GROUP]) -> i32 {
    i32::from_ne_bytes(numbers.map(i8::cast_unsigned))
}

fn step(highest: f32) -> f64 {
    f64::from(highest) / 127.0
}

/// The largest magnitude; above 0, for a direction has length.
fn highest(unit: &[f32]) -> f32 {
    arch().dispatch(
        #[inline(always)]
        || {
            let (parts, rest) = unit.as_chunks::<16>();
            let mut most = [0.0_f32; 16];
            for part in parts {
                for (most, value) in most.iter_mut().zip(part) {
                    *most = if value.abs() > *most { value.abs() } else { *most };
                }
            }
            most.iter().copied().chain(rest.iter().map(|value| value.abs())).fold(0.0, f32::max)
        },
    )
}

/// Round a direction to whole numbers of steps; return, rounded up, the length of what that took away.
fn round(unit: &[f32], highest: f32, numbers: &mut [i8]) -> f64 {
    let (inverse, step) = (127.0 / highest, step(highest));
    let square = arch().dispatch(
        #[inline(always)]
        || {
            let (mut sums, mut rest) = ([0.0_f64; 16], 0.0);
            let (parts, tail) = unit.as_chunks::<16>();
            let (numbers, more) = numbers.split_at_mut(16 * parts.len());
            for (part, numbers) in parts.iter().zip(numbers.as_chunks_mut::<16>().0) {
                for place in 0..16 {
                    let (number, error) = nearest(part[place], inverse, step);
                    numbers[place] = number;
                    sums[place] += error * error;
                }
            }
            for (value, out) in tail.iter().zip(more) {
                let (number, error) = nearest(*value, inverse, step);
                *out = number;
                rest += error * error;
            }
            sums.iter().sum::<f64>() + rest
        },
    );
    // Room for the rounding of this very sum, and of the numbers in it.
    square.sqrt() * (1.0 + 1e-9) + 1e-12
}

/// A number of steps from -127 to 127, and what is left.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // the lowest byte is meant
fn nearest(value: f32, inverse: f32, step: f64) -> (i8, f64) {
    // The nearest whole number, read off the mantissa: what every processor has wide instructions for.
    const WHOLE: f32 = 12_582_912.0;
    let moved = value * inverse + WHOLE;
    (moved.to_bits() as i8, f64::from(value) - f64::from(moved - WHOLE) * step)
}
