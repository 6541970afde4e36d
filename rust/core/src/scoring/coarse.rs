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
//!
//! Where that is too wide, what rounding took away is put in bytes, too, with steps s / [`FINER`] and t / [`FINER`]. Of
//! the product of the sums of both, (s q + s' q') (t r + t' r'), all is computed but the last, s' q' t' r'.

#![allow(clippy::inline_always)] // what `Arch::dispatch` runs takes its instructions only where it is inlined

use super::buckets::bucket;
use super::bytes::{COLUMNS, ColumnWords, GROUP, MOST, ROWS, RowWords};
use super::embeddings::slack;
use crate::wide::widest;
use crate::{Error, Result, parallel};

/// What the whole numbers of a row, or of a panel of columns, stand for.
#[derive(Clone, Copy, Debug)]
struct Grid {
    step: f64,
    /// The most that rounding took away from a direction, and what is left of that after rounding it, too.
    error: f64,
    left: f64,
}

/// By how much the second steps are smaller: rounding takes away half a step at most, which is 127 of those.
const FINER: f32 = 254.0;

const LANES: usize = 16;

/// More than the roundings of an estimate in single precision come to: eight, of numbers of about 1 at most.
const ROUNDING: f32 = 1e-6;

/// Rows of tiles, in groups of [`ROWS`].
pub struct Rows {
    words: Vec<RowWords>,
    /// What rounding took away, if that was asked for.
    rest: Vec<RowWords>,
    depth: usize,
    each: Vec<Row>,
    slack: f64,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    grid: Grid,
    /// What the columns' numbers, which are 128 higher than what they stand for, add to each sum; to one with `rest`.
    offset: f64,
    rest_offset: f64,
}

/// Columns of tiles, in panels of [`COLUMNS`].
pub struct Columns {
    words: Vec<ColumnWords>,
    /// What rounding took away, if that was asked for.
    rest: Vec<ColumnWords>,
    depth: usize,
    each: Vec<Grid>,
}

/// What sums of a row and a panel say of cosines.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    step: f64,
    offset: f64,
    /// What is added to the sums of a row's words and a column's rest, and of a row's rest and a column's words.
    rest_offset: f64,
    /// The most that a cosine can differ from the estimate, and from the finer estimate.
    pub margin: f64,
    fine_margin: f64,
}

/// Whether rows so long can be multiplied in bytes.
pub fn fits(dim: usize) -> bool {
    dim <= MOST / 2 // for the rest is multiplied twice
}

impl Rows {
    /// Take `count` rows of `dim` numbers each, as many as [`fits`], with the rest or not; `direction` writes one scaled to
    /// unit length.
    pub fn new(count: usize, dim: usize, rest: bool, direction: impl Fn(usize, &mut [f32]) + Sync) -> Result<Self> {
        let depth = dim.div_ceil(GROUP);
        let mut words = room(count.div_ceil(ROWS) * depth, [0; ROWS])?;
        let mut rests = room(if rest { words.len() } else { 0 }, [0; ROWS])?;
        let work = pieces(&mut words, &mut rests, depth);
        let each = parallel::ordered(
            work,
            || Desk::new(1, dim),
            |desk, (group, words, rests)| {
                let rows = group * ROWS..((group + 1) * ROWS).min(count);
                let mut each = Vec::with_capacity(rows.len());
                for (place, row) in rows.enumerate() {
                    direction(row, &mut desk.units[..dim]);
                    let grid = desk.round(0, desk.highest(1), rest);
                    each.push(Row { grid, offset: offset(&desk.numbers), rest_offset: offset(&desk.rest) });
                    for (words, numbers) in [(&mut *words, &desk.numbers), (&mut *rests, &desk.rest)] {
                        let numbers = numbers.as_chunks().0;
                        words.iter_mut().zip(numbers).for_each(|(words, numbers)| words[place] = word(*numbers));
                    }
                }
                each
            },
        );
        Ok(Self { words, rest: rests, depth, each: each.concat(), slack: slack(dim) })
    }

    /// The words of a group.
    pub fn group(&self, group: usize) -> &[RowWords] {
        &self.words[group * self.depth..][..self.depth]
    }

    /// The words of what rounding took away from a group.
    pub fn rest(&self, group: usize) -> &[RowWords] {
        &self.rest[group * self.depth..][..self.depth]
    }

