//! A list of pairs, grouped so that the pairs of some rows come together.

use super::embeddings::Embeddings;
use crate::{Result, error, parallel};

/// Pairs looked at in one go.
pub const CHUNK: usize = 1 << 20;

/// Products of a block that are held at once, about; a thread's share of a processor's last cache.
const STRIP: usize = 1 << 22;

/// Bits of the number of a row within its block; the block's has the others of a word.
const LOCAL: u32 = 8;

/// Numbers of rows, as they come from Python.
pub trait Index: Copy + PartialOrd + Into<i64> + Send + Sync {
    /// As a position below `rows`.
    fn place(self, rows: usize) -> Option<u32> {
        u32::try_from(self.into()).ok().filter(|place| (*place as usize) < rows)
    }

    /// As a position, once `place` has found it to be one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `place` found it to be below 2^32
    fn checked(self) -> usize {
        self.into() as usize
    }
}

impl Index for i32 {}

impl Index for i64 {}

/// Which rows are compared, and whether a pair is mated (nowhere, if that plays no part).
#[derive(Clone, Copy)]
pub struct Pairs<'a, I> {
    pub first: &'a [I],
    pub second: &'a [I],
    pub mated: &'a [bool],
}

impl<I: Index> Pairs<'_, I> {
    pub fn is_mated(&self, pair: usize) -> bool {
        self.mated.get(pair).copied().unwrap_or(false)
    }

    pub fn chunks(&self) -> usize {
        self.first.len().div_ceil(CHUNK)
    }

    pub fn chunk(&self, chunk: usize) -> std::ops::Range<usize> {
        chunk * CHUNK..((chunk + 1) * CHUNK).min(self.first.len())
    }
}

/// A pair of a block: its row within the block, its column, and whether it is mated.
#[derive(Clone, Copy)]
pub struct Entry(u64);

impl Entry {
    fn new(row: u32, column: u32, mated: bool) -> Self {
        Self(u64::from(row) << 33 | u64::from(mated) << 32 | u64::from(column))
    }

    #[allow(clippy::cast_possible_truncation)] // 31 bits are left
    pub fn row(self) -> usize {
        (self.0 >> 33) as usize
    }

    #[allow(clippy::cast_possible_truncation)] // the lower half is meant
    pub fn column(self) -> usize {
        self.0 as u32 as usize
    }

    pub fn is_mated(self) -> bool {
        self.0 >> 32 & 1 == 1
    }
}

/// The pairs of one chunk, by block.
struct Sorted {
    start: Vec<usize>,
    entries: Vec<Entry>,
}

/// Blocks of rows, and the pairs of each.
pub struct Blocks<'a, I> {
    pub pairs: Pairs<'a, I>,
    /// The embeddings that come first in a pair, ascending: the rows.
    pub rows: Vec<u32>,
    /// The embeddings that come second: the columns.
    pub columns: Vec<u32>,
    /// Block and row within it (the lowest [`LOCAL`] bits) of each embedding.
    place_of: Vec<u32>,
    column_of: Vec<u32>,
    /// Rows in a block, at most 256.
    pub height: usize,
    /// Where the pairs of each row begin, if the list goes by row; else the list by chunk and block.
    order: Order,
}

enum Order {
    ByRow(Vec<usize>),
    Sorted(Vec<Sorted>),
}

impl<'a, I: Index> Blocks<'a, I> {
    pub fn new(embeddings: &Embeddings<'_>, pairs: Pairs<'a, I>) -> Result<Self> {
        let seen = survey(embeddings.len(), &pairs)?;
        let (rows, row_of) = present(seen.first.iter().map(|count| *count > 0));
        let (columns, column_of) = present(seen.second.iter().copied());
        let height = (STRIP / columns.len().max(1) / 16 * 16).clamp(16, 256);
        check_blocks(rows.len(), height)?;
        let wide = u32::try_from(height).unwrap_or(256);
        let place_of = row_of.into_iter().map(|row| ((row / wide) << LOCAL) | (row % wide)).collect();
        let mut blocks = Self { pairs, rows, columns, place_of, column_of, height, order: Order::Sorted(Vec::new()) };
        blocks.order = if seen.by_row {
            let mut start = vec![0];
            start.extend(blocks.rows.iter().scan(0, |sum, row| {
                *sum += seen.first[*row as usize] as usize;
                Some(*sum)
            }));
            Order::ByRow(start)
        } else {
            let chunks: Vec<usize> = (0..pairs.chunks()).collect();
            Order::Sorted(parallel::ordered(chunks, || (), |(), chunk| blocks.sort(chunk)))
        };
        Ok(blocks)
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        self.rows.len().div_ceil(self.height)
    }

    /// The rows of a block.
    pub fn rows(&self, block: usize) -> std::ops::Range<usize> {
        block * self.height..((block + 1) * self.height).min(self.rows.len())
    }

    /// Share of all products of rows and columns that the list asks for.
    #[allow(clippy::cast_precision_loss)] // compared with a sixteenth
    pub fn density(&self) -> f64 {
        self.pairs.first.len() as f64 / (self.rows.len() as f64 * self.columns.len() as f64)
    }

    /// Number of pairs of a block.
    pub fn size(&self, block: usize) -> usize {
        match &self.order {
            Order::ByRow(start) => start[self.rows(block).end] - start[self.rows(block).start],
            Order::Sorted(chunks) => chunks.iter().map(|chunk| chunk.start[block + 1] - chunk.start[block]).sum(),
        }
    }

    /// Look at every pair of a block, always in the same order.
    #[inline]
    pub fn each(&self, block: usize, mut look: impl FnMut(Entry)) {
        match &self.order {
            Order::ByRow(start) => {
                let rows = self.rows(block);
                for (local, row) in (0..).zip(rows) {
                    let pairs = start[row]..start[row + 1];
                    for (pair, second) in pairs.clone().zip(&self.pairs.second[pairs]) {
                        look(Entry::new(local, self.column_of[second.checked()], self.pairs.is_mated(pair)));
                    }
                }
            }
            Order::Sorted(chunks) => {
                for chunk in chunks {
                    chunk.entries[chunk.start[block]..chunk.start[block + 1]].iter().copied().for_each(&mut look);
                }
            }
        }
    }

    /// Return the embeddings of a block's pair, by its number in the order of `each`.
    pub fn pair(&self, block: usize, mut number: usize) -> (u32, u32) {
        match &self.order {
            Order::ByRow(start) => {
                let pair = start[self.rows(block).start] + number;
                let side = |number: I| u32::try_from(number.checked()).unwrap_or(u32::MAX);
                (side(self.pairs.first[pair]), side(self.pairs.second[pair]))
            }
            Order::Sorted(chunks) => {
                let entry = chunks.iter().find_map(|chunk| {
                    let here = &chunk.entries[chunk.start[block]..chunk.start[block + 1]];
                    let found = here.get(number);
                    number = number.saturating_sub(here.len());
                    found
                });
                let entry = entry.copied().unwrap_or(Entry(0));
                (self.rows[block * self.height + entry.row()], self.columns[entry.column()])
            }
        }
    }

    /// Put scores, one list a block in the order of `each`, into the order of the pairs.
    pub fn in_order(&self, scores: &[Vec<f32>], out: &mut [f32]) {
        let Order::Sorted(chunks) = &self.order else {
            let mut out = out;
            for scores in scores {
                let (here, rest) = out.split_at_mut(scores.len());
                here.copy_from_slice(scores);
                out = rest;
            }
            return;
        };
        let mut next = vec![0; self.count()];
        let mut work = Vec::new();
        for ((number, out), chunk) in out.chunks_mut(CHUNK).enumerate().zip(chunks) {
            work.push((number, out, next.clone()));
            for (block, next) in next.iter_mut().enumerate() {
                *next += chunk.start[block + 1] - chunk.start[block];
            }
        }
        parallel::share(
            work,
            || (),
            |(), (chunk, out, mut next)| {
                for (out, pair) in out.iter_mut().zip(self.pairs.chunk(chunk)) {
                    let block = self.place(pair).0;
                    *out = scores[block][next[block]];
                    next[block] += 1;
                }
            },
        );
    }

    /// Block of a pair, and its row within.
    fn place(&self, pair: usize) -> (usize, u32) {
        let place = self.place_of[self.pairs.first[pair].checked()];
        ((place >> LOCAL) as usize, place & ((1 << LOCAL) - 1))
    }