    /// What sums of a row and a panel say.
    pub fn bound(&self, row: usize, columns: &Columns, panel: usize) -> Bound {
        let (Row { grid, offset, rest_offset }, other) = (self.each[row], columns.each[panel]);
        let [margin, left] = [(grid.error, other.error), (grid.left, other.left)].map(|(e, f)| e + f + e * f);
        // No more than this was taken away and put in bytes, whose product is left out.
        let left_out = (grid.error + grid.left) * (other.error + other.left);
        Bound {
            step: grid.step * other.step,
            offset,
            rest_offset: offset + rest_offset,
            margin: margin + self.slack,
            fine_margin: left + left_out + self.slack,
        }
    }
}

impl Columns {
    /// Take `count` columns of `dim` numbers each, as many as [`fits`], with the rest or not; `direction` writes one scaled
    /// to unit length.
    pub fn new(count: usize, dim: usize, rest: bool, direction: impl Fn(usize, &mut [f32]) + Sync) -> Result<Self> {
        let depth = dim.div_ceil(GROUP);
        let mut words = room(count.div_ceil(COLUMNS) * depth, [0; COLUMNS])?;
        let mut rests = room(if rest { words.len() } else { 0 }, [0; COLUMNS])?;
        let work = pieces(&mut words, &mut rests, depth);
        let each = parallel::ordered(
            work,
            || Desk::new(COLUMNS, dim),
            |desk, (panel, words, rests)| {
                let columns = panel * COLUMNS..((panel + 1) * COLUMNS).min(count);
                let held = columns.len();
                for (place, column) in columns.enumerate() {
                    direction(column, &mut desk.units[place * desk.wide..][..dim]);
                }
                let highest = desk.highest(held);
                let rounded = (0..held).map(|place| {
                    let grid = desk.round(place, highest, rest);
                    for (words, numbers) in [(&mut *words, &desk.numbers), (&mut *rests, &desk.rest)] {
                        for (words, numbers) in words.iter_mut().zip(numbers.as_chunks().0) {
                            words[place] = word(*numbers) ^ i32::from_ne_bytes([128; GROUP]);
                        }
                    }
                    grid
                });
                let wider = |one: Grid, two: Grid| Grid {
                    step: one.step,
                    error: one.error.max(two.error),
                    left: one.left.max(two.left),
                };
                rounded.reduce(wider).unwrap_or(Grid { step: 1.0, error: 0.0, left: 0.0 })
            },
        );
        Ok(Self { words, rest: rests, depth, each })
    }

    /// The words of a panel.
    pub fn panel(&self, panel: usize) -> &[ColumnWords] {
        &self.words[panel * self.depth..][..self.depth]
    }

    /// The words of what rounding took away from a panel.
    pub fn rest(&self, panel: usize) -> &[ColumnWords] {
        &self.rest[panel * self.depth..][..self.depth]
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

    /// Write between which buckets the cosines of a panel lie, and which one is nearest: by `sums` alone, or with `rests`,
    /// the sums with the rest of the columns and of the row added up.
    pub fn buckets(&self, sums: &[i32; COLUMNS], rests: Option<&[i32; COLUMNS]>, out: &mut Between) {
        let margin = single(if rests.is_some() { self.fine_margin } else { self.margin }) + ROUNDING;
        let (step, fine_step) = (single(self.step), single(self.step / f64::from(FINER)));
        let (offset, rest_offset) = (whole_number(self.offset), whole_number(self.rest_offset));
        let none = [rest_offset; COLUMNS];
        let rests = rests.unwrap_or(&none);
        widest(
            #[inline(always)]
            || {
                for column in 0..COLUMNS {
                    let score = float(sums[column] - offset) * step + float(rests[column] - rest_offset) * fine_step;
                    out.low[column] = bucket(score - margin);
                    out.within[column] = bucket(score.clamp(-1.0, 1.0));
                    out.high[column] = bucket(score + margin);
                }
            },
        );
    }
}

/// Buckets of a row's cosines with a panel: the lowest and highest that each may be in, and the likeliest.
pub struct Between {
    pub low: [u32; COLUMNS],
    pub within: [u32; COLUMNS],
    pub high: [u32; COLUMNS],
}

/// A thread's room: directions, and one of them in whole numbers. What is behind the last number of a row stays 0.
struct Desk {
    units: Vec<f32>,
    wide: usize,
    numbers: Vec<i8>,
    rest: Vec<i8>,
}

impl Desk {
    fn new(rows: usize, dim: usize) -> Self {
        let wide = dim.next_multiple_of(LANES);
        Self { units: vec![0.0; rows * wide], wide, numbers: vec![0; wide], rest: vec![0; wide] }
    }