    /// Sort a chunk's pairs by block; those of a block keep their order.
    fn sort(&self, chunk: usize) -> Sorted {
        let pairs = self.pairs.chunk(chunk);
        let mut start = vec![0; self.count() + 1];
        for pair in pairs.clone() {
            start[self.place(pair).0 + 1] += 1;
        }
        for block in 0..self.count() {
            start[block + 1] += start[block];
        }
        let (mut next, mut entries) = (start.clone(), vec![Entry(0); pairs.len()]);
        for pair in pairs {
            let (block, row) = self.place(pair);
            let column = self.column_of[self.pairs.second[pair].checked()];
            entries[next[block]] = Entry::new(row, column, self.pairs.is_mated(pair));
            next[block] += 1;
        }
        Sorted { start, entries }
    }
}

/// Refuse more blocks of `height` rows than have a number.
fn check_blocks(rows: usize, height: usize) -> Result<()> {
    let most = height << (u32::BITS - LOCAL);
    if rows > most {
        let expected = format!("at most {most} embeddings that come first in a list with as many that come second");
        return error::data(expected, format!("{rows}: give the list in parts"));
    }
    Ok(())
}

/// What a list of pairs names.
struct Seen {
    /// Pairs in which an embedding comes first.
    first: Vec<u32>,
    /// Whether it comes second in one.
    second: Vec<bool>,
    /// Whether the list is ascending in what comes first.
    by_row: bool,
}

/// Look through the list once.
fn survey<I: Index>(rows: usize, pairs: &Pairs<'_, I>) -> Result<Seen> {
    let Pairs { first, second, mated } = *pairs;
    if first.len() != second.len() || !(mated.is_empty() || mated.len() == first.len()) {
        let got = format!("{}, {} and {}", first.len(), second.len(), mated.len());
        return error::data("as many first as second embeddings, and labels", got);
    }
    if u32::try_from(first.len()).is_err() {
        return error::data("fewer than 2^32 pairs", first.len());
    }
    let empty = || (Seen { first: vec![0; rows], second: vec![false; rows], by_row: true }, None::<usize>);
    let found = parallel::share((0..pairs.chunks()).collect(), empty, |(seen, wrong), chunk| {
        for pair in pairs.chunk(chunk) {
            let (Some(one), Some(other)) = (first[pair].place(rows), second[pair].place(rows)) else {
                *wrong = Some(wrong.map_or(pair, |earlier| earlier.min(pair)));
                return;
            };
            seen.first[one as usize] += 1;
            seen.second[other as usize] = true;
            seen.by_row &= pair == 0 || first[pair - 1] <= first[pair];
        }
    });
    if let Some(pair) = found.iter().filter_map(|(_, wrong)| *wrong).min() {
        let (one, other): (i64, i64) = (first[pair].into(), second[pair].into());
        let got = format!("{one} and {other} in pair {pair}");
        return error::data(format!("numbers of rows in [0, {rows})"), got);
    }
    let mut all = found.into_iter().map(|(seen, _)| seen);
    let mut sum = all.next().unwrap_or(empty().0);
    for seen in all {
        sum.first.iter_mut().zip(seen.first).for_each(|(sum, count)| *sum += count);
        sum.second.iter_mut().zip(seen.second).for_each(|(sum, is)| *sum |= is);
        sum.by_row &= seen.by_row;
    }
    Ok(sum)
}

/// Return the positions that hold, and for each position how many before it do.
fn present(held: impl Iterator<Item = bool>) -> (Vec<u32>, Vec<u32>) {
    let (mut places, mut number) = (Vec::new(), Vec::new());
    for (place, held) in (0_u32..).zip(held) {
        number.push(u32::try_from(places.len()).unwrap_or(u32::MAX));
        if held {
            places.push(place);
        }
    }
    (places, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_would_share_a_number_are_refused() {
        for (height, most) in [(16, 1_usize << 28), (256, 1 << 32)] {
            assert!(check_blocks(0, height).is_ok());
            assert!(check_blocks(most, height).is_ok());
            // The last row's place, as it is packed, has all its bits; the next one's has lost the highest.
            let place = |row: usize| ((row / height) as u64) << LOCAL | (row % height) as u64;
            assert!(u32::try_from(place(most - 1)).is_ok() && u32::try_from(place(most)).is_err());
            let told = check_blocks(most + 1, height).unwrap_err().to_string();
            assert!(told.contains(&format!("at most {most} embeddings")) && told.ends_with("give the list in parts"));
        }
    }
}