    /// Return the largest magnitude of some rows; above 0, for directions have length.
    fn highest(&self, rows: usize) -> f32 {
        widest(
            #[inline(always)]
            || {
                let mut most = [0.0_f32; LANES];
                for part in self.units[..rows * self.wide].as_chunks::<LANES>().0 {
                    most = std::array::from_fn(|lane| most[lane].max(part[lane].abs()));
                }
                most.into_iter().fold(0.0, f32::max)
            },
        )
    }

    /// Put a direction in whole numbers, and what that takes away if it is asked for; return what those stand for.
    fn round(&mut self, place: usize, highest: f32, rest: bool) -> Grid {
        if rest { self.round_by::<true>(place, highest) } else { self.round_by::<false>(place, highest) }
    }

    fn round_by<const REST: bool>(&mut self, place: usize, highest: f32) -> Grid {
        let unit = self.units[place * self.wide..][..self.wide].as_chunks::<LANES>().0;
        let (numbers, rests) = (self.numbers.as_chunks_mut::<LANES>().0, self.rest.as_chunks_mut::<LANES>().0);
        let (inverse, step) = (127.0 / highest, f64::from(highest) / 127.0);
        let (taken, left) = widest(
            #[inline(always)]
            || {
                let (mut taken, mut left) = ([0.0_f64; LANES], [0.0_f64; LANES]);
                for ((unit, numbers), rests) in unit.iter().zip(numbers.iter_mut()).zip(rests.iter_mut()) {
                    for lane in 0..LANES {
                        let steps = unit[lane] * inverse;
                        let (byte, number) = whole(steps);
                        let away = f64::from(unit[lane]) - f64::from(number) * step;
                        numbers[lane] = byte;
                        taken[lane] += away * away;
                        if REST {
                            let (byte, finer) = whole((steps - number) * FINER);
                            let away = away - f64::from(finer) * (step / f64::from(FINER));
                            rests[lane] = byte;
                            left[lane] += away * away;
                        }
                    }
                }
                (taken.iter().sum::<f64>(), left.iter().sum::<f64>())
            },
        );
        // Room for the rounding of these very sums, and of the numbers in them.
        let [error, left] = [taken, left].map(|square| square.sqrt() * (1.0 + 1e-9) + 1e-12);
        Grid { step, error, left }
    }
}

/// The nearest whole number, as a byte and as it is.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // the lowest byte is meant
fn whole(value: f32) -> (i8, f32) {
    // Read off the mantissa: what every processor has wide instructions for.
    const WHOLE: f32 = 12_582_912.0;
    let moved = value + WHOLE;
    (moved.to_bits() as i8, moved - WHOLE)
}

/// Pieces of work: each group or panel with its words, and with those of the rest if there are any.
fn pieces<'a, W>(words: &'a mut [W], rests: &'a mut [W], depth: usize) -> Vec<(usize, &'a mut [W], &'a mut [W])> {
    let mut rests = rests.chunks_exact_mut(depth);
    let mut piece = |(place, words)| (place, words, rests.next().unwrap_or_default());
    words.chunks_exact_mut(depth).enumerate().map(&mut piece).collect()
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

/// What columns' numbers, which are 128 higher than what they stand for, add to the sum with a row's.
fn offset(numbers: &[i8]) -> f64 {
    128.0 * f64::from(numbers.iter().map(|number| i32::from(*number)).sum::<i32>())
}

#[inline(always)]
#[allow(clippy::cast_precision_loss)] // one of the roundings there is room for
fn float(sum: i32) -> f32 {
    sum as f32
}

#[allow(clippy::cast_possible_truncation)] // one of the roundings there is room for
fn single(value: f64) -> f32 {
    value as f32
}

#[allow(clippy::cast_possible_truncation)] // offsets are whole, and below 2^31
fn whole_number(offset: f64) -> i32 {
    offset as i32
}
